"""From a correlation with its members to a plan: which rows feed it, and what a window must hold.

A plan names no store. It is what `detectors/correlating` does, said about rows: who reads it
writes the same in the language of a store (docs/compile.md, "Correlations").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, floor
from typing import NamedTuple

from molehunt.correlation import NUMERIC, Correlation
from molehunt.data import load_yaml
from molehunt.detectors.matching.fields import Place
from molehunt.detectors.records import Binding
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.kept import know_sql
from molehunt.detectors.schedule.queries import pack_queries, pack_schedule
from molehunt.detectors.tying import tie_of
from molehunt.rule import Rule, asks_removed
from molehunt.schema import tables
from molehunt.taxonomy import SUBJECT, taxonomy

from ..model import Bound, Subject, Unsayable

# Codes of reviewed.yml.
SIGNAL_ROWS, OTHER_LOG = "signal_rows", "other_log"
# The store of osquery's rows, in rules/taxonomy.yml.
OSQUERY = "osquery"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of some rules that are read alike.

    `place` is that of the rule in the correlation. `moments` says that a row is a moment and not a
    sighting of a state; `time` is the column that says when, "" if the log line does. `group` are
    the places of the group-by fields, `values` those of what is counted; `label` is the value
    where the rule's subject is counted. `columns` are all columns of the queries. `log` is the
    store (of rules/taxonomy.yml) that the rows are in.
    """

    place: int
    moments: bool
    time: str
    group: tuple[Place, ...]
    values: tuple[Place, ...]
    label: str
    members: tuple[Subject, ...]
    columns: tuple[str, ...]
    log: str = OSQUERY


@dataclass(frozen=True, slots=True)
class Plan:
    """What to find: groups with a window of `timespan` seconds in which enough is held.

    `kind` is `event_count` or `value_count` (`least` of them), `temporal` (all places of one of
    `ways`) or `temporal_ordered` (the same, each beginning after the one before).
    """

    correlation: Correlation
    kind: str
    timespan: int
    least: int
    ways: tuple[tuple[int, ...], ...]
    sources: tuple[Source, ...]
    differences: tuple[str, ...]

    @property
    def log(self) -> str:
        """The store (of rules/taxonomy.yml) that all its rows are in."""
        return self.sources[0].log if self.sources else OSQUERY

    @property
    def lasting(self) -> bool:
        """Whether any of the rows are sightings of states."""
        return not all(source.moments for source in self.sources)

    @property
    def asked(self) -> list[int]:
        """The places of the rules that a temporal condition is about."""
        if self.ways:
            return sorted({place for way in self.ways for place in way})
        return list(range(len(self.correlation.rules)))

    @property
    def names(self) -> list[str]:
        """The names of the group-by fields, those of the envelope without their prefix."""
        return [name.removeprefix("osquery.") for name in self.correlation.group_by]

    @property
    def identifiers(self) -> list[str]:
        """The same, with nothing in them but ASCII letters, digits and `_`."""
        return [
            "".join(c if c.isascii() and c.isalnum() else "_" for c in name) for name in self.names
        ]


def plan_of(subject: Subject, logs: Collection[str] = ()) -> Plan:
    """The plan of a correlation over its members. `logs` are the stores beside osquery's (sign-in
    logs) that the target reads. Raises `Unsayable`."""
    one = subject.rule
    assert isinstance(one, Correlation)
    if one.type in NUMERIC:
        raise Unsayable(
            "numbers", "sums, means and percentiles of numbers in text are not compiled"
        )
    least, ways = _condition(one)
    differences: set[str] = set()
    found: dict[_Key, list[Subject]] = {}
    for place, member in enumerate(subject.members):
        for leaf in _leaves(one, place, member, differences):
            for key, bound in _alike(one, place, leaf):
                found.setdefault(key, []).append(replace(leaf, bounds=(bound,)))
    sources = tuple(
        Source(**key._asdict(), members=tuple(_joined(members)), columns=_columns_of(key, members))
        for key, members in found.items()
    )
    stores = {source.log for source in sources}
    if len(stores) > 1:
        raise Unsayable(OTHER_LOG, "it reads several logs, each of which stands elsewhere")
    if stores - {OSQUERY} - set(logs):
        raise Unsayable(OTHER_LOG, "it reads a log that is not compiled for here")
    made = Plan(one, one.type, one.timespan, least, ways, sources, tuple(sorted(differences)))
    if one.type == "event_count" and least > 1 and made.lasting:
        raise Unsayable("counted_states", "states are not told apart well enough to be counted")
    return made


def _condition(one: Correlation) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """The least number and, of temporal types, the places of each way to meet the condition."""
    if any(term.lacks for term in one.terms):
        raise Unsayable("absence", "that something is absent is not compiled")
    if one.terms:
        return 1, tuple(term.needs for term in one.terms)
    least = 1
    for op, limit in one.comparisons:
        if op not in ("gt", "gte"):
            raise Unsayable("upper_bound", "a window with few things in it is not compiled")
        least = max(least, ceil(limit) if op == "gte" else floor(limit) + 1)
    if not one.type.startswith("temporal"):
        return least, ()
    if least >= len(one.rules):
        return least, (tuple(range(len(one.rules))),)
    if one.ordered:
        raise Unsayable("sequence", "an order of some of several rules is not compiled")
    return least, ()


def _leaves(
    above: Correlation, place: int, member: Subject, differences: set[str]
) -> Iterator[Subject]:
    """The rules behind a member: itself, or those of a signal, which stands for any of them."""
    one = member.rule
    if isinstance(one, Rule):
        yield member
        return
    fields = {above.field(place, name) for name in (*above.group_by, *above.value_fields)}
    if one.type != "event_count" or _condition(one)[0] > 1 or fields - set(one.group_by):
        raise Unsayable("chain", f"it counts what the correlation {one.title} finds")
    if one.aliases:
        raise Unsayable("chain", f"the correlation {one.title} has aliases")
    differences.add(SIGNAL_ROWS)
    for inner, below in enumerate(member.members):
        yield from _leaves(one, inner, below, differences)


def _alike(one: Correlation, place: int, leaf: Subject) -> Iterator[tuple[_Key, Bound]]:
    """The ways in which a rule's rows are read, each with its part of a bound."""
    rule = leaf.rule
    assert isinstance(rule, Rule)
    for bound in leaf.bounds:
        log = bound.fields.store.name
        group = tuple(_place(bound, one.field(place, name)) for name in one.group_by)
        wanted = [one.field(place, name) for name in one.value_fields]
        values = tuple(_place(bound, name) for name in wanted if name != SUBJECT)
        label = rule.meta.subject if SUBJECT in wanted else ""
        if any(where.kind == "absent" for where in (*group, *values)):
            continue
        if SUBJECT in wanted and (not label or values):
            continue
        parts: dict[tuple[bool, str], list[str]] = {}
        for query in bound.queries:
            known = _pack()[query]
            kind = (known.evented or asks_removed(rule), known.time)
            parts.setdefault(kind, []).append(query)
        if log != OSQUERY:
            # A sign-in is a moment, and each log knows where it says when.
            parts[True, ""] = []
        for (moments, time), queries in parts.items():
            # Which rule it was matters to the temporal types only.
            mine = place if one.type.startswith("temporal") else 0
            key = _Key(mine, moments, time, group, values, label, log)
            yield key, Bound(tuple(queries), bound.fields)


def _place(bound: Bound, name: str) -> Place:
    return bound.fields.places.get(name) or Place("absent", "")


def _columns_of(key: _Key, members: Iterable[Subject]) -> tuple[str, ...]:
    """All columns by which states are told apart; moments need none."""
    if key.moments:
        return ()
    queries = {query for one in members for bound in one.bounds for query in bound.queries}
    return tuple(sorted({column for query in queries for column in _columns(query)}))


def _joined(members: Sequence[Subject]) -> Iterator[Subject]:
    """Each rule once, with all its bounds."""
    bounds: dict[str, list[Bound]] = {}
    first: dict[str, Subject] = {}
    for member in members:
        first.setdefault(member.rule.id, member)
        bounds.setdefault(member.rule.id, []).extend(member.bounds)
    for rule, member in first.items():
        yield replace(member, bounds=tuple(bounds[rule]))


class _Key(NamedTuple):
    """What rows that are read alike have in common, as in `Source`."""

    place: int
    moments: bool
    time: str
    group: tuple[Place, ...]
    values: tuple[Place, ...]
    label: str
    log: str


class _Query(NamedTuple):
    binding: Binding
    evented: bool
    time: str


@cache
def _pack() -> Mapping[str, _Query]:
    """What is known of each query of molehunt's pack."""
    manifest = load_yaml("pack.yml")
    names, before = dict(pack_queries(manifest)), f"pack_{manifest['pack']}_"
    found = {}
    binder = know_sql(Binder([("config", pack_schedule(manifest))], tables()))
    for binding in binder.declared():
        name = binding.query.removeprefix(before)
        if name in names:
            shape = binding.shape
            used = shape.tables if shape else ()
            evented = any(use.table in tables() and tables()[use.table].evented for use in used)
            found[name] = _Query(binding, evented, tie_of(binding, taxonomy()).time or "")
    return found


def _columns(query: str) -> tuple[str, ...]:
    shape = _pack()[query].binding.shape
    return tuple(shape.columns) if shape else ()
