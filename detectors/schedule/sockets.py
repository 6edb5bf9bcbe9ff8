"""Whose the `path` beside a socket is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from molehunt.schema import Schema
from molehunt.taxonomy import Join

from ..records import Binding, Equality, Origin, TableUse

# Their own `path` is that of Unix sockets and empty for all others (https://osquery.io/schema/).
SOCKETS = frozenset(("listening_ports", "process_open_sockets"))
ROLE, PROGRAM, PATH = "process", "processes", "path"
# What `SELECT *` gives beside it, and who writes columns down leaves out.
SELDOM = frozenset(("fd", "socket"))


def with_program(
    bound: Binding,
    columns: frozenset[str],
    schema: Schema,
    joins: Callable[[str], Mapping[str, Join]],
) -> Binding:
    """The binding of a query without SQL, the path of its sockets as that of their program where
    somebody chose the columns: the program's is what is joined and selected beside ports."""
    shape = bound.shape
    if shape is None or bound.sql:
        return bound
    first = shape.tables[0]
    origin = shape.columns.get(PATH)
    if (
        first.table not in SOCKETS
        or origin is None
        or origin.table != first.table
        or columns >= SELDOM
        or not columns <= schema[first.table].columns.keys()
    ):
        return bound
    same = tuple(
        Equality((ROLE, theirs), (first.alias, ours))
        for theirs, ours in joins(first.table)[ROLE].on
    )
    return replace(
        bound,
        shape=replace(
            shape,
            tables=(*shape.tables, TableUse(ROLE, PROGRAM, optional=True)),
            columns={**shape.columns, PATH: Origin(ROLE, PROGRAM, PATH)},
            equalities=(*shape.equalities, *same),
        ),
    )
