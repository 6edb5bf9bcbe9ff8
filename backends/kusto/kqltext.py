"""Texts in KQL: literals, and wildcard patterns as the operator or expression that means the same.

Documentation of the operators: <https://learn.microsoft.com/kusto/query/datatypes-string-operators>.
`=~`, `contains`, `startswith`, `endswith` and `in~` ignore case; those with `_cs` and `==` do not.
`has` finds whole terms only and is never used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from molehunt.conditions import Regex, Text, Wild
from molehunt.detectors.values import fold, near_case

TRUE, FALSE = "true", "false"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
# Rules have much in common, and correlations ask again what their members ask.
_MANY = 1 << 13
_CLASSES = {"d": "0-9", "s": r"\t\n\f\r ", "w": "0-9A-Za-z_"}


@lru_cache(maxsize=_MANY)
def literal(text: str) -> str:
    """A text as a KQL string: verbatim if it can be."""
    if "\\" in text and not _CONTROL.search(text):
        return '@"' + text.replace('"', '""') + '"'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def all_of(parts: Sequence[str]) -> str:
    """`and` of expressions."""
    kept = list(dict.fromkeys(part for part in parts if part != TRUE))
    if FALSE in kept:
        return FALSE
    return _joined(kept, "and") if kept else TRUE


def any_of(parts: Sequence[str]) -> str:
    """`or` of expressions."""
    kept = list(dict.fromkeys(part for part in parts if part != FALSE))
    if TRUE in kept:
        return TRUE
    return _joined(kept, "or") if kept else FALSE


def negated(part: str) -> str:
    """`not` of an expression that is never null."""
    return {TRUE: FALSE, FALSE: TRUE}.get(part, f"not({part})")


def _joined(parts: Sequence[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else "(" + f" {word} ".join(parts) + ")"


@lru_cache(maxsize=_MANY)
def matches(expression: str, value: Text) -> str:
    """That a string expression is not empty and matches a text with wildcards."""
    parts = [part for part in value.parts if part != ""]
    runs = [part for part in parts if isinstance(part, str)]
    shape = "".join("*" if p is Wild.ANY else "?" if p is Wild.ONE else "L" for p in parts)
    cased = value.cased
    if not runs and Wild.ONE not in parts:
        return f"isnotempty({expression})" if parts else FALSE
    seen = not any(map(_CONTROL.search, runs))
    if len(runs) == 1 and seen and (cased or _operators_fold(runs[0])):
        words = {
            "L": "==" if cased else "=~",
            "L*": "startswith_cs" if cased else "startswith",
            "*L": "endswith_cs" if cased else "endswith",
            "*L*": "contains_cs" if cased else "contains",
        }
        if shape in words:
            return f"{expression} {words[shape]} {literal(runs[0])}"
    return f"{expression} matches regex {literal(pattern(parts, cased))}"


def plain(value: object) -> bool:
    """Whether a wanted value can stand in a list after `in~`."""
    return (
        isinstance(value, Text)
        and not value.cased
        and len(value.parts) == 1
        and isinstance(value.parts[0], str)
        and _operators_fold(value.parts[0])
        and not _CONTROL.search(value.parts[0])
    )


def pattern(parts: Sequence[str | Wild], cased: bool, whole: bool = True) -> str:
    """Wildcards as a regular expression without flags for case.

    `(?i)` would let U+212A KELVIN SIGN be a `k`; a set of letters says just what is meant.
    """
    text = ""
    for part in parts:
        if part is Wild.ANY:
            text += ".*"
        elif part is Wild.ONE:
            text += "."
        else:
            text += "".join(_escaped(c) if cased else _letter(c) for c in str(part))
    if not whole:
        return f"(?s){text}"
    begin = "" if text.startswith(".*") else r"\A"
    end = "" if text.endswith(".*") else r"\z"
    core = text[2 * (not begin) : len(text) - 2 * (not end)]
    return f"(?s){begin}{core}{end}"


def _escaped(character: str) -> str:
    r"""A character in a regular expression: what cannot be seen as `\x{9}`."""
    if _CONTROL.match(character):
        return f"\\x{{{ord(character):x}}}"
    return f"\\{character}" if character in ".^$*+?()[]{}|\\-&~#" else character


def _letter(character: str) -> str:
    same = _same(fold(character))
    if len(same) < 2:
        return _escaped(character)
    return "[" + "".join(same) + "]"


@cache
def _same(folded: str) -> tuple[str, ...]:
    """All characters that fold to this one."""
    if folded.isascii():
        return tuple(dict.fromkeys((folded, folded.upper())))
    return tuple(dict.fromkeys((folded, *_by_fold().get(folded, ()))))


@cache
def _by_fold() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for character in near_case():
        if character.isascii() or character.lower() == character:
            continue
        folded = fold(character)
        if folded != character:
            found.setdefault(folded, []).append(character)
    return {key: tuple(values) for key, values in found.items()}


@lru_cache(maxsize=_MANY)
def _operators_fold(text: str) -> bool:
    """Whether the operators' case and ours are one: ASCII, and characters that have no case."""
    return all(c.isascii() or (c.lower() == c == c.upper()) for c in text)


@lru_cache(maxsize=_MANY)
def regex(value: Regex) -> str:
    r"""A rule's regular expression for `matches regex`.

    Kusto's `\d`, `\s` and `\w` may be Unicode's, RE2's are ASCII: they are written out.
    """
    text, place, inside = "", 0, False
    source = value.pattern
    while place < len(source):
        two = source[place : place + 2]
        if two[0] == "\\":
            letter = two[1:]
            if letter in _CLASSES:
                text += _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
            elif letter.lower() in _CLASSES and not inside:
                text += f"[^{_CLASSES[letter.lower()]}]"
            else:
                text += two
            place += 2
            continue
        if two[0] == "[" and not inside:
            inside = True
            head = re.match(r"\[\^?\]?", source[place:])
            assert head is not None
            text += head[0]
            place += len(head[0])
            continue
        if two == "[:" and inside:
            end = source.index(":]", place) + 2
            text += source[place:end]
            place = end
            continue
        inside = inside and two[0] != "]"
        text += two[0]
        place += 1
    return (f"(?{value.flags})" if value.flags else "") + text


def word_edges(value: Regex) -> bool:
    r"""Whether an expression has `\b` or `\B`, whose words may be Unicode's in Kusto."""
    return bool(re.search(r"(?<!\\)(?:\\\\)*\\[bB]", value.pattern))
