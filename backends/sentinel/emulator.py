"""KQL run by DuckDB: the unofficial duckdb-kql (MIT), which turns KQL into DuckDB's SQL.

It is not Kusto. What it shows is that a query, read by somebody else's idea of KQL, finds the
records that the rule matches; case beyond ASCII and regular expressions are DuckDB's (RE2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text, fold

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .ingested import rows_of
from .signins import ARRIVED, LOGS, MFA_DEVICE, SESSION

_IF_THERE = re.compile(r'column_ifexists\("(\w+)", ""\)')
_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "int": "INTEGER",
    "bool": "BOOLEAN",
    "dynamic": "JSON",
    "datetime": "TIMESTAMP",
}
_OSQUERY = {
    "Place": "long",
    "Name": "string",
    "Action": "string",
    "HostIdentifier": "string",
    "UnixTime": "long",
    "Counter": "long",
    "Columns": "dynamic",
    "Decorations": "dynamic",
    "TimeGenerated": "datetime",
    "_ItemId": "string",
}
_SIGNINS = {
    name: {"Place": "long", **columns}
    for log in LOGS.values()
    for name, columns in log.tables.items()
}
for _name in LOGS["azure"].tables:
    _SIGNINS[_name] |= {MFA_DEVICE: "dynamic", SESSION: "string"}


def missing() -> str:
    """What is needed, or ""."""
    for name, package in (("duckdb", "duckdb"), ("duckdb_kql", "duckdb-kql")):
        if find_spec(name) is None:
            return f"the Python package {package} is not installed"
    return ""


class Session:
    """The tables in memory."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def load(self, records: Sequence[Record]) -> None:
        """The records as the tables of docs/sentinel.md have them, with their place."""
        rows: dict[str, list[list[Any]]] = {"Osquery_CL": []}
        for place, record in enumerate(records):
            if record.source in LOGS:
                table, row = rows_of(record)
                row["Place"], row["_ItemId"] = place, str(place)
                values = [row.get(name) for name in _SIGNINS[table]]
                rows.setdefault(table, []).append(values)
            elif record.binding.how != "source":
                rows["Osquery_CL"].append(_row(place, record))
        for table, columns in {"Osquery_CL": _OSQUERY, **_SIGNINS}.items():
            typed = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE {table} ({typed})")
            if rows.get(table):
                marks = ", ".join("?" * len(columns))
                statement = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608
                self._connection.executemany(statement, rows[table])

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What each query finds."""
        import duckdb
        import duckdb_kql

        for one in artefacts:
            if not isinstance(one.query, dict):
                yield from found_by(self._connection, [one])
                continue
            try:
                yield self._grouped(one)
            except (duckdb.Error, duckdb_kql.KqlError, RecursionError) as error:
                yield Answer(one.rule, error=f"{type(error).__name__}: {str(error)[:300]}")

    def _grouped(self, one: Artefact) -> Answer:
        """When a row came in is not kept here; when it was logged stands for it."""
        import duckdb_kql

        text = _known(one.query["query"].replace(ARRIVED, "TimeGenerated"))
        asked = f"{text}\n| project {', '.join(one.query['group'])}"
        found = duckdb_kql.execute(self._connection, asked).fetchall()
        return Answer(one.rule, groups=frozenset(tuple(map(fold, row)) for row in found))


def found_by(connection: Any, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
    """What each query finds in the tables of a connection, whose rows have a `Place`."""
    import duckdb
    import duckdb_kql

    for one in artefacts:
        try:
            found = duckdb_kql.execute(connection, f"{_known(one.query)}\n| project Place")
            places = frozenset(int(row[0]) for row in found.fetchall())
        except (duckdb.Error, duckdb_kql.KqlError) as error:
            yield Answer(one.rule, error=f"{type(error).__name__}: {str(error)[:300]}")
        else:
            yield Answer(one.rule, places)


def _known(query: str) -> str:
    """`column_ifexists` is not known here; the columns are there."""
    return _IF_THERE.sub(r"\1", query)


def _row(place: int, record: Record) -> list[Any]:
    columns = {name: _kept(value) for name, value in record.values.items()}
    at = None if record.observed_at is None else int(record.observed_at)
    return [
        place,
        record.query,
        record.action,
        record.host,
        at,
        record.counter,
        json.dumps(columns),
        json.dumps(dict(record.decorations)),
        None if at is None else datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
        str(place),
    ]


def _kept(value: Any) -> Any:
    """A value of the layout: texts, as osquery writes them without `--logger_numerics`."""
    if isinstance(value, tuple):
        return list(value)
    return None if value is None else as_text(value)


@contextmanager
def _open(_profile: Profile) -> Iterator[Session]:
    import duckdb

    connection = duckdb.connect()
    try:
        yield Session(connection)
    finally:
        connection.close()


DUCKDB = Engine("duckdb-kql", Evidence.EMULATOR, missing, _open)
