"""Many wildcard patterns against one text, in time linear in the text for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigma.types import SpecialChars

_MULTI, _SINGLE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE

TextTest = Callable[[str], bool]


def string_test(patterns: list[list[Any]], anywhere: bool = False) -> TextTest:
    """A function that says whether any pattern matches a whole text (or, `anywhere`, a part of it).

    A pattern is pySigma's list of plain strings and wildcards. Plain equality, prefixes, suffixes
    and substrings are gathered; only the rest is matched piece by piece.
    """
    equal: set[str] = set()
    prefixes: list[str] = []
    suffixes: list[str] = []
    inside: list[str] = []
    rest: list[TextTest] = []
    for pattern in patterns:
        parts = [_MULTI, *pattern, _MULTI] if anywhere else pattern
        pieces = _pieces(parts)
        if any(_SINGLE in piece for piece in pieces):
            rest.append(_glob(pieces))
        elif len(pieces) == 1:
            equal.add(_text(pieces[0]))
        elif len(pieces) == 2 and not pieces[1]:
            prefixes.append(_text(pieces[0]))
        elif len(pieces) == 2 and not pieces[0]:
            suffixes.append(_text(pieces[1]))
        elif len(pieces) == 3 and not pieces[0] and not pieces[2]:
            inside.append(_text(pieces[1]))
        else:
            rest.append(_glob(pieces))
    return _combined(frozenset(equal), tuple(prefixes), tuple(suffixes), tuple(inside), rest)


def _combined(
    equal: frozenset[str],
    prefixes: tuple[str, ...],
    suffixes: tuple[str, ...],
    inside: tuple[str, ...],
    rest: list[TextTest],
) -> TextTest:
    def holds(text: str) -> bool:
        return (
            text in equal
            or text.startswith(prefixes)
            or text.endswith(suffixes)
            or any(word in text for word in inside)
            or any(test(text) for test in rest)
        )

    return holds


def _pieces(parts: list[Any]) -> list[list[Any]]:
    """The pattern cut at its `*`: characters and `?` between them. Two `*` in a row are one."""
    pieces: list[list[Any]] = [[]]
    previous: Any = None
    for part in parts:
        if part is _MULTI:
            if previous is not _MULTI:
                pieces.append([])
        elif part is _SINGLE:
            pieces[-1].append(part)
        else:
            pieces[-1].extend(part)
        previous = part
    return pieces


def _text(piece: list[Any]) -> str:
    return "".join(piece)


def _glob(pieces: list[list[Any]]) -> TextTest:
    """First piece at the start, last at the end, the others leftmost in between."""
    first, last, middle = pieces[0], pieces[-1], pieces[1:-1]

    def holds(text: str) -> bool:
        if len(pieces) == 1:
            return len(text) == len(first) and _at(first, text, 0)
        end = len(text) - len(last)
        if end < len(first) or not _at(first, text, 0) or not _at(last, text, end):
            return False
        place = len(first)
        for piece in middle:
            place = _find(piece, text, place, end)
            if place < 0:
                return False
        return True

    return holds


def _at(piece: list[Any], text: str, place: int) -> bool:
    return all(
        wanted is _SINGLE or wanted == text[place + index] for index, wanted in enumerate(piece)
    )


def _find(piece: list[Any], text: str, start: int, end: int) -> int:
    """Where the text goes on after the leftmost occurrence of the piece, or -1."""
    if _SINGLE not in piece:
        found = text.find("".join(piece), start, end)
        return -1 if found < 0 else found + len(piece)
    for place in range(start, end - len(piece) + 1):
        if _at(piece, text, place):
            return place + len(piece)
    return -1
