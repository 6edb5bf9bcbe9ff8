"""SQLite for what pySigma-backend-sqlite makes: the engine itself, with the table of the profile.

Every column is a text that ignores the case of ASCII letters and is "" where there is nothing, so
that `NOT` keeps records without a value. `REGEXP`, which SQLite leaves to its user, is RE2.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import re2

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .pipeline import NOTHING
from .rows import row

_PLACE = "molehunt_place"


class Session:
    """One table in memory."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._database = sqlite3.connect(":memory:")
        self._database.create_function("REGEXP", 2, _found, deterministic=True)

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out."""
        profile, rows, columns = self._profile, [], dict[str, None]()
        for place, record in enumerate(records):
            if record.binding.how != "source":
                texts = row(record, profile)
                columns.update(dict.fromkeys(texts))
                rows.append((place, texts))
        names = [*columns, NOTHING]
        spec = ", ".join(f"\"{name}\" TEXT COLLATE NOCASE NOT NULL DEFAULT ''" for name in names)
        self._database.execute(f'CREATE TABLE "{profile.index}" ({_PLACE} INTEGER, {spec})')
        for place, texts in rows:
            marks = ", ".join("?" * (len(texts) + 1))
            listed = ", ".join(f'"{name}"' for name in (_PLACE, *texts))
            statement = f'INSERT INTO "{profile.index}" ({listed}) VALUES ({marks})'  # noqa: S608
            self._database.execute(statement, (place, *texts.values()))

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What any of the queries of each finds."""
        for one in artefacts:
            try:
                found = {place for query in one.query for place in self._run(query)}
            except (sqlite3.Error, ValueError) as error:
                yield Answer(one.rule, error=str(error))
            else:
                yield Answer(one.rule, frozenset(found))

    def _run(self, query: str) -> Iterator[int]:
        text = query.replace("<TABLE_NAME>", f'"{self._profile.index}"')
        head = "SELECT *"
        if not text.startswith(head):
            raise ValueError(f"not a query that was expected: {text[:60]}")
        # A column that no row has is one that is empty in all.
        while True:
            try:
                for (place,) in self._database.execute(f"SELECT {_PLACE}{text[len(head) :]}"):
                    yield place
                return
            except sqlite3.OperationalError as error:
                missing = str(error).removeprefix("no such column: ")
                if missing == str(error):
                    raise
                spec = f"\"{missing}\" TEXT COLLATE NOCASE NOT NULL DEFAULT ''"
                self._database.execute(f'ALTER TABLE "{self._profile.index}" ADD COLUMN {spec}')

    def close(self) -> None:
        """The end."""
        self._database.close()


def _found(pattern: str, text: Any) -> bool:
    return _compiled(pattern).search("" if text is None else str(text)) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


@contextmanager
def _open(profile: Profile) -> Iterator[Session]:
    session = Session(profile)
    try:
        yield session
    finally:
        session.close()


def _nothing_missing() -> str:
    return ""


SQLITE = Engine("sqlite", Evidence.ENGINE, _nothing_missing, _open)
