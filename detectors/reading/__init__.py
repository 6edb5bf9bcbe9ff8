"""Turn files into rows: `inputs` (files to blocks of lines or documents), `lines` (a line to JSON
documents), and one small module per kind of log.

A log has `NAME`, `KEYS`, `claims(document)` and `rows(document, where)`. A way of storing logs has
`KEYS`, `claims(document)` and `unwrap(document, where)`; see `wrapping` and `kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from molehunt.problems import Severity

from ..records import Locator, Row
from . import events
from .kinds import MARKS, READERS, WRAPPERS, Reader, claimant
from .lines import parse_line
from .wrapping import BROKEN_INSIDE, Stored, Trap

__all__ = [
    "MARKS",
    "READERS",
    "WRAPPERS",
    "Held",
    "Opened",
    "Passed",
    "Read",
    "StoredLine",
    "opened",
    "read_document",
    "read_opened",
]

# A line of osquery in a syslog line in a hit of a search is three deep.
_DEPTH = 8
_UNKNOWN = Trap(
    "a stored object of no known log", "docs/inputs.md lists what is read", Severity.ERROR
)


class Held(NamedTuple):
    """A document of a known log."""

    reader: Reader
    document: Mapping[str, Any]


class StoredLine(NamedTuple):
    """A log line that a document holds as text, so many wrappers deep."""

    line: bytes
    depth: int


class Passed(NamedTuple):
    """A stored line that is passed over: it is one row that nobody wants."""


Part: TypeAlias = Held | StoredLine | Passed


class Opened(NamedTuple):
    """What a document holds, in order: opened as far as no stored line has to be read."""

    parts: tuple[Part, ...]
    traps: tuple[Trap, ...] = ()
    unknown: int = 0


class Read(NamedTuple):
    """What was found in one document. `unknown` counts the objects of no known log in it, `passed`
    the rows that were passed over."""

    rows: tuple[Row, ...]
    traps: tuple[Trap, ...] = ()
    unknown: int = 0
    passed: int = 0


def read_document(document: Mapping[str, Any], where: Locator) -> Read:
    """The rows of a document, in the order in which they stand, then what rows among them tell
    besides (`events`), and what was noticed."""
    return read_opened(opened(document, where), where)


def opened(document: Any, where: Locator, depth: int = 0) -> Opened:
    """What a document holds that is so many wrappers deep."""
    parts: list[Part] = []
    traps: list[Trap] = []
    unknown = 0
    todo: list[tuple[Any, int]] = [(document, depth)]
    while todo:
        current, depth = todo.pop()
        if isinstance(current, Stored):
            parts.append(StoredLine(current.line, depth))
            continue
        if isinstance(current, dict) and depth < _DEPTH:
            reader, wrapper = claimant(current)
            if reader is not None:
                parts.append(Held(reader, current))
                continue
            if wrapper is not None:
                inside = wrapper.unwrap(current, where)
                traps += inside.traps
                depth += 1
                todo += [(item, depth) for item in reversed(inside.documents)]
                continue
        unknown += 1
        if depth:
            traps.append(_UNKNOWN)
    return Opened(tuple(parts), tuple(traps), unknown)


def read_opened(one: Opened, where: Locator) -> Read:
    """What `read_document` gives of a document that was opened."""
    read = _read(one, where)
    last = where.row + len(read.rows) + read.passed - 1
    more = tuple(events.told(read.rows, last))
    return read._replace(rows=read.rows + more) if more else read


def _read(one: Opened, where: Locator) -> Read:
    if len(one.parts) == 1 and not one.traps and not one.unknown:
        (part,) = one.parts
        return _part(part, where)
    rows: list[Row] = []
    traps, unknown, passed = list(one.traps), one.unknown, 0
    for part in one.parts:
        read = _part(part, where._replace(row=where.row + len(rows) + passed))
        rows += read.rows
        traps += read.traps
        unknown += read.unknown
        passed += read.passed
    return Read(tuple(rows), tuple(traps), unknown, passed)


def _part(part: Part, where: Locator) -> Read:
    if isinstance(part, Passed):
        return Read((), passed=1)
    if isinstance(part, Held):
        return Read(tuple(part.reader.rows(part.document, where)))
    parsed = parse_line(part.line)
    inside = [opened(document, where, part.depth) for document in parsed.documents]
    return _read(
        Opened(
            tuple(held for one in inside for held in one.parts),
            ((BROKEN_INSIDE,) if parsed.broken else ())
            + tuple(trap for one in inside for trap in one.traps),
            sum(one.unknown for one in inside),
        ),
        where,
    )
