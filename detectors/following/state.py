"""What outlasts the process: one SQLite database, a temporary one if nobody resumes.

A tick is one transaction: how far files are read, what was found in them and what is to be told.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from molehunt.codec import Codec
from molehunt.levels import Level
from molehunt.problems import UsageError
from molehunt.taxonomy import Store

from ..correlating.events import Entry, Event, Seen
from ..findings.fold import Kept, Pile, Rank
from ..findings.model import Evidence, Finding, Raise, Reason, Technique
from ..matching.fields import FieldMap, Place
from ..records import Locator
from .source import Source

APPLICATION, FORM = 0x6D6F6C65, 2
_CODEC = Codec(
    (
        Locator,
        Reason,
        Evidence,
        Rank,
        Kept,
        Technique,
        Raise,
        Level,
        Finding,
        Entry,
        Seen,
        Event,
        Place,
        Store,
        FieldMap,
    )
)
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value);
CREATE TABLE source (id INTEGER PRIMARY KEY, data TEXT);
CREATE TABLE finding (id TEXT PRIMARY KEY, kind TEXT, context INT, data TEXT);
CREATE TABLE finding_host (host TEXT, finding TEXT, UNIQUE (host, finding));
CREATE INDEX finding_hosts ON finding_host (finding);
CREATE TABLE dirty (id TEXT PRIMARY KEY);
CREATE TABLE told (id TEXT PRIMARY KEY, digest TEXT);
CREATE TABLE outbox (sequence INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE fields (id INTEGER PRIMARY KEY, data TEXT UNIQUE);
CREATE TABLE event (id INTEGER PRIMARY KEY, rule TEXT, key TEXT, at REAL, fields INT, data TEXT);
CREATE INDEX event_key ON event (rule, key) WHERE key <> '';
CREATE TABLE grp (id INTEGER PRIMARY KEY, correlation INT, key TEXT, dirty INT,
    UNIQUE (correlation, key));
CREATE INDEX grp_dirty ON grp (correlation) WHERE dirty;
CREATE TABLE event_grp (grp INT, event INT, UNIQUE (grp, event));
CREATE INDEX grp_event ON event_grp (event);
CREATE TABLE settled (id TEXT PRIMARY KEY, data TEXT);
CREATE TABLE fact (id INTEGER PRIMARY KEY, key TEXT, day INT, at REAL, data TEXT);
CREATE INDEX fact_day ON fact (key, day) WHERE day IS NOT NULL;
CREATE TABLE stood (id TEXT PRIMARY KEY);
"""


def to_text(value: Any) -> str:
    """A value as JSON text."""
    return json.dumps(_CODEC.plain(value))


def from_text(text: str) -> Any:
    """The value again."""
    return _CODEC.restored(json.loads(text))


def pile_text(pile: Pile) -> str:
    """A pile that was taken from its folder."""
    return to_text(
        (
            pile.rule,
            pile.front,
            tuple(sorted(pile.names)),
            tuple(sorted(pile.users)),
            tuple(sorted(pile.missing)),
            pile.first,
            pile.last,
            pile.count,
            tuple(pile.kept),
            tuple(pile.closes),
            pile.last_close,
        )
    )


def pile_of(text: str) -> Pile:
    """The pile again."""
    rule, front, names, users, missing, first, last, count, kept, closes, last_close = from_text(
        text
    )
    return Pile(
        rule,
        front,
        set(names),
        set(users),
        set(missing),
        first,
        last,
        count,
        kept=list(kept),
        closes=list(closes),
        last_close=last_close,
    )


class State:
    """The database. `path` "" is a temporary one. `key` names rules and settings; a state of others
    is refused. Raises UsageError for what is no state, damaged, foreign or in use."""

    def __init__(self, path: str, key: str) -> None:
        self.path = path
        if path:
            _make_private(path)
        self.db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._open(key)
        except sqlite3.Error as error:
            self.db.close()
            if "locked" in str(error):
                raise UsageError(f"--state: {path}: another molehunt uses it") from None
            what = f"--state: {path}: not a state file of molehunt, or damaged ({error})"
            raise UsageError(f"{what}; move it away to start anew") from None
        except UsageError:
            self.db.close()
            raise

    def _open(self, key: str) -> None:
        run = self.db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA cache_size = -8192")
        if not self.path:
            run("PRAGMA journal_mode = OFF")
        elif run("PRAGMA schema_version").fetchone()[0]:
            if run("PRAGMA application_id").fetchone()[0] != APPLICATION:
                raise UsageError(f"--state: {self.path}: not a state file of molehunt")
            form = run("PRAGMA user_version").fetchone()[0]
            if form != FORM:
                what = f"--state: {self.path}: written by another version of molehunt (form {form})"
                raise UsageError(f"{what}; move it away to start anew")
            (well,) = run("PRAGMA quick_check(1)").fetchone()
            if well != "ok":
                raise UsageError(f"--state: {self.path}: damaged ({well}); move it away")
            if self.get("key") != key:
                what = "made with other rules, configuration, approvals or options"
                hint = "use those again, or move it away to start anew"
                raise UsageError(f"--state: {self.path}: {what}; {hint}")
        if self.path:
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
        self.resumed = self.get("key") is not None if self._has_tables() else False
        run("BEGIN IMMEDIATE")
        if not self.resumed:
            for statement in _TABLES.split(";"):
                run(statement)
            run(f"PRAGMA application_id = {APPLICATION}")
            run(f"PRAGMA user_version = {FORM}")
            self.put("key", key)
            self.commit()

    def _has_tables(self) -> bool:
        return bool(self.db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())

    def get(self, name: str, default: Any = None) -> Any:
        """A single value."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def put(self, name: str, value: Any) -> None:
        """Keep a single value."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))

    def commit(self) -> None:
        """Everything so far is kept, come what may."""
        self.db.execute("COMMIT")
        self.db.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Keep everything, in one file again."""
        self.db.execute("COMMIT")
        if self.path:
            self.db.execute("PRAGMA journal_mode = DELETE")
        self.db.close()

    def sources(self) -> list[Source]:
        """The followed files."""
        rows = self.db.execute("SELECT data FROM source ORDER BY id")
        return [Source(*json.loads(text)) for (text,) in rows]

    def keep_sources(self, sources: dict[int, Source], changed: Iterable[int]) -> None:
        """Those that changed; one that is no longer among `sources` is dropped."""
        for number in changed:
            source = sources.get(number)
            if source is None:
                self.db.execute("DELETE FROM source WHERE id = ?", (number,))
            else:
                text = json.dumps(astuple(source))
                self.db.execute("INSERT OR REPLACE INTO source VALUES (?,?)", (number, text))


def _make_private(path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(path, 0o600)
    except OSError as error:
        raise UsageError(f"--state: {path}: {error.strerror}") from None
