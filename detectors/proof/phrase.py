"""The condition of a Sigma rule as a small tree, so that one part of it can be taken out or turned.

Grammar: the appendix "condition" of the Sigma specification 2.1: `or` binds weakest, then `and`,
then `not`; `1 of`, `any of`, `all of` and names are leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

_TOKEN = re.compile(r"\(|\)|(?:1|any|all)\s+of\s+[\w*?-]+|[\w*?-]+", re.IGNORECASE)


class Join(NamedTuple):
    """Operands linked by `and` or `or`."""

    word: str
    parts: tuple[Phrase, ...]


class Negation(NamedTuple):
    """`not` before something."""

    part: Phrase


class Several(NamedTuple):
    """`1 of pattern` or `all of pattern`."""

    word: str
    pattern: str


class Name(NamedTuple):
    """A detection by its name."""

    name: str


Phrase: TypeAlias = Join | Negation | Several | Name


def parse(text: str) -> Phrase | None:
    """The tree of a condition; None for what is not of the grammar (a pipe, say)."""
    tokens = [" ".join(token.split()) for token in _TOKEN.findall(text)]
    if "".join(tokens).replace(" ", "") != "".join(text.split()):
        return None
    found, rest = _joined(tokens, ("or", "and"))
    return None if rest else found


def _joined(tokens: list[str], words: tuple[str, ...]) -> tuple[Phrase | None, list[str]]:
    if not words:
        return _single(tokens)
    parts: list[Phrase] = []
    rest = tokens
    while True:
        part, rest = _joined(rest, words[1:])
        if part is None:
            return None, tokens
        parts.append(part)
        if not rest or rest[0].lower() != words[0]:
            break
        rest = rest[1:]
    return (parts[0] if len(parts) == 1 else Join(words[0], tuple(parts))), rest


def _single(tokens: list[str]) -> tuple[Phrase | None, list[str]]:
    if not tokens or tokens[0] == ")":
        return None, tokens
    head, rest = tokens[0], tokens[1:]
    if head.lower() == "not":
        part, rest = _single(rest)
        return (None if part is None else Negation(part)), rest
    if head == "(":
        part, rest = _joined(rest, ("or", "and"))
        if part is None or not rest or rest[0] != ")":
            return None, tokens
        return part, rest[1:]
    word, _, pattern = head.partition(" of ")
    if pattern:
        return Several("all" if word.lower() == "all" else "1", pattern), rest
    return Name(head), rest


def written(phrase: Phrase, inside: bool = False) -> str:
    """The condition as text; with `inside`, in brackets if it needs them there."""
    match phrase:
        case Join():
            text = f" {phrase.word} ".join(written(part, True) for part in phrase.parts)
            return f"({text})" if inside else text
        case Negation():
            return f"not {written(phrase.part, True)}"
        case Several():
            return f"{phrase.word} of {phrase.pattern}"
        case Name():
            return phrase.name


def changes(phrase: Phrase, names: list[str]) -> Iterator[tuple[str, Phrase]]:
    """Each way to change one thing in the condition: what was done in words, and the result.

    `names` are the detections that a pattern can mean.
    """
    match phrase:
        case Join():
            other = "or" if phrase.word == "and" else "and"
            yield f"{phrase.word} -> {other} in '{written(phrase)}'", Join(other, phrase.parts)
            for index, part in enumerate(phrase.parts):
                left = (*phrase.parts[:index], *phrase.parts[index + 1 :])
                yield (
                    f"'{written(part)}' removed",
                    left[0] if len(left) == 1 else Join(phrase.word, left),
                )
                for what, new in changes(part, names):
                    yield (
                        what,
                        Join(phrase.word, (*phrase.parts[:index], new, *phrase.parts[index + 1 :])),
                    )
        case Negation():
            yield f"not removed before '{written(phrase.part)}'", phrase.part
            for what, new in changes(phrase.part, names):
                yield what, Negation(new)
        case Several():
            if len(meant(phrase.pattern, names)) > 1:
                other = "all" if phrase.word == "1" else "1"
                yield (
                    f"{phrase.word} -> {other} of {phrase.pattern}",
                    Several(other, phrase.pattern),
                )
        case Name():
            pass


def meant(pattern: str, names: list[str]) -> list[str]:
    """The detections that a pattern means; `them` is all whose name does not begin with `_`."""
    if pattern == "them":
        return [name for name in names if not name.startswith("_")]
    return [name for name in names if fnmatchcase(name, pattern)]


def asks(phrase: Phrase | None) -> bool:
    """Whether a condition asks for anything, and does not only rule out."""
    match phrase:
        case Join():
            return any(map(asks, phrase.parts))
        case Negation():
            return False
        case _:
            return True


def leaves(phrase: Phrase) -> Iterator[Several | Name]:
    """The names and patterns in it."""
    match phrase:
        case Join():
            for part in phrase.parts:
                yield from leaves(part)
        case Negation():
            yield from leaves(phrase.part)
        case Several() | Name():
            yield phrase
