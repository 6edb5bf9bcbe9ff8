"""Provenance of random SELECTs, held against the rows that SQLite itself gives."""

from __future__ import annotations

import re
import sqlite3

from hypothesis import HealthCheck, assume, given, settings
from sqlite_oracle import Query, queries, small, tagged

from molehunt.detectors.records import Shape
from molehunt.detectors.schedule.sql import shape_of
from molehunt.schema import tables

_RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _rows(database: sqlite3.Connection, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """The names and some rows; SQL that SQLite refuses is no example."""
    try:
        cursor = database.execute(sql)
        rows = cursor.fetchmany(300)
    except sqlite3.OperationalError:
        assume(False)
    return [column[0] for column in cursor.description], rows


def _shape(sql: str) -> Shape:
    shape = shape_of(sql, tables())
    assert isinstance(shape, Shape), (shape, sql)
    return shape


@_RELAXED
@given(queries())
def test_every_origin_is_where_sqlite_takes_the_value_from(query: Query) -> None:
    """A value is of the table and column of its origin, or of one that is always equal to it."""
    names, rows = _rows(tagged(), query.sql)
    shape = _shape(query.sql)
    table = {use.alias: use.table for use in shape.tables}
    optional = {use.alias for use in shape.tables if use.optional}
    merges = "USING" in query.sql or "NATURAL" in query.sql
    for row in rows:
        numbers: dict[str, str] = {}
        for name, value in zip(names, row, strict=True):
            origin = shape.columns.get(name)
            if origin is None:
                continue
            if value is None:
                assert origin.alias in optional, (query.sql, name, origin)
                continue
            place, _, number = str(value).partition("#")
            if place != f"{origin.table}.{origin.column}":
                here = (origin.alias, origin.column)
                equal = {side for e in shape.equalities if here in e for side in e}
                assert place in {f"{table[a]}.{c}" for a, c in equal}, (query.sql, name, value)
            elif not merges and names.count(name) == 1:
                known = numbers.setdefault(origin.alias, number)
                assert known == number, (query.sql, name, origin, row)


@_RELAXED
@given(queries())
def test_output_columns_are_named_as_sqlite_names_them(query: Query) -> None:
    """Every column that SQLite gives is in the shape under that name."""
    names, _ = _rows(tagged(), query.sql)
    shape = _shape(query.sql)
    told = {name for name in names if not re.search(r":\d+$", name)}
    assert told <= shape.columns.keys() or "FULL" in query.sql, (query.sql, told)


@_RELAXED
@given(queries())
def test_equal_columns_are_equal_in_every_row(query: Query) -> None:
    """Two columns that a shape calls equal are, unless one side of an outer join is absent."""
    names, rows = _rows(small(), query.sql)
    shape = _shape(query.sql)
    place = {
        (origin.alias, origin.column): names.index(name)
        for name, origin in shape.columns.items()
        if origin is not None and names.count(name) == 1
    }
    for left, right in shape.equalities:
        if left in place and right in place:
            for row in rows:
                one, other = row[place[left]], row[place[right]]
                assert one == other or None in (one, other), (query.sql, left, right, row)
