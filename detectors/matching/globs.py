"""Many wildcard patterns against one text, in time linear in the text for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from molehunt.conditions import Wild

TextTest = Callable[[str], bool]
Pattern = Sequence[str | Wild]


def string_test(patterns: Sequence[Pattern], anywhere: bool = False) -> TextTest:
    """A function that says whether any pattern matches a whole text (or, `anywhere`, a part of it).

    A pattern is a sequence of plain strings and wildcards. Plain equality, prefixes, suffixes and
    substrings are gathered; patterns with `?` are left to RE2.
    """
    equal: set[str] = set()
    prefixes: list[str] = []
    suffixes: list[str] = []
    inside: list[str] = []
    rest: list[TextTest] = []
    for pattern in patterns:
        pieces = _pieces([Wild.ANY, *pattern, Wild.ANY] if anywhere else pattern)
        if any(Wild.ONE in piece for piece in pieces):
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
    tests: list[TextTest] = []
    if equal:
        tests.append(equal.__contains__)
    if prefixes:
        tests.append(lambda text: text.startswith(prefixes))
    if suffixes:
        tests.append(lambda text: text.endswith(suffixes))
    if inside:
        tests.append(_inside(inside))
    tests += rest
    if len(tests) == 1:
        return tests[0]

    def holds(text: str) -> bool:
        for test in tests:
            if test(text):
                return True
        return False

    return holds


def _inside(words: tuple[str, ...]) -> TextTest:
    if len(words) == 1:
        (word,) = words
        return lambda text: word in text

    def holds(text: str) -> bool:
        for word in words:
            if word in text:
                return True
        return False

    return holds


def _pieces(parts: Sequence[Any]) -> list[list[Any]]:
    """The pattern cut at its `*`: characters and `?` between them. Two `*` in a row are one."""
    pieces: list[list[Any]] = [[]]
    previous: Any = None
    for part in parts:
        if part is Wild.ANY:
            if previous is not Wild.ANY:
                pieces.append([])
        elif part is Wild.ONE:
            pieces[-1].append(part)
        else:
            pieces[-1].extend(part)
        previous = part
    return pieces


def _text(piece: list[Any]) -> str:
    return "".join(piece)


def _glob(pieces: list[list[Any]]) -> TextTest:
    """A pattern of pieces with anything between them."""
    if any(Wild.ONE in piece for piece in pieces):
        return _regex_glob(pieces)
    first, *middle, last = map(_text, pieces)

    def holds(text: str) -> bool:
        end = len(text) - len(last)
        place = len(first)
        if end < place or not text.startswith(first) or not text.endswith(last):
            return False
        for piece in middle:
            place = text.find(piece, place, end)
            if place < 0:
                return False
            place += len(piece)
        return True

    return holds


def _regex_glob(pieces: list[list[Any]]) -> TextTest:
    """The same as a regular expression."""
    import re2

    options = re2.Options()
    options.dot_nl = True
    options.never_capture = True
    pattern = ".*".join("".join(map(_as_regex, piece)) for piece in pieces)
    matches = re2.compile(pattern, options).fullmatch
    # As bytes, so that the library need not count characters.
    return lambda text: matches(text.encode()) is not None


def _as_regex(element: str | Wild) -> str:
    """One character, or `?`: any one code point."""
    if element is Wild.ONE:
        return "."
    assert isinstance(element, str)
    return f"\\x{{{ord(element):x}}}" if not element.isalnum() else element
