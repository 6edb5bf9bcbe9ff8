"""Three ways to say in which windows a correlation holds, and the logs to ask them about.

The engine reads osquery lines. The oracle below is the slow and obvious one: it looks at every
window by itself. The third vote is pySigma-backend-sqlite's SQL on an in-memory SQLite.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import inf
from operator import eq, ge, gt, le, lt, ne
from statistics import quantiles
from typing import Any, NamedTuple

import kit

from molehunt.correlation import Correlation
from molehunt.detectors.correlating.correlator import Correlated, Correlator
from molehunt.detectors.correlating.store import Store
from molehunt.detectors.correlating.windows import windows
from molehunt.detectors.findings.correlated import correlated_findings
from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.findings.model import Finding
from molehunt.detectors.findings.organisation import Organisation
from molehunt.detectors.matching.match import Match
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.schedule.binding import Binder
from molehunt.problems import Problem
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

START = 1_700_000_000
COMPARE = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}

RULES = {
    "r1": ("/a", "/ab"),
    "r2": ("/b", "/ab"),
    "r3": ("/c",),
}
RULE = """\
title: Rule {name}
id: 00000000-0000-4000-8000-00000000000{number}
name: {name}
status: test
logsource: {{product: osquery, service: {service}}}
detection:
    selection:
        {field}: {values}
    condition: selection
level: low
"""
CORRELATION = """\
title: Correlation
id: 00000000-0000-4000-8000-0000000000c1
name: {name}
status: test
correlation: {section}
level: high
"""


class Occurred(NamedTuple):
    """What the oracle looks at: as `tallies.Occurrence`, made by hand."""

    start: float
    end: float
    id: int
    value: Any
    place: int
    exact: bool


Found = set[tuple[tuple[str, ...], float, float]]


def rules(service: str = "process_events", field: str = "path") -> list[str]:
    """The three rules: r1 and r2 both match `/ab`, r3 matches `/c`."""
    return [
        RULE.format(
            name=name, number=number, service=service, field=field, values=json.dumps(values)
        )
        for number, (name, values) in enumerate(RULES.items(), 1)
    ]


def correlation(section: Mapping[str, Any], name: str = "c1") -> str:
    """A correlation with this `correlation` section."""
    return CORRELATION.format(name=name, section=json.dumps(section))


def engine_windows(loaded: RuleSet, matches: Iterable[Match], horizon: float) -> Found:
    """What the engine says of the (only) correlation: folded group values, start and end."""
    (one,) = loaded.correlations
    store = Store([one])
    with closing(store), Correlator(loaded) as correlator:
        correlator._store = store
        for match in matches:
            correlator.add(match)
        store.fill()
        return {
            (tuple(value.lower() for value in group), window.start, window.end)
            for number, group in store.groups(0)
            for window in windows(one, store.content(number), horizon)
        }


def oracle_windows(
    one: Correlation, groups: Mapping[tuple[str, ...], Sequence[Occurred]], horizon: float
) -> Found:
    """The same by looking at each window by itself."""
    found: Found = set()
    for group, all_of in groups.items():
        for start, end, terms in _candidates(one, all_of, horizon):
            inside = [item for item in all_of if item.start <= end and item.end >= start]
            if _holds(one, terms, inside):
                found.add((group, start, end))
    return found


def _candidates(one: Correlation, all_of: Sequence[Occurred], horizon: float) -> Iterable[Any]:
    backward = [term for term in one.terms if not term.lacks]
    if backward or not one.terms:
        for end in {item.start for item in all_of}:
            yield end - one.timespan, end, backward
    for term in one.terms:
        if term.lacks:
            for start in {item.start for item in all_of if item.place in term.needs}:
                if start + one.timespan <= horizon:
                    yield start, start + one.timespan, [term]


def _holds(one: Correlation, terms: Sequence[Any], inside: Sequence[Occurred]) -> bool:
    places = {item.place for item in inside}
    if terms:
        return any(
            set(term.needs) <= places
            and not set(term.lacks) & places
            and (not one.ordered or _in_order(term.needs, inside))
            for term in terms
        )
    metric = _metric(one, inside)
    if metric is None or not all(COMPARE[op](metric, limit) for op, limit in one.comparisons):
        return False
    if one.ordered and not all(op in ("gt", "gte") for op, _ in one.comparisons):
        return _in_order(sorted(places), inside)
    return True


def _in_order(wanted: Sequence[int], inside: Sequence[Occurred]) -> bool:
    """Whether some choice of one for each place is in order: all choices are tried."""
    choices = [[item for item in inside if item.place == place] for place in wanted]
    return any(
        all(a.start < b.start and b.exact for a, b in pairwise(chain))
        for chain in product(*choices)
    )


def _metric(one: Correlation, inside: Sequence[Occurred]) -> Any:
    if one.type == "temporal":
        return len({item.place for item in inside})
    if one.type == "temporal_ordered":
        if not all(op in ("gt", "gte") for op, _ in one.comparisons):
            return len({item.place for item in inside})
        return max(
            sum(chosen)
            for chosen in product((0, 1), repeat=len(one.rules))
            if _in_order([place for place, taken in enumerate(chosen) if taken], inside)
        )
    if one.type == "event_count":
        return len({item.id for item in inside})
    counted = {(item.id, item.value) for item in inside if item.value is not None}
    values = sorted(Fraction(value) if one.type != "value_count" else value for _, value in counted)
    if one.type == "value_count":
        return len(set(values))
    if not values:
        return None
    if one.type == "value_sum":
        return sum(values)
    if one.type == "value_avg":
        return sum(values) / len(values)
    percentile = one.percentile
    if len(values) == 1 or percentile in (0, 100):
        return values[-1 if percentile == 100 else 0]
    return quantiles(values, n=100, method="inclusive")[percentile - 1]


def states(
    one: Correlation, sightings: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], list[Occurred]]:
    """What sightings of rows are to the oracle: `action`, `time`, `counter`, `host`, and `row` with
    `path` and `cmdline`. Groups are by `cmdline`, values are hosts."""
    by_row: dict[Any, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for sighting in sightings:
        row = (sighting["host"], *sorted(sighting["row"].items()))
        by_row[row][sighting["time"]].append((sighting["action"], sighting["counter"]))
    groups: dict[tuple[str, ...], list[Occurred]] = defaultdict(list)
    for number, ((host, *row), by_time) in enumerate(sorted(by_row.items())):
        values = dict(row)
        for index, (start, end, exact) in enumerate(_there(by_time)):
            for place, name in enumerate(one.refers):
                if values["path"] in RULES[name] and values["cmdline"]:
                    item = Occurred(start, end, number * 1000 + index, host.lower(), place, exact)
                    groups[values["cmdline"].lower(),].append(item)
    return groups


def _there(by_time: Mapping[int, list[Any]]) -> list[tuple[float, float, bool]]:
    """When one row was there: followed second by second."""
    found: list[tuple[float, float, bool]] = []
    since: tuple[float, bool] | None = None
    for second in range(min(by_time), max(by_time) + 1):
        actions = {action for action, _ in by_time.get(second, ())}
        if "removed" in actions and "added" not in actions and since is not None:
            found.append((since[0], second, since[1]))
            since = None
        if "added" in actions and since is None:
            # Of several lines at one time, the first in the log speaks.
            counter = next(counter for action, counter in by_time[second] if action == "added")
            since = (second, counter > 0)
    if since is not None:
        found.append((since[0], inf, since[1]))
    return found


def sqlite_windows(
    documents: Sequence[str], rows: Sequence[Mapping[str, Any]], horizon: float
) -> Found:
    """What the SQL of pySigma-backend-sqlite says, run over the same rows."""
    from sigma.backends.sqlite import sqliteBackend
    from sigma.collection import SigmaCollection

    columns = ["path", "cmdline", "cwd", "pid", "uid", "time"]
    backend = sqliteBackend(
        timestamp_field="time", timestamp_format="unix", observation_end=horizon
    )
    collection = SigmaCollection.from_yaml("\n---\n".join(documents))
    # Rules that the correlation does not refer to come first, as queries of their own.
    query = backend.convert(collection)[-1]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE logs ({', '.join(columns)})")
        database.executemany(
            f"INSERT INTO logs VALUES ({', '.join('?' * len(columns))})",
            [[row.get(column) or None for column in columns] for row in rows],
        )
        cursor = database.execute(query)
        names = [column[0] for column in cursor.description]
        found: Found = set()
        for row in cursor:
            alert = dict(zip(names, row, strict=True))
            group = tuple(str(value) for value in json.loads(alert["group_keys"]).values())
            found.add((group, alert["window_start"], alert["window_end"]))
        return found


def occurred(
    one: Correlation, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], list[Occurred]]:
    """What the rows (events) are to the oracle, by group; the rules are taken from `RULES`."""
    groups: dict[tuple[str, ...], list[Occurred]] = defaultdict(list)
    for number, row in enumerate(rows):
        for place, name in enumerate(one.refers):
            if row["path"] not in RULES[name]:
                continue

            def read(field: str, place: int = place, row: Any = row) -> str:
                return str(row.get(one.field(place, field), "")).lower()

            group = tuple(map(read, one.group_by))
            if all(group):
                texts = [read(field) for field in one.value_fields]
                value: Any = tuple(texts) if texts and all(texts) else None
                if one.type not in ("value_count", "event_count") and value is not None:
                    value = int(value[0])
                at = row["time"]
                groups[group].append(Occurred(at, at, number, value, place, True))
    return groups


def matches(loaded: RuleSet, *logged: bytes) -> list[Match]:
    """The matches in lines, by the engine without its raw scan, which takes long to set up."""
    plan = compile_plan(loaded.rules, taxonomy(), _binder(), scan="")
    problems: list[Problem] = []
    found = list(plan.matches([kit.block(*logged)], problems.append))
    assert not problems
    return found


@cache
def _binder() -> Binder:
    return kit.binder()


def lines(rows: Iterable[Mapping[str, Any]], query: str = "process_events") -> list[bytes]:
    """The rows as event lines, numbers as text as osquery logs them."""
    return [
        kit.line({key: str(value) for key, value in row.items()}, query, counter=5) for row in rows
    ]


def results(loaded: RuleSet, matches: Iterable[Match]) -> list[Correlated]:
    """What the correlator makes of matches."""
    with Correlator(loaded) as correlator:
        for match in matches:
            correlator.add(match)
        return list(correlator.results())


def findings(
    loaded: RuleSet, *logged: bytes, organisation: Organisation | None = None
) -> tuple[Finding, ...]:
    """The findings in lines, as `molehunt hunt` makes them."""
    folder = Folder(organisation)
    with Correlator(loaded) as correlator:
        for match in matches(loaded, *logged):
            if folder.add(match):
                correlator.add(match)
        return folder.findings(correlated_findings(correlator))
