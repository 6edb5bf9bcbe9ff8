"""Turn files into rows: `inputs` (files to blocks of lines or documents), `lines` (a line to JSON
documents), and one small module per kind of log.

A log has `NAME`, `claims(document)` and `rows(document, where)`. A way of storing logs has
`claims(document)` and `unwrap(document, where)`; see `wrapping`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from molehunt.problems import Severity

from ..records import Locator, Row
from . import (
    delivered,
    elastic,
    entra,
    entra_csv,
    events,
    filebeat,
    fleet,
    okta,
    okta_csv,
    osquery,
    osquery_manager,
    pages,
    shipped,
    splunk,
    tls,
    workspace,
)
from .wrapping import Trap, Unwrapped


class Reader(Protocol):
    """What a module for one kind of log offers; see `osquery` for the model."""

    NAME: str

    def claims(self, document: Mapping[str, Any]) -> bool:
        """Whether the document is of this kind; must be cheap and must not raise."""

    def rows(self, document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
        """The rows of a claimed document, numbered from `where.row`."""


class Wrapper(Protocol):
    """What a module for one way of storing logs offers; see `elastic` for the model."""

    MARKS: tuple[bytes, ...]

    def claims(self, document: Mapping[str, Any]) -> bool:
        """Whether the document is of this kind; must be cheap and must not raise."""

    def unwrap(self, document: Mapping[str, Any], where: Locator) -> Unwrapped:
        """What a claimed document holds."""


class Read(NamedTuple):
    """What was found in one document. `unknown` counts the objects of no known log in it."""

    rows: tuple[Row, ...]
    traps: tuple[Trap, ...] = ()
    unknown: int = 0


# A module is a Reader: mypy cannot see that, so the names are bound one by one.
READERS = (osquery, okta, entra, workspace)
WRAPPERS = (
    tls,
    elastic,
    filebeat,
    osquery_manager,
    splunk,
    fleet,
    okta_csv,
    entra_csv,
    pages,
    delivered,
    shipped,
)
MARKS = frozenset(mark for one in (*WRAPPERS, entra, workspace, events) for mark in one.MARKS)

# A line of osquery in a syslog line in a hit of a search is three deep.
_DEPTH = 8
_UNKNOWN = Trap(
    "a stored object of no known log", "docs/inputs.md lists what is read", Severity.ERROR
)


def read_document(document: Mapping[str, Any], where: Locator) -> Read:
    """The rows of a document, in the order in which they stand, then what rows among them tell
    besides (`events`), and what was noticed."""
    for reader in READERS:
        if reader.claims(document):
            read = Read(tuple(reader.rows(document, where)))
            break
    else:
        read = _unwrapped(document, where)
    more = tuple(events.told(read.rows))
    return read._replace(rows=read.rows + more) if more else read


def _unwrapped(document: Mapping[str, Any], where: Locator) -> Read:
    rows: list[Row] = []
    traps: list[Trap] = []
    unknown = 0
    todo: list[tuple[Any, int]] = [(document, 0)]
    while todo:
        current, depth = todo.pop()
        if isinstance(current, dict) and depth < _DEPTH:
            reader = next((reader for reader in READERS if reader.claims(current)), None)
            if reader is not None:
                here = where._replace(row=where.row + len(rows))
                rows += reader.rows(current, here)
                continue
            wrapper = next((wrapper for wrapper in WRAPPERS if wrapper.claims(current)), None)
            if wrapper is not None:
                inside = wrapper.unwrap(current, where)
                traps += inside.traps
                todo += ((item, depth + 1) for item in reversed(inside.documents))
                continue
        unknown += 1
        if depth:
            traps.append(_UNKNOWN)
    return Read(tuple(rows), tuple(traps), unknown)
