"""Sets of characters as sorted ranges of code points, and how Lucene's regexes write them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TypeAlias

from molehunt.detectors.values import fold, near_case

Ranges: TypeAlias = tuple[tuple[int, int], ...]

LAST = sys.maxunicode
ANY: Ranges = ((0, LAST),)
DIGITS: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
# RE2's \s has no vertical tab (RE2 syntax page, "Perl character classes").
SPACE: Ranges = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))


def union(*several: Iterable[tuple[int, int]]) -> Ranges:
    """All characters of all of them."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for one in several for pair in one):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def negated(ranges: Ranges) -> Ranges:
    """All other characters."""
    found, following = [], 0
    for low, high in ranges:
        if low > following:
            found.append((following, low - 1))
        following = high + 1
    return (*found, (following, LAST)) if following <= LAST else tuple(found)


def common(one: Ranges, other: Ranges) -> Ranges:
    """The characters that are in both."""
    return negated(union(negated(one), negated(other)))


def of(characters: Iterable[str]) -> Ranges:
    """A set of characters."""
    if isinstance(characters, str) and len(characters) == 1:
        return ((ord(characters), ord(characters)),)
    return union((ord(c), ord(c)) for c in characters)


@lru_cache(maxsize=1 << 13)
def written(ranges: Ranges) -> str:
    """The set as Lucene's regexes write it (`org.apache.lucene.util.automaton.RegExp`)."""
    if ranges == ANY:
        return "."
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return literal(chr(ranges[0][0]))
    outside = negated(ranges)
    if ranges[-1][1] == LAST and outside:
        return "[^" + "".join(_span(*pair) for pair in outside) + "]"
    return "[" + "".join(_span(*pair) for pair in ranges) + "]"


def _span(low: int, high: int) -> str:
    if low == high:
        return literal(chr(low))
    return literal(chr(low)) + ("-" if high > low + 1 else "") + literal(chr(high))


_SPECIAL = frozenset(r'.?+*|{}[]()"\\#@&<>~^-')


def literal(text: str) -> str:
    """Text that means itself in a regex, inside brackets and outside."""
    return "".join("\\" + c if c in _SPECIAL else c for c in text)


def same_letters(character: str) -> str:
    """All characters that fold to the same as this one (docs/semantics.md, "Text")."""
    folded = fold(character)
    if folded.isascii():
        return "".join(dict.fromkeys((folded, folded.upper())))
    return "".join(dict.fromkeys((folded, *_unfolded().get(folded, ()))))


@cache
def _unfolded() -> dict[str, list[str]]:
    """Non-ASCII characters by what they fold to, of those that are not their own fold."""
    found: dict[str, list[str]] = {}
    for code in _cased():
        folded = fold(chr(code))
        if folded != chr(code):
            found.setdefault(folded, []).append(chr(code))
    return found


def _cased() -> Iterator[int]:
    return (ord(c) for c in near_case() if c > "\x7f" and c.lower() != c)


@cache
def _all_cased() -> str:
    return "".join(c for c in near_case() if c.lower() != c or c.upper() != c)


@cache
def folded_by_re2(ranges: Ranges) -> Ranges:
    """The set with every character that RE2's `(?i)` takes for one of it, asked of RE2 itself."""
    import re2

    if not any(high >= 0x41 for _, high in ranges):
        return ranges
    spans = "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges)
    return union(ranges, of(re2.compile(f"(?i)[{spans}]").findall(_all_cased())))
