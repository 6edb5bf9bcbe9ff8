"""Random detection items, each with a way to make a value that satisfies it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

# Letters whose folding is a trap, JSON's special characters, wildcards, non-ASCII, controls.
ALPHABET = "abkKisSİıſßΣσςé한\u212a\u0130/\\\"'<&*?%_-. \t\n\x01\u2028😀Z09"
WORDS = ("x11vnc", "Xtigervnc", "C:\\Temp\\a.exe", "/usr/bin/sh", "-R 22:x", "HKLM\\SYSTEM", "é/ü")


@dataclass(frozen=True, slots=True)
class Atom:
    """`key` and `value` as they stand in the rule; `make` gives a value that satisfies them.

    `on_nothing` says whether a missing value satisfies it; None where that is not certain.
    """

    kind: str
    key: str
    value: Any
    make: Callable[[Random], Any]
    on_nothing: bool | None = False


def text(rng: Random, longest: int = 8) -> str:
    """A short text, often a likely one."""
    if rng.random() < 0.4:
        return rng.choice(WORDS)
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, longest)))


def escaped(plain: str) -> str:
    """A text as a Sigma value that means just it."""
    return plain.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def flip(rng: Random, word: str) -> str:
    """The word in another case, ASCII letters only, so that it surely folds to the same."""
    return "".join(c.swapcase() if c.isascii() and rng.random() < 0.5 else c for c in word)


def around(rng: Random) -> str:
    """Text that may stand beside a match."""
    return text(rng, 4) if rng.random() < 0.6 else ""


def _string(rng: Random, field: str) -> Atom:
    word = text(rng)
    kind = rng.choice(("plain", "contains", "startswith", "endswith"))
    cased = rng.random() < 0.25
    key = field + ("" if kind == "plain" else f"|{kind}") + ("|cased" if cased else "")

    def make(r: Random) -> str:
        core = word if cased else flip(r, word)
        before = around(r) if kind in ("contains", "endswith") else ""
        after = around(r) if kind in ("contains", "startswith") else ""
        return before + core + after

    return Atom(kind + ("+cased" if cased else ""), key, escaped(word), make)


def _wildcard(rng: Random, field: str) -> Atom:
    parts = [text(rng, 3) for _ in range(rng.randint(2, 3))]
    mark = rng.choice("*?")

    def make(r: Random) -> str:
        glue = [around(r) if mark == "*" else r.choice(ALPHABET) for _ in parts[1:]]
        return parts[0] + "".join(g + p for g, p in zip(glue, parts[1:], strict=True))

    return Atom(f"wildcard {mark}", field, mark.join(map(escaped, parts)), make)


def _all(rng: Random, field: str) -> Atom:
    words = [text(rng, 4), text(rng, 4)]
    key, value = f"{field}|contains|all", [escaped(w) for w in words]
    return Atom("all", key, value, lambda r: around(r) + words[0] + around(r) + words[1])


def _list(rng: Random, field: str) -> Atom:
    atoms = [_string(rng, field) for _ in range(3)]
    chosen = [a for a in atoms if a.key == atoms[0].key]
    values = [a.value for a in chosen]
    return Atom("list", chosen[0].key, values, lambda r: r.choice(chosen).make(r))


def _regex(rng: Random, field: str) -> Atom:
    flags = rng.choice(("", "|i", "|s", "|m"))
    pattern, good = rng.choice((("a.b", "aXb"), ("^[a-c]+$", "abc"), ("x(y|z){2}", "xyz")))
    if flags == "|s" and pattern == "a.b":
        good = "a\nb"
    if flags == "|m" and pattern.startswith("^"):
        good = "!\nabc\n!"
    shown = good.upper() if flags == "|i" else good
    return Atom(f"re{flags}", f"{field}|re{flags}", pattern, lambda _r: shown)


def _long_regex(rng: Random, field: str) -> Atom:
    """Several open repetitions, alternatives and an end: what is searched for are its parts."""

    def filled(r: Random, without: str, least: int = 1) -> str:
        letters = [letter for letter in ALPHABET if letter not in without]
        return "".join(r.choice(letters) for _ in range(r.randint(least, 4)))

    def behind(r: Random) -> str:
        return r.choice(("", f" {around(r)}", f"\t{around(r)}"))

    pattern, make = rng.choice(
        (
            (
                r"ab[ks]+:.*en\\d(\s|$)",
                lambda r: (
                    f"{around(r)}ab{r.choice('ks') * 2}:{filled(r, chr(10), 0)}en\\d{behind(r)}"
                ),
            ),
            (
                r"(-+[a-z] )*\s+\S+\.(exe|sh)[\"']?($|\s)",
                lambda r: f'--a -b\t{filled(r, " " + chr(9) + chr(10))}.sh"{behind(r)}',
            ),
            (
                r"one[^x]+two+|S.ee[/\\]+q",
                lambda r: r.choice((f"one{filled(r, 'x')}twoo", f"{around(r)}S\u212aee\\/q")),
            ),
            (r"k{2,}[^ ]?z$", lambda r: f"{around(r)}kk\u2028z"),
        )
    )
    flags = rng.choice(("", "|i", "|s"))
    return Atom(f"long re{flags}", f"{field}|re{flags}", pattern, make)


def _number(rng: Random, field: str) -> Atom:
    number: Any = rng.choice((0, 7, 22, -3, 5901, 1.5))
    operator = rng.choice(("", "lt", "lte", "gt", "gte"))
    step = {"": 0, "lt": -1, "lte": 0, "gt": 1, "gte": 0}[operator]

    def make(r: Random) -> Any:
        found = number + step
        return r.choice((found, str(found)))

    return Atom(operator or "number", f"{field}|{operator}".rstrip("|"), number, make)


def _cidr(rng: Random, field: str) -> Atom:
    network, inside = rng.choice(
        (
            ("192.0.2.0/24", ("192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7")),
            ("2001:db8::/32", ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1")),
            ("fe80::/10", ("fe80::1%eth0",)),
        )
    )
    return Atom("cidr", f"{field}|cidr", network, lambda r: r.choice(inside))


def _nothing(rng: Random, field: str) -> Atom:
    key, value = rng.choice(((field, None), (field, ""), (f"{field}|exists", False)))
    return Atom(f"nothing {value!r}", key, value, lambda r: r.choice((None, "")), True)


def _exists(rng: Random, field: str) -> Atom:
    return Atom("exists", f"{field}|exists", True, text)


CODECS = {"wide": "utf-16le", "utf16be": "utf-16be"}
ENCODINGS = (
    "windash|contains",
    "base64",
    "base64offset|contains",
    "wide|base64",
    "utf16be|base64",
    "utf16",
)


def _encoded(rng: Random, field: str) -> Atom:
    word = rng.choice(("secret", "-enc", "abc"))
    kind = rng.choice(ENCODINGS)
    if kind.startswith("windash"):
        value = f" {word}" if word.startswith("-") else f" -{word}"
        return Atom(
            "windash", f"{field}|{kind}", value, lambda r: "x" + " " + r.choice("-/–—") + value[2:]
        )
    if kind == "utf16":
        wide = "\ufeff" + word.encode("utf-16le").decode()
        return Atom(kind, f"{field}|{kind}", word, lambda _r: wide)
    raw = word.encode(CODECS.get(kind.partition("|")[0], "utf-8"))
    if kind.startswith("base64offset"):
        return Atom(
            kind,
            f"{field}|{kind}",
            word,
            lambda r: base64.b64encode(b" " * r.randint(0, 2) + raw + b"  ").decode(),
        )
    return Atom(kind, f"{field}|{kind}", word, lambda _r: base64.b64encode(raw).decode())


def _time(rng: Random, field: str) -> Atom:
    part, value = rng.choice(
        (("hour", 10), ("minute", 22), ("day", 23), ("year", 2026), ("week", 48), ("month", 11))
    )
    made = (1795429320, "1795429320", "2026-11-23T10:22:00", "2026-11-23T10:22:00+09:00")
    return Atom(part, f"{field}|{part}", value, lambda r: r.choice(made))


def _boolean(rng: Random, field: str) -> Atom:
    value = rng.random() < 0.5
    made = (value, str(value), str(value).lower())
    return Atom("boolean", field, value, lambda r: r.choice(made))


def _neq(rng: Random, field: str) -> Atom:
    word = text(rng)
    return Atom("neq", f"{field}|neq", escaped(word), lambda r: "other" + word, True)


MAKERS = (
    _string, _string, _string, _wildcard, _all, _list, _regex, _long_regex, _number, _number, _cidr,
    _nothing, _exists, _encoded, _time, _boolean, _neq,
)  # fmt: skip


def atom(rng: Random, field: str) -> Atom:
    """A random item on `field`."""
    return rng.choice(MAKERS)(rng, field)
