"""Tie a row to its tables: the last step from a log line to a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from molehunt.schema import tables
from molehunt.taxonomy import EventMap, Taxonomy, taxonomy

from .matching.fields import column_of, subject_of
from .reading.events import source_of
from .records import Binding, Equality, Origin, Record, Row, Shape, TableUse
from .values import as_number, as_text


class Tie(NamedTuple):
    """What a binding says about the envelope: the column of the user and of the event's time."""

    user: str | None
    time: str | None


# Logs with one fixed shape: reader name to table.
SOURCES = {
    "okta": "system_log",
    "azure": "signinlogs",
    "azure_audit": "auditlogs",
    "google_workspace": "login",
}


def source_binding(source: str, query: str) -> Binding | None:
    """The binding of a log that is not osquery's, all of whose fields belong to one table, or of
    rows that an event of Windows tells; None for osquery's own rows."""
    table = SOURCES.get(source)
    if table is not None:
        return Binding(query, "source", Shape((TableUse(table, table),), {}))
    event = next((one for one in taxonomy().events if source_of(one) == source), None)
    return None if event is None else _event_binding(query, event)


def _event_binding(query: str, event: EventMap) -> Binding:
    """As of a query of the event's table, with the joins that its columns need."""
    own, joins = event.table, taxonomy().joins(event.table)
    roles = sorted({one.join for one in event.columns if one.join})
    tables = {"": own, **{role: joins[role].table for role in roles}}
    uses = (TableUse(own, own), *(TableUse(role, tables[role], optional=True) for role in roles))
    equalities = tuple(
        Equality((role, theirs), (own, ours)) for role in roles for theirs, ours in joins[role].on
    )
    columns: dict[str, Origin | None] = {
        one.name: Origin(one.join or own, tables[one.join], one.column) for one in event.columns
    }
    columns["time"] = Origin(own, own, "time")
    shape = Shape(uses, columns, equalities)
    return Binding(query, "event", shape, frozenset(("windows",)), f"told by {event.name}")


def tie_of(binding: Binding, taxonomy: Taxonomy) -> Tie:
    """Which columns of a query say whose row it is and when it happened.

    A time counts only if it is the `time` column of an evented table that the query is about.
    """
    shape = binding.shape
    if shape is None or binding.how == "source":
        return Tie(None, None)
    return Tie(_user_column(shape, taxonomy), _time_column(shape))


def _user_column(shape: Shape, taxonomy: Taxonomy) -> str | None:
    for use in shape.tables:
        info = taxonomy.tables.get(use.table)
        if info is None or info.user is None or use.optional:
            continue
        if subject_of(use.table, shape, taxonomy) == use.alias:
            column = column_of(info.user, use.table, use.alias, shape, taxonomy)
            if column is not None:
                return column
    return None


def _time_column(shape: Shape) -> str | None:
    for use in shape.tables:
        table = tables().get(use.table)
        if table is None or not table.evented or use.optional:
            continue
        for name, origin in shape.columns.items():
            if origin is not None and (origin.alias, origin.column) == (use.alias, "time"):
                return name
    return None


def record_of(row: Row, binding: Binding, tie: Tie) -> Record:
    """The record of a row; `tie` must come from `tie_of(binding)`."""
    user, event_at = row.user, row.event_at
    if tie.user is not None:
        user = as_text(_first(row.values.get(tie.user))) or None  # type: ignore[arg-type]
    if tie.time is not None:
        event_at = _seconds(row.values.get(tie.time))
    return Record(
        row.source,
        row.query,
        row.host,
        user,
        row.action,
        row.observed_at,
        event_at,
        row.values,
        _provenance(row, binding),
        row.decorations,
        row.counter,
        row.locator,
        binding,
    )


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _seconds(value: object) -> float | None:
    number = as_number(_first(value))  # type: ignore[arg-type]
    return None if number is None or number <= 0 else float(number)


def _provenance(row: Row, binding: Binding) -> Mapping[str, Origin | None]:
    if binding.how != "source" or binding.shape is None:
        return binding.provenance
    table = binding.shape.tables[0].table
    return {name: Origin(table, table, name) for name in row.values}
