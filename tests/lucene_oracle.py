"""Lucene's regexes, read slowly: whether one matches a whole text, by derivatives.

Syntax as in `org.apache.lucene.util.automaton.RegExp` with the flag INTERSECTION: `|`, `&`, then
one after the other, then `?*+{n,m}`, characters, `.`, `[...]`, `()`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

EMPTY: tuple[Any, ...] = ("set", (), False)
NOTHING: tuple[Any, ...] = ("seq",)


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches."""
    node, end = _alternatives(pattern, 0)
    assert end == len(pattern), (pattern, end)
    for character in text:
        node = _after(node, character)
    return _nullable(node)


def _alternatives(text: str, at: int) -> tuple[Any, int]:
    return _linked(text, at, "|", "or", _intersections)


def _intersections(text: str, at: int) -> tuple[Any, int]:
    return _linked(text, at, "&", "and", _sequence)


def _linked(text: str, at: int, mark: str, kind: str, inner: Any) -> tuple[Any, int]:
    one, at = inner(text, at)
    parts = [one]
    while text[at : at + 1] == mark:
        one, at = inner(text, at + 1)
        parts.append(one)
    return (parts[0] if len(parts) == 1 else (kind, *parts)), at


def _sequence(text: str, at: int) -> tuple[Any, int]:
    parts = []
    while at < len(text) and text[at] not in "|&)":
        one, at = _atom(text, at)
        while at < len(text) and text[at] in "?*+{":
            one, at = _repeated(one, text, at)
        parts.append(one)
    return ("seq", *parts), at


def _repeated(one: Any, text: str, at: int) -> tuple[Any, int]:
    if text[at] != "{":
        low, high = {"?": (0, 1), "*": (0, None), "+": (1, None)}[text[at]]
        return ("times", one, low, high), at + 1
    end = text.index("}", at)
    first, comma, last = text[at + 1 : end].partition(",")
    high = int(first) if not comma else int(last) if last else None
    return ("times", one, int(first), high), end + 1


def _atom(text: str, at: int) -> tuple[Any, int]:
    if text[at] == "(":
        if text[at + 1] == ")":
            return NOTHING, at + 2
        node, end = _alternatives(text, at + 1)
        assert text[end] == ")"
        return node, end + 1
    if text[at] == ".":
        return ("set", (), True), at + 1
    if text[at] != "[":
        character, at = _character(text, at)
        return ("set", ((character, character),), False), at
    at += 1
    inverse = text[at] == "^"
    at += inverse
    pairs = []
    while text[at] != "]":
        low, at = _character(text, at)
        high = low
        if text[at] == "-":
            high, at = _character(text, at + 1)
        pairs.append((low, high))
    return ("set", tuple(pairs), inverse), at + 1


def _character(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\":
        assert text[at + 1] not in "dDsSwW"
        return text[at + 1], at + 2
    assert text[at] not in '?*+{}()|&]."#@<>~'
    return text[at], at + 1


@lru_cache(maxsize=100_000)
def _nullable(node: Any) -> bool:
    kind = node[0]
    if kind == "set":
        return False
    if kind == "times":
        return node[2] == 0 or _nullable(node[1])
    return any(map(_nullable, node[1:])) if kind == "or" else all(map(_nullable, node[1:]))


@lru_cache(maxsize=100_000)
def _after(node: Any, character: str) -> Any:
    kind = node[0]
    if kind == "set":
        inside = any(low <= character <= high for low, high in node[1])
        return NOTHING if inside is not node[2] else EMPTY
    if kind == "or":
        parts = {_after(part, character) for part in node[1:]} - {EMPTY}
        return _or(parts)
    if kind == "and":
        found = [_after(part, character) for part in node[1:]]
        return EMPTY if EMPTY in found else ("and", *found)
    if kind == "times":
        _, part, low, high = node
        rest = ("times", part, max(low - 1, 0), None if high is None else high - 1)
        return EMPTY if high == 0 else _seq(_after(part, character), rest)
    found = []
    for place, part in enumerate(node[1:], 1):
        found.append(_seq(_after(part, character), *node[place + 1 :]))
        if not _nullable(part):
            break
    return _or(set(found) - {EMPTY})


def _or(parts: set[Any]) -> Any:
    if not parts:
        return EMPTY
    return parts.pop() if len(parts) == 1 else ("or", *sorted(parts, key=repr))


def _seq(first: Any, *rest: Any) -> Any:
    if first == EMPTY:
        return EMPTY
    return ("seq", *(first[1:] if first[0] == "seq" else (first,)), *rest)
