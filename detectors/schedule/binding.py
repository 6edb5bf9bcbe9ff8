"""Which tables stand behind a query name in a log.

By the query's own SQL where a schedule has it; otherwise by its name and its columns (`named`).
What these do not tell stays unbound, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from molehunt.schema import Schema, find_table
from molehunt.taxonomy import Join, taxonomy

from ..records import Binding, Shape
from . import named
from .queries import Schedule, ScheduledQuery, find
from .sockets import with_program
from .sql import SqlProblem, shape_of

MAX_BINDINGS = 20_000
MAX_NAMED = 5
# Of the columns of a row: a release adds one or two to a table, other SQL brings others altogether.
MAX_NEWER = 0.25


class _Known(NamedTuple):
    """What the SQL of a log name says: the bindings it gives, and what could not be followed."""

    how: str
    bindings: tuple[Binding, ...]
    problems: tuple[str, ...]


class Binder:
    """Ties query names to tables. `schedules` are pairs of `config` or `pack` and a schedule.

    The user's configurations (`config`) count before molehunt's own pack.
    """

    def __init__(self, schedules: Sequence[tuple[str, Schedule]], schema: Schema) -> None:
        self._schedules = {
            how: tuple(schedule for kind, schedule in schedules if kind == how)
            for how in ("config", "pack")
        }
        self._schema = schema
        self._shapes: dict[tuple[int, str], Shape | SqlProblem] = {}
        # Shapes that were worked out before, and the place of each query's SQL in them.
        self._kept: Sequence[Shape | SqlProblem] = ()
        self._places: Mapping[tuple[int, str], int] = {}
        self._digest = b""
        self._known: dict[str, tuple[_Known, ...]] = {}
        self._bound: dict[tuple[str, frozenset[str]], Binding] = {}
        self._seen: dict[tuple[str, str], Binding] = {}
        self._outputs: Mapping[tuple[str, str], frozenset[str]] | None = None

    def bind(self, query: str, columns: frozenset[str]) -> Binding:
        """The binding of rows of `query` that have exactly these columns."""
        key = (query, columns)
        found = self._bound.get(key)
        if found is None:
            if len(self._bound) >= MAX_BINDINGS:
                self._bound.clear()
            found = self._bound[key] = self._bind(query, columns)
        seen = (query, found.how)
        if seen not in self._seen and len(self._seen) < MAX_BINDINGS:
            self._seen[seen] = found
        return found

    def by_sql(self, query: str) -> tuple[Binding, ...]:
        """Every binding that `bind` can give to this name because of SQL, whatever the columns.

        Empty if that is not known: there is no SQL for the name, or some of it does not parse.
        Otherwise `bind` gives one of these shapes, or leaves the rows unbound.
        """
        known = self._lookup(query)
        if any(one.problems for one in known):
            return ()
        return tuple(binding for one in known for binding in one.bindings)

    def whole(self, table: str) -> list[Binding]:
        """The bindings of rows with all columns of a table and its declared joins. Rows of a query
        without SQL are bound as one of these, with some of its columns, or not at all."""
        found = find_table(self._schema, table)
        return [] if found is None else named.widest(found, self._schema, _joins)

    def has_sql(self, query: str) -> bool:
        """Whether any schedule has a query that can be logged under this name."""
        return bool(self._lookup(query))

    def outputs(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """For each `(table, column)` the output columns that it has in any query of known SQL."""
        if self._outputs is None:
            found: dict[tuple[str, str], set[str]] = {}
            for schedule, query in self._all():
                shape = self._shape(query, schedule)
                for name, origin in () if isinstance(shape, SqlProblem) else shape.columns.items():
                    if origin is not None:
                        found.setdefault((origin.table, origin.column), set()).add(name)
            for table, column, name in named.spelled(self._schema, _joins):
                found.setdefault((table, column), set()).add(name)
            self._outputs = {place: frozenset(names) for place, names in found.items()}
        return self._outputs

    def digest(self) -> bytes:
        """A hash of all SQL that is known, with the names under which it is logged."""
        if self._digest:
            return self._digest
        known = [
            (
                how,
                s.own,
                s.delimiters,
                sorted(s.views.items()),
                [tuple(_plain(q)) for q in s.queries],
            )
            for how in ("config", "pack")
            for s in self._schedules[how]
        ]
        self._digest = sha256(repr(known).encode()).digest()
        return self._digest

    def shapes(self) -> list[Shape | SqlProblem]:
        """What the SQL of each query says, schedule by schedule: for `restore`."""
        return [self._shape(query, schedule) for schedule, query in self._all()]

    def restore(self, shapes: Sequence[Shape | SqlProblem]) -> None:
        """Take what `shapes` of a binder with the same digest gave, so as not to parse again; each
        is asked for when it is needed. Raises ValueError if they are not so many."""
        known = list(self._all())
        if len(known) != len(shapes):
            raise ValueError("not the shapes of these queries")
        self._kept = shapes
        self._places = {(id(s), query.sql): index for index, (s, query) in enumerate(known)}

    def _all(self) -> Iterator[tuple[Schedule, ScheduledQuery]]:
        for schedule in (*self._schedules["config"], *self._schedules["pack"]):
            for query in schedule.queries:
                yield schedule, query

    def statements(self) -> list[tuple[str, bool]]:
        """The SQL of each query, and whether it may use views: what its shape depends on beside the
        tables there are. In the order of `shapes`."""
        return [(query.sql, bool(schedule.views)) for schedule, query in self._all()]

    def seen(self) -> list[Binding]:
        """What `bind` gave so far, once for each query name and `how`."""
        return list(self._seen.values())

    def declared(self) -> list[Binding]:
        """Every query of the `config` schedules that is logged, under its name in the log."""
        found: dict[tuple[str, ScheduledQuery], Binding] = {}
        for schedule in self._schedules["config"]:
            for query in schedule.queries:
                if query.logged:
                    name = schedule.log_name(query)
                    found.setdefault((name, query), self._declared(name, query, schedule))
        return list(found.values())

    def _declared(self, name: str, query: ScheduledQuery, schedule: Schedule) -> Binding:
        shape = self._shape(query, schedule)
        if isinstance(shape, SqlProblem):
            return Binding(name, "unbound", None, query.platforms, _said(shape), query.sql)
        return self._of_sql(name, "config", query, shape)

    def _bind(self, query: str, columns: frozenset[str]) -> Binding:
        if not columns:
            return named.unbound(query, "its rows have no columns")
        known = self._lookup(query)
        with_sql = [_fitting(query, one, columns, self._schema) for one in known if one.bindings]
        if with_sql:
            return next((b for b in with_sql if b.shape is not None), with_sql[-1])
        found = named.by_name(query, columns, self._schema, _joins)
        found = found or named.by_words(query, columns, self._schema, _joins)
        found = found or named.by_columns(query, columns, self._schema)
        if found.shape is None:
            found = (
                named.by_joined(query, columns, self._schema, _joins)
                or named.by_most(query, columns, self._schema, _joins)
                or found
            )
        found = with_program(found, columns, self._schema, _joins)
        notes = [note for one in known for note in one.problems]
        if notes:
            return replace(found, note="; ".join(filter(None, [notes[0], found.note])))
        return found

    def _lookup(self, query: str) -> tuple[_Known, ...]:
        found = self._known.get(query)
        if found is None:
            if len(self._known) >= MAX_BINDINGS:
                self._known.clear()
            found = self._known[query] = tuple(self._find(query))
        return found

    def _find(self, name: str) -> Iterator[_Known]:
        """The SQL known for a name, the surer first.

        A configured query whose pack is not known fits a name in any pack, so it does not rule out
        molehunt's own query of exactly that name.
        """
        configured = self._queries("config", name)
        certain = [(s, q) for s, q in configured if q.pack is not None]
        if certain:
            yield self._know("config", name, certain)
            return
        if configured:
            yield self._know("config", name, configured)
        own = self._queries("pack", name)
        if own:
            yield self._know("pack", name, own)

    def _queries(self, how: str, name: str) -> list[tuple[Schedule, ScheduledQuery]]:
        return [(s, query) for s in self._schedules[how] for query in find(s, name)]

    def _know(
        self, how: str, name: str, found: Sequence[tuple[Schedule, ScheduledQuery]]
    ) -> _Known:
        bindings: list[Binding] = []
        problems: dict[str, None] = {}
        for schedule, query in found:
            shape = self._shape(query, schedule)
            if isinstance(shape, SqlProblem):
                problems[_said(shape)] = None
            else:
                bindings.append(self._of_sql(name, how, query, shape))
        return _Known(how, _merged(bindings), tuple(problems))

    def _shape(self, query: ScheduledQuery, schedule: Schedule) -> Shape | SqlProblem:
        key = (id(schedule), query.sql)
        if key not in self._shapes and key in self._places:
            self._shapes[key] = self._kept[self._places[key]]
        if key not in self._shapes:
            self._shapes[key] = shape_of(query.sql, self._schema, schedule.views)
        return self._shapes[key]

    def _of_sql(self, name: str, how: str, query: ScheduledQuery, shape: Shape) -> Binding:
        platforms = self._platforms(shape)
        if query.platforms and platforms:
            platforms = (query.platforms & platforms) or query.platforms
        return Binding(name, how, shape, platforms or query.platforms, "", query.sql)

    def _platforms(self, shape: Shape) -> frozenset[str]:
        """The systems that have every table which is not the optional side of a join."""
        found: frozenset[str] | None = None
        for use in shape.tables:
            table = None if use.optional else find_table(self._schema, use.table)
            if table is not None and table.platforms:
                found = table.platforms if found is None else found & table.platforms
        return found or frozenset()


def _joins(table: str) -> Mapping[str, Join]:
    return taxonomy().joins(table)


def _plain(query: ScheduledQuery) -> Iterator[object]:
    yield from (query.name, query.pack, query.sql, sorted(query.platforms), query.logged)


def _said(problem: SqlProblem) -> str:
    return f"its SQL: {problem.what}"


def _merged(found: Sequence[Binding]) -> tuple[Binding, ...]:
    """One binding for each distinct shape, for all systems that any query of that shape runs on."""
    distinct: list[Binding] = []
    for binding in found:
        index = next((i for i, b in enumerate(distinct) if b.shape == binding.shape), None)
        if index is None:
            distinct.append(binding)
            continue
        other = distinct[index]
        known = other.platforms and binding.platforms
        platforms = other.platforms | binding.platforms if known else frozenset()
        distinct[index] = replace(other, platforms=platforms)
    return tuple(distinct)


def _fitting(query: str, known: _Known, columns: frozenset[str], schema: Schema) -> Binding:
    """The one binding whose output columns hold all that were seen, but for those of a newer
    osquery, if none holds all."""
    fitting = [b for b in known.bindings if columns <= b.provenance.keys()]
    fitting = fitting or [b for b in known.bindings if _newer(b, columns, schema)]
    where = "configuration" if known.how == "config" else "molehunt's own pack"
    if len(fitting) == 1 and not known.problems:
        return fitting[0]
    if known.problems:
        what = f"one SQL of that name in the {where} cannot be followed"
        return named.unbound(query, f"{what} ({known.problems[0]}), so which it is cannot be told")
    if fitting:
        what = f"{len(fitting)} different queries in the {where} can be logged under this name"
        return named.unbound(query, f"{what}, and its columns fit each")
    nearest = min(known.bindings, key=lambda b: len(columns - b.provenance.keys()))
    extra = sorted(columns - nearest.provenance.keys())
    names = ", ".join(extra[:MAX_NAMED]) + (" …" if len(extra) > MAX_NAMED else "")
    return named.unbound(query, f"its SQL in the {where} has no column {names}", nearest.sql)


def _newer(binding: Binding, columns: frozenset[str], schema: Schema) -> bool:
    """Whether `*` of a table can have given the columns that its SQL does not name: no release
    that molehunt knows has them in that table, and they are few beside those that are known."""
    shape = binding.shape
    if shape is None:
        return False
    names = {use.alias: use.table for use in shape.tables}
    whole = [find_table(schema, names.get(alias, "")) for alias in shape.stars]
    extra = columns - shape.columns.keys()
    new = all(table is not None and table.column(name) is None for name in extra for table in whole)
    return bool(whole) and new and len(extra) <= MAX_NEWER * len(columns)
