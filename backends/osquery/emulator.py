"""Compiled queries on SQLite with osquery's tables, types, collations and functions.

Each recorded row is put back into the tables that it came from, alone, and counts as found if a
query gives back that very row. What is not imitated: tables that demand a constraint (the pack's
queries give it), and users' own tables (they are joined with `users` there).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from molehunt.data import load_yaml
from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text
from molehunt.normalise import control_text
from molehunt.schema import tables

from ..model import Answer, Artefact, Engine, Evidence, Profile, Session
from .compiling import Source, pack_sources
from .functions import add_functions

_INNER = re.compile(r"(\w+)\.(\w+) IN \(SELECT (\w+) FROM (\w+)", re.IGNORECASE)
_RECENT = re.compile(r"(\w+) > CAST\(strftime\('%s', 'now'\)")
_TYPES = {"text": "TEXT", "integer": "INTEGER", "bigint": "BIGINT",
          "unsigned_bigint": "UNSIGNED BIGINT", "double": "DOUBLE"}  # fmt: skip

Rows = dict[str, dict[str, Any]]


class Emulator:
    """One SQLite database with the tables that the pack reads."""

    def __init__(self) -> None:
        self._now = 0.0
        self._database = sqlite3.connect(":memory:", cached_statements=4096, isolation_level=None)
        add_functions(self._database)
        # "now" is when the row was logged.
        self._database.create_function("strftime", -1, self._strftime)
        create_tables(self._database, _used_tables())
        self._records: Sequence[Record] = ()

    def load(self, records: Sequence[Record]) -> None:
        """Keep the records; they are put into tables one at a time."""
        self._records = records

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Run each query against each recorded row of the queries that it stems from."""
        asked = list(artefacts)
        found: dict[str, set[int]] = {one.rule: set() for one in asked}
        errors: dict[str, str] = {}
        waiting = _by_query(asked)
        remembered: dict[tuple[Any, ...], frozenset[str]] = {}
        for place, record in enumerate(self._records):
            name = pack_name(record)
            statements = waiting.get(name, ())
            if not statements:
                continue
            source = _source(name)
            row = logged_row(record, source)
            # Rows that were logged again and again are asked about once.
            timed = record.observed_at if "strftime" in source.sql else None
            key = (name, tuple(sorted(row.items())), record.action == "removed", timed)
            if key not in remembered:
                remembered[key] = self._found(record, row, source, statements, errors)
            for rule in remembered[key]:
                found[rule].add(place)
        for one in asked:
            if one.rule in errors:
                yield Answer(one.rule, error=errors[one.rule])
            else:
                yield Answer(one.rule, frozenset(found[one.rule]))

    def _found(
        self,
        record: Record,
        row: Mapping[str, str],
        source: Source,
        statements: Iterable[tuple[str, bool, str]],
        errors: dict[str, str],
    ) -> frozenset[str]:
        filled = self._placed(record, row, source)
        found = set()
        for rule, removed, sql in statements:
            # A removed row is no longer there; rules that ask for it saw it while it was.
            if record.action == "removed" and not removed:
                continue
            try:
                if self.finds(sql, row):
                    found.add(rule)
            except sqlite3.Error as error:
                errors[rule] = str(error)
        self._clear(filled)
        return frozenset(found)

    def finds(self, sql: str, row: Mapping[str, str]) -> bool:
        """Whether a query gives that row among its answers. Raises sqlite3.Error."""
        answers = self._database.execute(sql)
        names = [one[0] for one in answers.description]
        return any(
            {n: _told(value) for n, value in zip(names, values, strict=True)} == row
            for values in answers
        )

    def reproduces(self, record: Record) -> bool:
        """Whether the pack's own query can have given that row."""
        name = pack_name(record)
        if not name:
            return False
        source = _source(name)
        row = logged_row(record, source)
        filled = self._placed(record, row, source)
        found = self.finds(source.sql, row)
        self._clear(filled)
        return found

    def _placed(
        self, record: Record, row: Mapping[str, str], source: Source
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The tables that were filled with the row. A time that the query only asks to be recent,
        and does not log, was: it is now."""
        self._now = record.observed_at or 0.0
        filled = place_row(row, source)
        for column in _RECENT.findall(source.sql):
            for table, rows in filled.items():
                if column in tables()[table].columns:
                    for one in rows:
                        one.setdefault(column, int(self._now))
        self._fill(filled)
        return filled

    def _fill(self, filled: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for table, rows in filled.items():
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" for _ in row)
                self._database.execute(
                    f'INSERT INTO "{table}" ({names}) VALUES ({marks})',  # noqa: S608
                    list(row.values()),
                )

    def _clear(self, filled: Iterable[str]) -> None:
        for table in filled:
            self._database.execute(f'DELETE FROM "{table}"')  # noqa: S608

    def _strftime(self, layout: str, *moment: object) -> str | None:
        if moment == ("now",):
            if layout == "%s":
                return str(int(self._now))
            return datetime.fromtimestamp(self._now, UTC).strftime(layout)
        return None

    def close(self) -> None:
        """Drop the database."""
        self._database.close()


def _used_tables() -> set[str]:
    used = {use.table for source in pack_sources().values() for use in source.shape.tables}
    for source in pack_sources().values():
        used |= {found[3] for found in _INNER.findall(source.sql)}
    return used


def create_tables(database: sqlite3.Connection, names: Iterable[str]) -> None:
    """Empty tables with osquery's columns, types and collations."""
    for name in sorted(names):
        columns = ", ".join(
            f'"{one.name}" {_TYPES[one.type]}'
            + (f" COLLATE {one.collate.upper()}" if one.collate else "")
            for one in tables()[name].columns.values()
        )
        database.execute(f'CREATE TABLE "{name}" ({columns})')


def _by_query(artefacts: Iterable[Artefact]) -> dict[str, tuple[tuple[str, bool, str], ...]]:
    """For each query of the pack: rule, whether it looks at removed rows, SQL."""
    found: dict[str, dict[tuple[str, bool, str], None]] = {}
    for artefact in artefacts:
        for statement in artefact.query:
            for name in statement["queries"]:
                entry = (artefact.rule, statement["removed"], statement["sql"])
                # Older logs have the query under its name without the system.
                plain = _plain(name)
                for one in {name, plain}:
                    found.setdefault(one, {})[entry] = None
    return {name: tuple(entries) for name, entries in found.items()}


@cache
def _plain(name: str) -> str:
    return name if name in load_yaml("pack.yml")["queries"] else name.rpartition("_")[0]


def pack_name(record: Record) -> str:
    """The name in the pack of the query that a record is from; "" if it is of no such query."""
    if record.binding.how != "pack":
        return ""
    return record.binding.query.rpartition("molehunt")[2].strip("_/") or record.binding.query


@cache
def _source(name: str) -> Source:
    sources = pack_sources()
    return sources.get(name) or next(one for other, one in sources.items() if _plain(other) == name)


def logged_row(record: Record, source: Source) -> dict[str, str]:
    """The row as osquery had it before it wrote it: control characters as they are."""
    escaped = record.action in ("added", "removed")
    row = {}
    for name in source.shape.columns:
        text = as_text(record.values.get(name))  # type: ignore[arg-type]
        row[name] = control_text(text) if escaped else text
    return row


def place_row(row: Mapping[str, str], source: Source) -> dict[str, list[dict[str, Any]]]:
    """Rows for the tables behind a query, so that the query gives back `row`.

    What a join needs and the row does not tell is made up, the same on both sides.
    """
    shape = source.shape
    rows: Rows = {use.alias: {} for use in shape.tables}
    for name, origin in shape.columns.items():
        if origin is not None:
            rows[origin.alias][origin.column] = row[name]
    for number, (left, right) in enumerate(shape.equalities, 1):
        known = rows[left[0]].get(left[1]) or rows[right[0]].get(right[1])
        value = known or str(-number)
        if not known and (left[1] in rows[left[0]] or right[1] in rows[right[0]]):
            continue
        rows[left[0]][left[1]] = rows[right[0]][right[1]] = value
    filled: dict[str, list[dict[str, Any]]] = {}
    for use in shape.tables:
        filled.setdefault(use.table, []).append(_typed(use.table, rows[use.alias]))
    for alias, column, inner, table in _INNER.findall(source.sql):
        value = rows.get(alias, {}).get(column)
        filled.setdefault(table, []).append(_typed(table, {inner: value}))
    return filled


def _typed(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that are nothing are NULL; texts stay."""
    columns = tables()[table].columns
    return {
        name: None if value in ("", None) and columns[name].type != "text" else value
        for name, value in row.items()
    }


def _told(value: object) -> str:
    return "" if value is None else str(value)


@contextmanager
def _opened(_: Profile) -> Iterator[Session]:
    emulator = Emulator()
    try:
        yield emulator
    finally:
        emulator.close()


SQLITE = Engine("sqlite", Evidence.EMULATOR, lambda: "", _opened)
