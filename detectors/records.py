"""The record: one row of telemetry, immutable, with where each value came from.

Envelope and columns are kept apart, since both may hold `action` or `name`. Values stay as they
were logged; normalising is the taxonomy's business and happens when a rule is matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]

EMPTY: Mapping[str, str] = MappingProxyType({})


class Locator(NamedTuple):
    """Where a record stands.

    `offset` is the byte offset of the line in the (decompressed) file, `line` counts from 1,
    `row` is the index of the row within the line, from 0. Of a document that goes over many lines
    it is the beginning that counts.
    """

    file: str
    offset: int
    line: int
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.row}" if self.row else "")


class Origin(NamedTuple):
    """The source column behind one output column of a query."""

    alias: str
    table: str
    column: str


class TableUse(NamedTuple):
    """One use of a table in a query. `optional` means it is the outer side of a LEFT JOIN."""

    alias: str
    table: str
    optional: bool = False


class Equality(NamedTuple):
    """A join condition `left = right`, each an `(alias, column)` pair."""

    left: tuple[str, str]
    right: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a scheduled query puts into its rows.

    `columns` maps each output column to its origin, or to None where the column is computed or
    cannot be told. `stars` are the aliases whose columns come whole (`SELECT *`).
    """

    tables: tuple[TableUse, ...]
    columns: Mapping[str, Origin | None]
    equalities: tuple[Equality, ...] = ()
    stars: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """How the rows of one query are tied to tables.

    `how` is `config`, `pack`, `name`, `column shape`, `source` (a log with one fixed shape),
    `event` (what an event of Windows tells) or `unbound`; `note` says why in words. `platforms` are
    the systems the query runs on, in osquery's spelling (empty: unknown).
    """

    query: str
    how: str
    shape: Shape | None
    platforms: frozenset[str] = frozenset()
    note: str = ""
    sql: str = ""

    @property
    def provenance(self) -> Mapping[str, Origin | None]:
        """Output column to origin; empty for an unbound query."""
        return self.shape.columns if self.shape else {}


class Row(NamedTuple):
    """One row as a reader found it, before anything is known about its query.

    `action` is `added`, `removed`, `snapshot` or, for event-like sources, `event`.
    `observed_at` is the time of the log line in seconds since 1970 UTC, or None if the line has
    none. `counter` is osquery's. `source` names the reader.
    """

    source: str
    query: str
    host: str
    action: str
    observed_at: float | None
    values: Mapping[str, Value]
    locator: Locator
    decorations: Mapping[str, str] = EMPTY
    counter: int | None = None
    user: str | None = None
    event_at: float | None = None


class Record(NamedTuple):
    """A row tied to its tables: the thing that rules are matched against.

    `event_at` is set only from the bound `time` column of an evented table (or by a reader whose
    source states it); it is never guessed from the clock. `user` is set where the query says whose
    row it is. `provenance` has the origin of each output column.
    """

    source: str
    query: str
    host: str
    user: str | None
    action: str
    observed_at: float | None
    event_at: float | None
    values: Mapping[str, Value]
    provenance: Mapping[str, Origin | None]
    decorations: Mapping[str, str]
    counter: int | None
    locator: Locator
    binding: Binding

    @property
    def at(self) -> float | None:
        """When it happened, or else when it was seen; seconds since 1970 UTC."""
        return self.event_at if self.event_at is not None else self.observed_at


class Reason(NamedTuple):
    """One thing that made a rule match: the rule's field, the logged column and value, and what was
    wanted. A keyword has neither field nor column."""

    field: str
    column: str
    value: Value
    wanted: str
