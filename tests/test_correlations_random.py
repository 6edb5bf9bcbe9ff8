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

times = st.integers(0, 40).map(lambda second: ck.START + second)
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
        "timespan": st.integers(1, 15).map("{}s".format),
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
            "timespan": st.integers(1, 15).map("{}s".format),
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
