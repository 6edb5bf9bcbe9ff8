"""Log lines that documents hold as text: the part in C tells of which of them no rule wants the
row, as of lines of a log, and those are not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..reading import Opened, Passed, StoredLine, opened
from ..reading.lines import Parsed, parse_line
from ..records import Locator
from .judge import Judge
from .route import EVERY_RULE

# How the lines begin that are judged.
FRONT = b'{"name":"'
# A shape met so often in stored lines is taken in.
OFTEN = 64
# Bytes of a sample that are opened for the lines inside.
SAMPLED = 1 << 20
NOTHING = (Opened((Passed(),)),)


class Piece(NamedTuple):
    """A line, or a document that is none: where it stands, what was read, opened, and the rules (a
    mask) that may match in it."""

    where: Locator
    parsed: Parsed
    opened: tuple[Opened, ...]
    rules: int = EVERY_RULE


def piece(parsed: Parsed, where: Locator, rules: int = EVERY_RULE) -> Piece:
    """What was read, opened."""
    return Piece(where, parsed, tuple(opened(one, where) for one in parsed.documents), rules)


def without_unwanted(pieces: Sequence[Piece], judge: Judge) -> list[Piece]:
    """The same pieces, in which stored lines that no rule wants are passed over."""
    stored = [(number, part) for number, one in enumerate(pieces) for part in _stored(one)]
    left = list(pieces)
    if not stored:
        return left
    unwanted = [True] * len(stored)
    _, kept = judge.sift(b"".join([part.line + b"\n" for _, part in stored]), OFTEN)
    for told in kept:
        unwanted[told.before] = False
        number, _ = stored[told.before]
        if told.rules is not None and _is_alone(pieces[number]):
            left[number] = pieces[number]._replace(rules=told.rules)
    gone: dict[int, set[int]] = {}
    for (number, part), passed in zip(stored, unwanted, strict=True):
        if passed and _is_alone(pieces[number]):
            left[number] = pieces[number]._replace(opened=NOTHING)
        elif passed:
            gone.setdefault(number, set()).add(id(part))
    for number, parts in gone.items():
        left[number] = _without(left[number], parts)
    return left


def _stored(one: Piece) -> list[StoredLine]:
    """The stored lines that may be judged."""
    return [
        part
        for each in one.opened
        for part in each.parts
        if isinstance(part, StoredLine) and part.line.startswith(FRONT) and b"\n" not in part.line
    ]


def _is_alone(one: Piece) -> bool:
    """Whether a stored line is all that a piece holds, and nothing was noticed."""
    return (
        one.rules == EVERY_RULE
        and len(one.opened) == 1
        and one.opened[0][1:] == ((), 0)
        and (len(one.opened[0].parts) == 1)
    )


def _without(one: Piece, gone: set[int]) -> Piece:
    """A piece in which the parts of these identities are passed over."""
    return one._replace(
        opened=tuple(
            each._replace(
                parts=tuple(Passed() if id(part) in gone else part for part in each.parts)
            )
            for each in one.opened
        )
    )


def stored_in(sample: bytes) -> bytes:
    """The stored lines in a sample (whole lines), as lines."""
    found: list[bytes] = []
    for line in sample[:SAMPLED].splitlines(keepends=True):
        if line.startswith(FRONT) or not line.endswith(b"\n"):
            continue
        there = piece(parse_line(line), Locator("", 0, 0, 0))
        found += [part.line + b"\n" for part in _stored(there)]
    return b"".join(found)
