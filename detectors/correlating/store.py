"""Events on disk: a private SQLite database that spills what does not fit into its page cache.

SQLite deletes the file of a database without a name itself when it is closed, and on Unix unlinks
it as it is opened, so nothing is left behind whatever happens (sqlite.org/inmemorydb.html,
"Temporary Databases").
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeVar

from molehunt.correlation import Correlation

from ..records import Locator, Value
from ..values import fold
from .events import ADDED, POINT, REMOVED, SNAPSHOT, Entry, Event, Seen, Use, uses_of
from .states import Sighting, spans
from .tallies import Occurrence
from .windows import Content, Hit

T = TypeVar("T")

CACHE_KIB = 4 * 1024
_BATCH = 2000
# Names that are looked up without asking the database: how many, and how long.
_KNOWN, _LONG = 20_000, 500
# In the order in which sightings of one time are taken.
_KINDS = (REMOVED, ADDED, SNAPSHOT, POINT)
_POINT = _KINDS.index(POINT)

_TABLES = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path BLOB UNIQUE);
CREATE TABLE who (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE grp (id INTEGER PRIMARY KEY, correlation INT, key TEXT, shown TEXT,
    UNIQUE (correlation, key));
CREATE TABLE seen (id INTEGER PRIMARY KEY, rule INT, kind INT, at REAL, exact INT, key TEXT,
    file INT, line INT, row INT, offset INT, who INT, context INT, detail TEXT);
CREATE TABLE entry (seen INT, grp INT, place INT, val, carried TEXT);
CREATE TABLE span (seen INTEGER PRIMARY KEY, start REAL, end REAL, exact INT);
CREATE TABLE rank (seen INTEGER PRIMARY KEY, id INT);
CREATE TABLE event (grp INT, start REAL, end REAL, id INT, val, place INT, exact INT,
    carried TEXT, who INT, seen INT);
CREATE TABLE hit_who (hit INT, who INT);
CREATE TABLE hit_seen (hit INT, seen INT);
"""
_FILL = """
INSERT INTO span SELECT id, at, at, exact FROM seen WHERE kind = {point};
INSERT INTO rank SELECT seen.id, DENSE_RANK() OVER (ORDER BY path, line, row)
    FROM seen JOIN file ON file.id = file;
INSERT INTO event SELECT grp, start, end, rank.id, val, place, span.exact, carried, who, span.seen
    FROM span JOIN entry USING (seen) JOIN seen ON seen.id = span.seen
    JOIN rank ON rank.seen = span.seen;
DROP TABLE entry;
CREATE INDEX begins ON event (grp, start, id, val, end, place, exact);
CREATE INDEX ends ON event (grp, end, id, val, start, place, exact);
CREATE INDEX states ON event (grp, end) WHERE end > start;
CREATE INDEX hit_who_of ON hit_who (hit);
CREATE INDEX hit_seen_of ON hit_seen (hit);
"""


class Who(NamedTuple):
    """Whose record it was: host identifier, its name if one was logged, user or "", and filters
    of the rule that the query could not supply."""

    host: str
    host_name: str
    user: str
    missing: tuple[str, ...]


class Part(NamedTuple):
    """One event of a hit. `seen` is its record; None if it is itself a hit."""

    start: float
    end: float
    id: int
    value: str | int | float | None
    place: int
    who: int | None
    seen: int | None
    carried: str


class Shown(NamedTuple):
    """A record as evidence: the rule that matched, where, and what was seen. `until` is when it
    was seen to go away, `context` the number that the record was stored with."""

    rule: str
    where: Locator
    at: float
    until: float | None
    host: str
    seen: Seen
    context: int


class Store:
    """Takes events in any order, then gives each correlation's groups.

    Memory is the page cache (`CACHE_KIB`) and a bounded number of names, whatever comes in.
    """

    def __init__(self, correlations: Sequence[Correlation]) -> None:
        self._uses: tuple[Use, ...] = uses_of(correlations)
        self._rules: dict[str, int] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._next = 0
        self._hits = 0
        self._filled = False
        self._names: list[str] = []
        # "" is a database in a temporary file of its own.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Delete all of it."""
        self._db.close()

    def add(self, event: Event, context: int) -> None:
        """Take an event in. `context` is kept with it for whoever reads it as evidence."""
        assert not self._filled
        self._next += 1
        number, where, seen = self._next, event.where, event.seen
        rule = self._rules.setdefault(event.rule, len(self._rules))
        who = Who(event.host, event.host_name, event.user, event.fields.missing_filters)
        self._db.execute(
            "INSERT INTO seen VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                number,
                rule,
                _KINDS.index(event.kind),
                event.at,
                event.exact,
                event.key,
                self._number("file", "path", where.file, _bytes),
                where.line,
                where.row,
                where.offset,
                self._number("who", "text", who, json.dumps),
                context,
                None if seen is None else json.dumps(seen),
            ),
        )
        self._db.executemany(
            "INSERT INTO entry VALUES (?,?,?,?,?)",
            [
                (
                    number,
                    self._group(self._uses[entry.use].correlation, entry.group),
                    self._uses[entry.use].place,
                    entry.value,
                    entry.carried,
                )
                for entry in event.entries
            ],
        )

    def _number(self, table: str, column: str, name: T, stored: Callable[[T], object]) -> int:
        """The number of a name that comes again and again."""
        key = (table, name)
        found = self._known.get(key)
        if found is None:
            value = stored(name)
            self._db.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (value,))  # noqa: S608
            query = f"SELECT id FROM {table} WHERE {column} = ?"  # noqa: S608
            found = self._db.execute(query, (value,)).fetchone()[0]
            self._remember(key, found, len(str(name)))
        return found

    def _group(self, correlation: int, group: tuple[str, ...]) -> int:
        """The number of a group. Values that differ in case are one; the first of them is shown."""
        key = (correlation, group)
        found = self._known.get(key)
        if found is None:
            folded, shown = json.dumps(list(map(fold, group))), json.dumps(group)
            self._db.execute(
                "INSERT INTO grp (correlation, key, shown) VALUES (?,?,?) ON CONFLICT"
                " (correlation, key) DO UPDATE SET shown = min(shown, excluded.shown)",
                (correlation, folded, shown),
            )
            query = "SELECT id FROM grp WHERE correlation = ? AND key = ?"
            found = self._db.execute(query, (correlation, folded)).fetchone()[0]
            self._remember(key, found, len(shown))
        return found

    def _remember(self, key: tuple[object, ...], number: int, length: int) -> None:
        if len(self._known) >= _KNOWN:
            self._known.clear()
        if length <= _LONG:
            self._known[key] = number

    def fill(self) -> None:
        """Everything is in: make spans of the sightings, and put the events in order."""
        self._filled = True
        self._names = list(self._rules)
        rows = self._db.execute(
            "SELECT rule, key, kind, at, exact, seen.id FROM seen JOIN file ON file.id = file"
            " WHERE kind <> ? ORDER BY rule, key, at, kind, path, line, row",
            (_POINT,),
        )
        found = (
            span
            for _, same in groupby(rows, key=itemgetter(0, 1))
            for span in spans(Sighting(_KINDS[r[2]], r[3], bool(r[4]), r[5]) for r in same)
        )
        self._many("INSERT INTO span (seen, start, end, exact) VALUES (?,?,?,?)", found)
        self._db.execute("COMMIT")
        self._db.executescript(_FILL.format(point=_POINT))
        self._db.execute("BEGIN")

    def _many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        self._db.executemany(statement, rows)

    def groups(self, correlation: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Number and values of each group of a correlation, in one order whatever came first."""
        query = "SELECT id, shown FROM grp WHERE correlation = ? ORDER BY key"
        for number, shown in self._db.execute(query, (correlation,)):
            yield number, tuple(json.loads(shown))

    def content(self, group: int) -> Content:
        """The events of a group."""
        columns = "start, end, id, val, place, exact"

        def read(order: str) -> Iterator[Occurrence]:
            query = f"SELECT {columns} FROM event WHERE grp = ? ORDER BY {order}"  # noqa: S608
            return map(Occurrence._make, self._db.execute(query, (group,)))

        return Content(lambda: read("start, id, val, end"), lambda: read("end, id, val, start"))

    def parts(self, group: int, hit: Hit, after: float) -> Iterator[Part]:
        """The events of a hit that began after a moment, in the order of start and record."""
        yield from self._parts(
            "grp = ? AND start > ? AND start <= ? AND end >= ?",
            (group, after, hit.last, hit.start),
        )

    def older_parts(self, group: int, hit: Hit, after: float) -> Iterator[Part]:
        """The other events of a hit: states that began by then and go on."""
        yield from self._parts(
            "grp = ? AND end > start AND end >= ? AND start <= ?", (group, hit.start, after)
        )

    def _parts(self, where: str, values: tuple[object, ...]) -> Iterator[Part]:
        columns = "start, end, id, val, place, who, seen, carried"
        query = f"SELECT {columns} FROM event WHERE {where} ORDER BY start, id, val, end, place"  # noqa: S608
        return map(Part._make, self._db.execute(query, values))

    def add_hit(
        self, hit: Hit, entries: Iterable[Entry], who: Iterable[int], seen: Iterable[int]
    ) -> None:
        """A hit is an event for the correlations that refer to its correlation."""
        self._hits += 1
        # Below every record, so that hits have an order of their own.
        number = -(2**62) + self._hits
        columns = "grp, start, end, id, val, place, exact, carried"
        for entry in entries:
            use = self._uses[entry.use]
            self._db.execute(
                f"INSERT INTO event ({columns}) VALUES (?,?,?,?,?,?,?,?)",  # noqa: S608
                (
                    self._group(use.correlation, entry.group),
                    hit.first,
                    hit.until,
                    number,
                    entry.value,
                    use.place,
                    hit.exact,
                    entry.carried,
                ),
            )
        self._many("INSERT INTO hit_who VALUES (?,?)", [(number, one) for one in who])
        self._many("INSERT INTO hit_seen VALUES (?,?)", [(number, one) for one in seen])

    def who_of_hit(self, hit: int) -> Iterator[int]:
        """The numbers of those whom a hit is about."""
        for row in self._db.execute("SELECT who FROM hit_who WHERE hit = ?", (hit,)):
            yield row[0]

    def seen_of_hit(self, hit: int) -> Iterator[int]:
        """The records kept as evidence of a hit."""
        for row in self._db.execute(
            "SELECT seen FROM hit_seen WHERE hit = ? ORDER BY rowid", (hit,)
        ):
            yield row[0]

    def who(self, number: int) -> Who:
        """Whom a number stands for."""
        text = self._db.execute("SELECT text FROM who WHERE id = ?", (number,)).fetchone()[0]
        host, host_name, user, missing = json.loads(text)
        return Who(host, host_name, user, tuple(missing))

    def shown(self, number: int) -> Shown:
        """A record as evidence."""
        row = self._db.execute(
            "SELECT rule, path, offset, line, row, start, end, kind, who, detail, context FROM seen"
            " JOIN file ON file.id = file JOIN span ON span.seen = seen.id WHERE seen.id = ?",
            (number,),
        ).fetchone()
        rule, path, offset, line, in_line, start, end, kind, who, detail, context = row
        ended = _KINDS[kind] == ADDED and end != float("inf")
        return Shown(
            rule=self._names[rule],
            where=Locator(path.decode(errors="surrogatepass"), offset, line, in_line),
            at=start,
            until=end if ended else None,
            host=self.who(who).host,
            seen=_seen(json.loads(detail)),
            context=context,
        )


def _bytes(path: str) -> bytes:
    """A path as it can be stored, with whatever stands in it, in the order of its characters."""
    return path.encode(errors="surrogatepass")


def _seen(data: list[object]) -> Seen:
    """What JSON made of a `Seen`: lists where there were tuples."""
    seen = Seen(*data)  # type: ignore[arg-type]
    values = tuple((name, _value(value)) for name, value in seen.values)
    decorations = tuple((name, text) for name, text in seen.decorations)
    return seen._replace(values=values, decorations=decorations)


def _value(value: Value | list[object]) -> Value:
    return tuple(value) if isinstance(value, list) else value  # type: ignore[arg-type]
