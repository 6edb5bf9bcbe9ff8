"""ClickHouse itself, in this process: the package `chdb` (Apache-2.0), if it is installed.

It is 900 MB with what it needs, so nothing installs it for you.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .emulator import clickhouse
from .rows import PLACE, written

_HEAD = "SELECT * FROM logs WHERE "


def missing() -> str:
    """What is needed, or ""."""
    return "" if find_spec("chdb") else "the Python package chdb is not installed"


class Session:
    """A table `logs` of texts, in memory."""

    def __init__(self, database: Any, profile: Profile) -> None:
        self._database, self._profile = database, profile
        self._columns: set[str] = set()

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out."""
        with written(records, self._profile) as (path, columns):
            typed = ", ".join((f"{PLACE} UInt32", *(f"{_name(one)} String" for one in columns)))
            self._database.query(f"CREATE TABLE logs ({typed}) ENGINE = Memory")
            self._database.query(
                f"INSERT INTO logs SELECT * FROM file('{path}', JSONEachRow, '{typed}')"  # noqa: S608
            )
        self._columns = set(columns)

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What any of the queries of each finds."""
        for one in artefacts:
            try:
                found = {place for query in one.query for place in self._run(query)}
            except (RuntimeError, ValueError) as error:
                yield Answer(one.rule, error=str(error)[:300])
            else:
                yield Answer(one.rule, frozenset(found))

    def _run(self, query: str) -> Iterator[int]:
        if not query.startswith(_HEAD):
            raise ValueError(f"not a query that was expected: {query[:60]}")
        # A column that no row has is one that is empty in all.
        for name in sorted(clickhouse(query)[1] - self._columns):
            self._database.query(f"ALTER TABLE logs ADD COLUMN {_name(name)} String")
            self._columns.add(name)
        asked = f"SELECT {PLACE} FROM logs WHERE {query[len(_HEAD) :]}"  # noqa: S608
        yield from map(int, self._database.query(asked, "TSV").bytes().split())


def _name(name: str) -> str:
    return f"`{name}`"


@contextmanager
def _open(profile: Profile) -> Iterator[Session]:
    from chdb.session import Session as Database

    database = Database()
    try:
        yield Session(database, profile)
    finally:
        database.cleanup()


CHDB = Engine("clickhouse", Evidence.ENGINE, missing, _open, optional=True)
