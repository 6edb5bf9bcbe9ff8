"""Many wildcard patterns against one text, in time linear in the text for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from molehunt.conditions import Wild

TextTest = Callable[[str], bool]
Pattern = Sequence[str | Wild]
# What the expression for patterns with `?` may take, in bytes.
MEMORY = 64 << 20


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
    ones: list[list[list[Any]]] = []
    for pattern in patterns:
        pieces = _pieces([Wild.ANY, *pattern, Wild.ANY] if anywhere else pattern)
        if any(Wild.ONE in piece for piece in pieces):
            ones.append(pieces)
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
    if ones:
        rest.append(_regex_globs(ones))
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
    """A pattern of pieces without `?`, with anything between them."""
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


def _regex_globs(patterns: list[list[list[Any]]]) -> TextTest:
    """Patterns with `?` as one regular expression, compiled when first asked."""
    matches: Callable[[bytes], Any] | None = None

    def holds(text: str) -> bool:
        nonlocal matches
        if matches is None:
            matches = _compiled(patterns)
        # As bytes, so that the library need not count characters.
        return matches(text.encode()) is not None

    return holds


def _compiled(patterns: list[list[list[Any]]]) -> Callable[[bytes], Any]:
    import re2

    options = re2.Options()
    options.dot_nl = True
    options.never_capture = True
    options.max_mem = MEMORY
    whole = "|".join(
        ".*".join("".join(map(_as_regex, piece)) for piece in pieces) for pieces in patterns
    )
    matches: Callable[[bytes], Any] = re2.compile(whole, options).fullmatch
    return matches


def _as_regex(element: str | Wild) -> str:
    """One character, or `?`: any one code point."""
    if element is Wild.ONE:
        return "."
    assert isinstance(element, str)
    return f"\\x{{{ord(element):x}}}" if not element.isalnum() else element
