"""Correlations as KQL: run by duckdb-kql beside the oracle, and read by Microsoft's parser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import backend_random
import correlation_kit as ck
import correlation_samples as samples
import kit
import pytest
import search_random

from molehunt.backends.model import Artefact, Compiled, Packing
from molehunt.backends.sentinel.emulator import DUCKDB
from molehunt.backends.sentinel.parser import check, missing
from molehunt.backends.sentinel.target import PROFILE, SENTINEL
from molehunt.backends.subjects import subjects
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy


def compiled(loaded: RuleSet) -> list[Compiled]:
    """The correlations of a rule set, compiled."""
    made = subjects(loaded, load_yaml("pack.yml"), taxonomy())
    return [SENTINEL.compile(one, PROFILE) for one in made if isinstance(one.rule, Correlation)]


def artefacts(loaded: RuleSet) -> list[Artefact]:
    """The same where none may be refused."""
    found = compiled(loaded)
    assert all(isinstance(one, Artefact) for one in found), found
    return found  # type: ignore[return-value]


def groups(loaded: RuleSet, lines: Sequence[bytes]) -> list[Any]:
    """The groups that the queries find, by correlation in order."""
    with DUCKDB.open(PROFILE) as session:
        session.load(search_random.judge(loaded.rules, lines).records)
        answers = list(session.ask(artefacts(loaded)))
    assert not any(one.error for one in answers), answers
    return [one.groups for one in answers]


def agreed(sample: samples.Sample) -> int:
    """That the queries find what the oracle finds; how many groups those are."""
    total = 0
    found = groups(sample.loaded, sample.lines)
    for one, theirs in zip(sample.loaded.correlations, found, strict=True):
        wanted = sample.groups(one)
        assert theirs == wanted, (one.raw["correlation"], theirs ^ wanted)
        total += len(wanted)
    return total


@pytest.mark.parametrize("make", [samples.moments, samples.lasting])
def test_random(make: Any) -> None:
    """Windows slide with both ends, values and groups fold, rows last from added to removed."""
    assert agreed(make(0)) > 8


@pytest.mark.slow
@pytest.mark.parametrize("make", [samples.moments, samples.lasting])
@pytest.mark.parametrize("seed", range(1, 6))
def test_more_random(make: Any, seed: int) -> None:
    """The same with other correlations and rows."""
    agreed(make(seed))


@pytest.mark.parametrize("kind", sorted(samples.CASES))
def test_states_and_orders(kind: str) -> None:
    """What lasts, until when, and what follows what."""
    loaded, lines, wanted = samples.cases(kind)
    assert samples.engine_groups(loaded, lines) == wanted
    assert groups(loaded, lines) == [wanted]


def test_package() -> None:
    """A short query stands in its rule, a long one in a function that the rule calls."""
    made = [one for one in compiled(backend_random.RULES) if isinstance(one, Artefact)]
    by_id = {one.id: one for one in backend_random.RULES.both}
    files = SENTINEL.package(made, Packing(load_yaml("pack.yml"), by_id, "1.2.3"))
    functions = {
        resource["properties"]["functionAlias"]: resource["properties"]["query"]
        for name, data in files.items()
        if name.startswith("Functions/")
        for resource in json.loads(data)["resources"]
    }
    assert 0 < len(functions) < len(made)
    by_rule = {one.rule: one for one in made}
    for name, data in files.items():
        if not name.endswith(".yaml"):
            continue
        body = kit.parsed(data)
        head, _, tail = body["query"].rpartition("\n| where ")
        assert tail == "newest > ago(1h)\n"
        assert functions.get(head, head) == by_rule[body["id"]].query["query"]
        assert len(body["query"]) <= 10_000
        assert int(body["queryPeriod"][1:-1]) <= 14


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"timespan": "14d"}, "look_back"),
        ({"condition": {"lte": 1}}, "upper_bound"),
        ({"type": "value_sum", "condition": {"field": "pid", "gte": 1}}, "numbers"),
        ({"type": "event_count", "condition": {"gte": 2}}, "counted_states"),
    ],
)
def test_what_is_refused(more: dict[str, Any], code: str) -> None:
    """Typed, not approximated."""
    section = samples.TOGETHER | more
    (one,) = compiled(kit.ruleset(*ck.rules("processes"), ck.correlation(section)))
    assert one.code == code  # type: ignore[union-attr]


def test_parser() -> None:
    """Microsoft's parser takes each type."""
    if missing():
        pytest.skip(f"NOT PROVEN on the Kusto parser: it needs {missing()}")
    made = artefacts(samples.lasting(0).loaded)
    assert check([one.query["query"] for one in made]) == [[]] * len(made)
