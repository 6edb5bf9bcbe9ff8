"""Items that look for text: plain, with wildcards, encoded, by regex, as keywords."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from .atoms import (
    ONE,
    STAR,
    Atom,
    Cells,
    Pattern,
    Site,
    Truth,
    any_value,
    around,
    as_yaml,
    field_near,
    negated,
    one_value,
    oracle,
    realised,
    string_atom,
)
from .cells import Field, Seen, Trap, make_cell
from .texts import MARKS, PLAIN, as_text, edits, filler, hard, no_case, swap_case, token, wanted

PLACES = ("", "contains", "startswith", "endswith")


def _modifiers(*names: str) -> str:
    return "".join("|" + name for name in names if name)


def plain(site: Site, field: Field) -> Atom:
    """`field: text`, a list of them, and the three modifiers for a part of the text."""
    rng, place = site.rng, site.rng.choice(PLACES)
    count = rng.choice([1, 1, 1, 2, 3, 8])
    patterns = [around(place, [wanted(rng)]) for _ in range(count)]
    return _strings(site, place or "equal", field, (place,), patterns)


def cased(site: Site, field: Field) -> Atom:
    """The same with `cased`."""
    rng, place = site.rng, site.rng.choice(PLACES)
    patterns = [around(place, [wanted(rng)]) for _ in range(rng.choice([1, 2]))]
    return _strings(site, "cased", field, (place, "cased"), patterns)


def _strings(
    site: Site, construct: str, field: Field, modifiers: Sequence[str], patterns: Sequence[Pattern]
) -> Atom:
    """The patterns as YAML: what a modifier adds by itself may be written, or not."""
    names = [name for name in modifiers if name]
    place = next((name for name in names if name in PLACES), "")
    values = []
    for pattern in patterns:
        inner = list(pattern)
        if place in ("contains", "endswith") and len(inner) > 1:
            inner = inner[1:]
        if place in ("contains", "startswith") and len(inner) > 1:
            inner = inner[:-1]
        values.append(as_yaml(site.rng, inner if inner != [STAR] or not place else []))
    if len(names) > 1 and site.rng.random() < 0.5:
        names.reverse()
    return string_atom(site, construct, field, _modifiers(*names), values, patterns)


def wildcards(site: Site, field: Field) -> Atom:
    """`*` and `?` inside a value, and the same characters escaped."""
    rng, place = site.rng, site.rng.choice(("", "", "contains", "endswith"))
    parts: Pattern = []
    for number in range(rng.randint(2, 5)):
        parts.append(wanted(rng) if number % 2 == rng.randint(0, 1) else rng.choice([STAR, ONE]))
    parts = _merged(parts)
    kinds = {"one" if part is ONE else "star" for part in parts if not isinstance(part, str)}
    construct = "wildcard ?" if "one" in kinds else "wildcard *" if kinds else "equal"
    return _strings(site, construct, field, (place,), [around(place, parts)])


def escaped_wildcards(site: Site, field: Field) -> Atom:
    r"""`\*`, `\?` and `\\` as characters."""
    rng, place = site.rng, site.rng.choice(PLACES)
    text = token(rng, 3, 5) + rng.choice(["*", "?", "\\", "\\*", "\\\\?"]) + token(rng, 3, 5)
    parts: Pattern = [text, *rng.choice([[], [STAR, token(rng)]])]
    return _strings(site, "wildcard escaped", field, (place,), [around(place, parts)])


def _merged(parts: Pattern) -> Pattern:
    merged: Pattern = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def all_of(site: Site, field: Field) -> Atom:
    """`contains|all`: every text of a list, in any order."""
    rng = site.rng
    words = [wanted(rng) for _ in range(rng.randint(2, 4))]
    tests = [oracle([[STAR, word, STAR]], False) for word in words]

    def value(rng: Random) -> str:
        shuffled = rng.sample(words, len(words))
        return filler(rng) + filler(rng).join(swap_case(rng, word) for word in shuffled)

    def holds(seen: Seen) -> Truth:
        # A list of ANDs of one field: another value of the field may satisfy each.
        values = seen.values(field)
        return None if values is None else all(any(map(test, values)) for test in tests)

    key = field.name + rng.choice(["|contains|all", "|all|contains"])
    texts = [as_yaml(rng, [word]) for word in words]
    good = one_value(site, field, value)
    return Atom("all", key, texts, (field,), holds, good, field_near(site, field))


DASHES = "-/\u2013\u2014\u2015"


def windash(site: Site, field: Field) -> Atom:
    """A dash in front of an option may be any of five."""
    rng = site.rng
    before, word = rng.choice(["", " ", "x "]), token(rng, 3, 6)
    patterns = [[STAR, before + dash + word, STAR] for dash in DASHES]
    key = rng.choice(["|contains|windash", "|windash|contains"])
    return string_atom(site, "windash", field, key, [before + rng.choice("-/") + word], patterns)


def wide(site: Site, field: Field) -> Atom:
    """UTF-16 as text, NULs and all."""
    rng, word = site.rng, token(site.rng, 2, 5)
    modifier, form = rng.choice([("wide", "utf-16-le"), ("utf16be", "utf-16-be")])
    pattern: Pattern = [STAR, word.encode(form).decode(), STAR]
    return string_atom(site, modifier, field, f"|{modifier}|contains", [word], [pattern])


def utf16(site: Site, field: Field) -> Atom:
    """UTF-16 with a byte order mark."""
    word = token(site.rng, 2, 5)
    pattern: Pattern = [STAR, "\ufeff" + word.encode("utf-16-le").decode(), STAR]
    return string_atom(site, "utf16", field, "|utf16|contains", [word], [pattern])


def base64(site: Site, field: Field) -> Atom:
    """The whole value encoded, of UTF-8 or UTF-16."""
    rng, word = site.rng, token(site.rng, 3, 9)
    form, first = rng.choice([("utf-8", ""), ("utf-16-le", "|wide")])
    encoded = b64encode(word.encode(form)).decode()
    place = rng.choice(["", "contains"])
    key = first + "|base64" + _modifiers(place)
    return string_atom(site, "base64", field, key, [word], [around(place, [encoded])])


def base64offset(site: Site, field: Field) -> Atom:
    """A word anywhere inside something encoded: three alignments.

    Of a word that starts `offset` bytes in, the characters of which all six bits belong to it.
    """
    rng, word = site.rng, token(site.rng, 4, 9)
    form, first = rng.choice([("utf-8", ""), ("utf-16-le", "|wide")])
    data = word.encode(form)
    patterns: list[Pattern] = []
    for offset in range(3):
        start, end = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        patterns.append([STAR, b64encode(bytes(offset) + data).decode()[start:end], STAR])

    def value(rng: Random) -> str:
        before = bytes(rng.choices(range(32, 127), k=rng.randint(0, 5)))
        return filler(rng) + b64encode(before + data + b"~" * rng.randint(0, 5)).decode()

    made = string_atom(site, "base64offset", field, f"{first}|base64offset|contains", [word], patterns)
    good = one_value(site, field, value)
    return Atom(made.construct, made.key, made.value, (field,), made.holds, good, made.near)


def neq(site: Site, field: Field) -> Atom:
    """`neq`: the opposite of any item of strings, true of a missing field."""
    made = site.rng.choice([plain, wildcards, cased])(site, field)
    holds, near = negated(made.holds), field_near(site, field)

    def good(rng: Random) -> Cells:
        value = rng.choice([filler(rng), token(rng), "", None])
        return near(rng, made.good(rng)) if rng.random() < 0.8 else {
            field: make_cell(rng, field, value, site.store)
        }

    def back(rng: Random, cells: Cells) -> Cells:
        return made.good(rng) if rng.random() < 0.5 else near(rng, cells)

    return Atom("neq", made.key + "|neq", made.value, (field,), holds, good, back)


def control_text(site: Site, field: Field) -> Atom:
    r"""osquery's `\x0A` spelling, what somebody typed that looks like it, and neither."""
    rng = site.rng
    logged, said = rng.choice(
        [
            (r"\x0A", "\n"),
            (r"\x09\x1F", "\t\x1f"),
            (r"\xED\x95\x9C", "\ud55c"),
            (r"\xC3\xA4\x0A", "\u00e4\n"),
            (r"\x41", r"\x41"),
            (r"\x0a", r"\x0a"),
            (r"\xFF", r"\xFF"),
            (r"\xED\x95", r"\xED\x95"),
            (r"\x0A\x41", r"\x0A\x41"),
            (r"\xC0\xAF", r"\xC0\xAF"),
        ]
    )
    one, other = token(rng, 3, 5), token(rng, 3, 5)
    target = one + (said if rng.random() < 0.7 else logged) + other
    pattern: Pattern = rng.choice([[target], [STAR, target, STAR], [one, STAR, target[-1:]]])
    typed = Trap(one + logged + other, one + said + other)

    def good(rng: Random) -> Cells:
        if rng.random() < 0.6:
            return {field: typed}
        return {field: make_cell(rng, field, realised(rng, pattern, False), site.store)}

    value = as_yaml(rng, pattern)
    made = string_atom(site, "control_text", field, "", [value], [pattern])
    return Atom(made.construct, made.key, value, (field,), made.holds, good, made.near)


# --- Regular expressions -------------------------------------------------------------------------

# As RE2 writes it, as Python does, and a text for it. RE2 syntax: github.com/google/re2, Syntax.
_PIECES: list[tuple[str, str, Callable[[Random], str]]] = [
    (r"\d+", "[0-9]+", lambda rng: str(rng.randint(0, 999))),
    (r"[a-f]{2,3}", "[a-f]{2,3}", lambda rng: "".join(rng.choices("abcdef", k=rng.choice([2, 3])))),
    (r"\s", "[ \\t\\n\\f\\r]", lambda rng: rng.choice(" \t\n")),
    (r".", "[^\\n]", lambda rng: rng.choice("aZ7\u00e4\U0001f600")),
    (r"(?:ab|cd)?", "(?:ab|cd)?", lambda rng: rng.choice(["", "ab", "cd"])),
    (r"[^/]*", "[^/]*", lambda rng: rng.choice(["", "x", "\n"])),
    (r"\x41", "A", lambda rng: "A"),
    (r"\b", "(?a:\\b)", lambda rng: ""),
]


def regex(site: Site, field: Field) -> Atom:
    """`re` with any of its flags, anchored or not."""
    rng = site.rng
    flags = [flag for flag in "ims" if rng.random() < 0.3]
    start, end = rng.random() < 0.3, rng.random() < 0.3
    makers: list[Callable[[Random], str]] = []
    re2 = python = ""
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.6:
            word = rng.choice([token(rng, 3, 6), hard(rng, 2, 5).replace("\0", "")])
            re2, python = re2 + re.escape(word), python + re.escape(word)
            makers.append(lambda rng, word=word: word)  # type: ignore[misc]
        else:
            here, there, maker = rng.choice(_PIECES)
            dot_all = here == "." and "s" in flags
            re2, python = re2 + here, python + ("[\\s\\S]" if dot_all else there)
            makers.append((lambda rng: "\n") if dot_all and rng.random() < 0.5 else maker)
    multi = "m" in flags
    begin, stop = ("^", r"(?m:^)") if multi else ("^", r"\A"), ("$", r"(?m:$)") if multi else ("$", r"\Z")
    re2 = (begin[0] if start else "") + re2 + (stop[0] if end else "")
    python = (begin[1] if start else "") + python + (stop[1] if end else "")
    compiled = re.compile(python, re.IGNORECASE if "i" in flags else 0)

    def test(value: Any) -> Truth:
        text = as_text(value)
        if "i" in flags and not (text.isascii() and re2.isascii()):
            return None
        return compiled.search(text) is not None

    def value(rng: Random) -> str:
        text = "".join(make(rng) for make in makers)
        text = swap_case(rng, text) if "i" in flags else text
        before = "" if start and not multi else filler(rng) + ("\n" if start else "")
        after = "" if end and not multi else ("\n" if end else "") + filler(rng)
        return before + text + after

    names = {"i": ("i", "ignorecase"), "m": ("m", "multiline"), "s": ("s", "dotall")}
    key = field.name + "|re" + _modifiers(*(rng.choice(names[flag]) for flag in flags))
    good, near = one_value(site, field, value), field_near(site, field)
    construct = "re|" + "".join(flags) if flags else "re"
    return Atom(construct, key, re2, (field,), any_value(field, test), good, near)


# --- Keywords ------------------------------------------------------------------------------------


def keywords(site: Site, field: Field) -> Atom:
    """Bare words, looked for in every column."""
    rng = site.rng
    numbers = [rng.randint(10_000, 99_999)] if rng.random() < 0.2 else []
    parts = [_word(rng) for _ in range(rng.choice([1, 2, 3]) - len(numbers))]
    test = oracle([[STAR, *part, STAR] for part in parts], False)
    values: list[Any] = [as_yaml(rng, part) for part in parts] + numbers
    patterns: list[Pattern] = [*parts, *([str(number)] for number in numbers)]
    return _keyword(
        site,
        "keywords",
        "",
        values,
        [lambda text: test(text) or any(str(number) in text for number in numbers)],
        lambda rng: realised(rng, rng.choice(patterns), False),
    )


def keywords_all(site: Site, field: Field) -> Atom:
    """`'|all'`: every word somewhere, though perhaps in different columns."""
    rng = site.rng
    parts = [_word(rng) for _ in range(rng.randint(2, 3))]
    tests = [oracle([[STAR, *part, STAR]], False) for part in parts]
    values = [as_yaml(rng, part) for part in parts]

    def value(rng: Random) -> str:
        return "".join(realised(rng, part, False) + filler(rng) for part in parts)

    return _keyword(site, "keywords all", "|all", values, tests, value)


def keyword_regex(site: Site, field: Field) -> Atom:
    """`'|re'`: a regex in any column."""
    word = token(site.rng, 5, 8)
    compiled = re.compile(re.escape(word) + "[0-9]+x")

    def value(rng: Random) -> str:
        return f"{filler(rng)}{word}{rng.randint(0, 99)}x{filler(rng)}"

    tests = [lambda text: compiled.search(as_text(text)) is not None]
    return _keyword(site, "keyword re", "|re", re.escape(word) + "[0-9]+x", tests, value)


def _word(rng: Random) -> Pattern:
    if rng.random() < 0.3:
        return [token(rng, 5, 7), rng.choice([STAR, ONE]), token(rng, 5, 7)]
    return [token(rng, 6, 9) + rng.choice([*MARKS, *PLAIN]) + token(rng, 3, 4)]


def _keyword(
    site: Site,
    construct: str,
    key: str,
    value: Any,
    tests: Sequence[Callable[[Any], bool]],
    make: Callable[[Random], str],
) -> Atom:
    spare = site.spare

    def holds(seen: Seen) -> Truth:
        texts = seen.texts()
        if texts is None:
            return None
        return all(any(test(text) for text in texts) for test in tests)

    def good(rng: Random) -> Cells:
        text = filler(rng) + make(rng) + filler(rng)
        return {spare: make_cell(rng, spare, text, site.store)}

    def near(rng: Random, cells: Cells) -> Cells:
        text = cells[spare].plain(False) if spare in cells else ""
        return {spare: make_cell(rng, spare, next(edits(rng, text)), site.store)}

    return Atom(construct, key, value, (spare,), holds, good, near)


def fieldref(site: Site, field: Field) -> Atom:
    """Two fields compared: the same text, or one within the other; also not."""
    rng = site.rng
    other = rng.choice([f for f in site.fields if f != field and f.kind != "envelope"])
    place, negate = rng.choice(PLACES), rng.random() < 0.25

    def compare(mine: str, theirs: str) -> bool:
        return {
            "": mine == theirs,
            "contains": theirs in mine,
            "startswith": mine.startswith(theirs),
            "endswith": mine.endswith(theirs),
        }[place]

    def holds(seen: Seen) -> Truth:
        mine, theirs = seen.values(field), seen.values(other)
        if mine is None or theirs is None:
            return None
        return any(
            compare(no_case(as_text(one)), no_case(as_text(two))) for one in mine for two in theirs
        )

    def equal(rng: Random) -> Cells:
        text: Any = wanted(rng) if rng.random() < 0.8 else rng.randint(1, 99)
        mine = swap_case(rng, as_text(text))
        mine = filler(rng) + mine if place in ("contains", "endswith") else mine
        mine = mine + filler(rng) if place in ("contains", "startswith") else mine
        return {
            field: make_cell(rng, field, mine, site.store),
            other: make_cell(rng, other, text, site.store),
        }

    def near(rng: Random, cells: Cells) -> Cells:
        which = rng.choice([field, other])
        value = cells[which].meant(False) if which in cells else ""
        return {which: make_cell(rng, which, next(edits(rng, value)), site.store)}

    def different(rng: Random) -> Cells:
        found = equal(rng)
        return found | near(rng, found)

    key = field.name + "|fieldref" + _modifiers(place, "neq" if negate else "")
    construct = "fieldref" + _modifiers(place, "neq" if negate else "")
    test, good = (negated(holds), different) if negate else (holds, equal)
    return Atom(construct, key, other.name, (field, other), test, good, near)

