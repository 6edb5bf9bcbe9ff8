"""Engine, oracle and SQL agree on random correlations over random events in random order."""

from __future__ import annotations

import sqlite3
from typing import Any

import correlation_kit as ck
import kit
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

# The SQL needs JSON functions (SQLite 3.38).
has_sql = sqlite3.sqlite_version_info >= (3, 38)

times = st.integers(0, 16).map(lambda second: ck.START + second)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["/a", "/b", "/ab", "/c", "/n"]),
            "cmdline": st.sampled_from(["g", "G", "h", ""]),
            "cwd": st.sampled_from(["v", "V", "w", "g", ""]),
            "pid": st.integers(1, 9),
            "uid": st.integers(-3, 3).map(lambda number: number or ""),
            "time": times,
        }
    ),
    min_size=1,
    max_size=14,
)
names = st.lists(st.sampled_from(sorted(ck.RULES)), min_size=1, max_size=3, unique=True)
comparisons = st.builds(
    lambda op, limit: {op: limit},
    st.sampled_from(sorted(ck.COMPARE)),
    st.integers(-1, 5),
)
expressions = st.recursive(
    st.sampled_from(sorted(ck.RULES)),
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("(not {})".format, inner)
    ),
    max_leaves=4,
) | st.permutations(sorted(ck.RULES)).flatmap(
    # What is missed otherwise: most random ones are refused or never meet a negation.
    lambda three: st.sampled_from(
        [
            text.format(*three)
            for text in ("{} and not {}", "{} and {} and not {}", "{} or {} and not {}")
        ]
    )
)


def sections(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """`correlation` sections of one type."""
    condition = comparisons
    if kind == "value_count":
        condition = comparisons.map(lambda found: {**found, "field": "cwd"})
    elif kind == "value_percentile":
        condition = st.builds(
            lambda found, percentile: {**found, "field": "uid", "percentile": percentile},
            comparisons,
            # Exact in SQL's floating point too.
            st.sampled_from([0, 25, 50, 75, 100]),
        )
    elif kind.startswith("value"):
        condition = comparisons.map(lambda found: {**found, "field": "uid"})
    parts = {
        "type": st.just(kind),
        "rules": names,
        "group-by": st.sampled_from([["cmdline"], ["cmdline", "cwd"], ["who"]]),
        "timespan": st.integers(1, 8).map("{}s".format),
        "condition": condition,
    }
    return st.fixed_dictionaries(parts).map(_with_alias)


def _with_alias(section: dict[str, Any]) -> dict[str, Any]:
    if section["group-by"] != ["who"]:
        return section
    fields = dict.fromkeys(section["rules"], "cmdline") | {section["rules"][0]: "cwd"}
    return section | {"aliases": {"who": fields}}


def extended(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Sections with a condition in words."""
    return st.fixed_dictionaries(
        {
            "type": st.just(kind),
            "group-by": st.just(["cmdline"]),
            "timespan": st.integers(1, 8).map("{}s".format),
            "condition": expressions,
        }
    )


def agree(section: dict[str, Any], found: list[dict[str, Any]], order: list[int]) -> None:
    """All three give the same windows, whatever the order of the lines."""
    documents = [*ck.rules(), ck.correlation(section)]
    loaded = kit.ruleset(*documents)
    # Contradictions, and conditions that hold without any match, are refused.
    assume(loaded.correlations)
    (one,) = loaded.correlations
    matching = [row["time"] for row in found if row["path"] != "/n"]
    horizon = max(matching, default=0)
    shuffled = [found[index] for index in order]
    matches = ck.matches(loaded, *ck.lines(shuffled))
    engine = ck.engine_windows(loaded, matches, horizon)
    oracle = ck.oracle_windows(one, ck.occurred(one, found), horizon)
    note(f"engine only: {engine - oracle}; oracle only: {oracle - engine}")
    assert engine == oracle
    if has_sql:
        sql = ck.sqlite_windows(documents, found, horizon)
        note(f"engine only: {engine - sql}; SQL only: {sql - engine}")
        assert engine == sql


@pytest.mark.parametrize(
    "kind",
    [
        "event_count",
        "value_count",
        "temporal",
        "temporal_ordered",
        "value_sum",
        "value_avg",
        "value_percentile",
        "value_median",
    ],
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_type_agrees(kind: str, data: st.DataObject) -> None:
    """The types with a number as condition."""
    found = data.draw(rows)
    agree(data.draw(sections(kind)), found, data.draw(st.permutations(range(len(found)))))


@pytest.mark.parametrize("kind", ["temporal", "temporal_ordered"])
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_extended_conditions_agree(kind: str, data: st.DataObject) -> None:
    """The types with a condition in words."""
    found = data.draw(rows)
    agree(data.draw(extended(kind)), found, data.draw(st.permutations(range(len(found)))))


sightings = st.lists(
    st.fixed_dictionaries(
        {
            "row": st.fixed_dictionaries(
                {
                    "path": st.sampled_from(["/a", "/ab", "/b", "/c"]),
                    "cmdline": st.sampled_from(["g", "h", ""]),
                }
            ),
            "host": st.sampled_from(["lab-01", "lab-02"]),
            "action": st.sampled_from(["added", "added", "removed"]),
            "counter": st.sampled_from([0, 1]),
            "time": times,
        }
    ),
    min_size=1,
    max_size=14,
    # Two lines that say the same of one row at one time.
    unique_by=lambda one: (repr(one["row"]), one["host"], one["action"], one["time"]),
)


def _counting_hosts(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    if kind == "extended":
        return extended("temporal") | extended("temporal_ordered")
    condition = comparisons
    if kind == "value_count":
        condition = comparisons.map(lambda found: {**found, "field": "osquery.host"})
    return st.fixed_dictionaries(
        {
            "type": st.just(kind),
            "rules": names,
            "group-by": st.just(["cmdline"]),
            "timespan": st.integers(1, 8).map("{}s".format),
            "condition": condition,
        }
    )


@pytest.mark.parametrize(
    "kind", ["event_count", "value_count", "temporal", "temporal_ordered", "extended"]
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_states_agree(kind: str, data: st.DataObject) -> None:
    """Rows of a state table are spans: from added to removed, on the host, each counted once."""
    found = data.draw(sightings)
    documents = [*ck.rules("processes"), ck.correlation(data.draw(_counting_hosts(kind)))]
    loaded = kit.ruleset(*documents)
    assume(loaded.correlations)
    (one,) = loaded.correlations
    logged = [
        kit.line(
            sighting["row"] | {"pid": "7", "name": "x"},
            hostIdentifier=sighting["host"],
            action=sighting["action"],
            counter=sighting["counter"],
            unixTime=sighting["time"],
        )
        for sighting in data.draw(st.permutations(found))
    ]
    horizon = max(sighting["time"] for sighting in found)
    engine = ck.engine_windows(loaded, ck.matches(loaded, *logged), horizon)
    oracle = ck.oracle_windows(one, ck.states(one, found), horizon)
    note(f"engine only: {engine - oracle}; oracle only: {oracle - engine}")
    assert engine == oracle


@pytest.mark.skipif(not has_sql, reason="needs SQLite 3.38")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    found=rows,
    limit=st.integers(1, 4),
    below=st.integers(1, 6),
    more=st.integers(0, 6),
    kind=st.sampled_from(["temporal", "temporal_ordered"]),
)
def test_chains_fire_for_the_same_groups(
    found: list[dict[str, Any]], limit: int, below: int, more: int, kind: str
) -> None:
    """A hit is one event for the correlation above; SQL makes one of each of its windows, which
    comes to the same as long as the span above is no shorter."""
    child = {
        "type": "event_count",
        "rules": ["r1"],
        "group-by": ["cmdline"],
        "timespan": f"{below}s",
        "condition": {"gte": limit},
    }
    parent = {
        "type": kind,
        "rules": ["many", "r3"],
        "group-by": ["cmdline"],
        "timespan": f"{below + more}s",
    }
    documents = [
        *ck.rules(),
        ck.correlation(child, "many").replace("0000c1", "0000c2"),
        ck.correlation(parent),
    ]
    loaded = kit.ruleset(*documents)
    results = ck.results(loaded, ck.matches(loaded, *ck.lines(found)))
    engine = {
        tuple(value.lower() for value in one.group)
        for one in results
        if one.correlation.id.endswith("c1")
    }
    sql = ck.sqlite_windows(documents, found, max(row["time"] for row in found))
    assert engine == {group for group, _, _ in sql}
