"""Correlations as ES|QL on a real Elasticsearch: random ones, and each declared difference.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import correlation_kit as ck
import correlation_samples as samples
import kit
import pytest
import search_random
from correlation_samples import TOGETHER, state

from molehunt.backends.model import Artefact, Profile, Target
from molehunt.backends.registry import target
from molehunt.backends.subjects import subjects
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.taxonomy import taxonomy

ROUNDS, EACH = 6, 8
# A row with the columns to which the pack gives names, so that they are mapped.
NAMED = kit.line(
    {"port": "1", "process_path": "/z", "process_cmdline": "z"},
    "pack_molehunt_listening_ports_linux",
)


class Running(NamedTuple):
    """A server with the profile that it plays."""

    target: Target
    profile: Profile
    session: Any


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One server for all tests."""
    chosen = target("elastic")
    profile = chosen.profile("osquery_manager")
    (engine,) = chosen.engines
    why = engine.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {engine.name}: it needs {why}")
    with engine.open(profile) as session:
        yield Running(chosen, profile, session)


def artefacts(server: Running, loaded: Any) -> list[Artefact]:
    """The correlations of a rule set, compiled; none may be refused."""
    made = subjects(loaded, load_yaml("pack.yml"), taxonomy())
    found = [
        server.target.compile(one, server.profile)
        for one in made
        if isinstance(one.rule, Correlation)
    ]
    assert all(isinstance(one, Artefact) for one in found), found
    return found  # type: ignore[return-value]


def groups(server: Running, loaded: Any, lines: Sequence[bytes]) -> list[Any]:
    """The groups that the server finds, by correlation in order."""
    server.session.load(search_random.judge(loaded.rules, [*lines, NAMED]).records)
    answers = list(server.session.ask(artefacts(server, loaded)))
    assert not any(one.error for one in answers), answers
    return [set(one.groups) for one in answers]


def seed() -> int:
    """In CI what is tested must not depend on chance."""
    return 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))


def compare(server: Running, make: Any) -> None:
    """The server finds what the oracle finds."""
    start, total = seed(), 0
    for number in range(start, start + ROUNDS):
        sample = make(number, EACH)
        found = groups(server, sample.loaded, sample.lines)
        for one, theirs in zip(sample.loaded.correlations, found, strict=True):
            wanted = sample.groups(one)
            assert theirs == wanted, (number, one.raw["correlation"], theirs ^ wanted)
            total += len(wanted)
    assert total >= ROUNDS


def test_random_correlations_over_events(server: Running) -> None:
    """Windows over moments slide, both ends included; values and groups fold."""
    compare(server, samples.moments)


def test_random_correlations_over_states(server: Running) -> None:
    """A row counts from added to removed, whatever came again in between."""
    compare(server, samples.lasting)


def both(server: Running, wanted: Mapping[str, Any], *lines: bytes) -> tuple[Any, Any]:
    """The groups that the server finds, and those of the engine."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(wanted))
    (theirs,) = groups(server, loaded, lines)
    return theirs, samples.engine_groups(loaded, lines)


@pytest.mark.parametrize("kind", sorted(samples.CASES))
def test_states_last_and_what_follows_begins_later(server: Running, kind: str) -> None:
    """Until they are seen to go away; snapshots last while they are seen again within a week. What
    follows must be seen to begin, and later; what was there already does not."""
    loaded, lines, wanted = samples.cases(kind)
    (theirs,) = groups(server, loaded, lines)
    assert theirs == wanted == samples.engine_groups(loaded, lines)


def test_the_case_of_java(server: Running) -> None:
    """The declared difference letter_case: the Kelvin sign is a k there."""
    lines = [state("/a", 0, cmdline="k"), state("/c", 1, cmdline="\u212a")]
    theirs, mine = both(server, TOGETHER, *lines)
    assert (theirs, mine) == ({("k",)}, set())


def test_columns_that_no_row_has_had(server: Running) -> None:
    """The declared difference unmapped: the rule ends in an error until the first row comes."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(TOGETHER))
    (one,) = artefacts(server, loaded)
    assert "unmapped" in one.differences
    server.session.load(search_random.judge(loaded.rules, [state("/a", 0)]).records)
    (answer,) = server.session.ask([one])
    assert "Unknown column [osquery.process_cmdline]" in answer.error


def test_rows_of_a_signal(server: Running) -> None:
    """The declared difference signal_rows: a state counts on after what came within its second."""
    signal = {
        "type": "event_count",
        "rules": ["r1", "r2"],
        "group-by": ["cmdline"],
        "timespan": "1s",
        "condition": {"gte": 1},
    }
    docs = [
        *ck.rules("processes"),
        ck.correlation(signal, "any").replace("0000c1", "0000c2"),
        ck.correlation(TOGETHER | {"rules": ["any", "r3"]}),
    ]
    loaded = kit.ruleset(*docs)
    lines = [state("/a", 0), state("/b", 1), state("/b", 2, "removed"), state("/c", 100)]
    found = dict(
        zip([one.id for one in loaded.correlations], groups(server, loaded, lines), strict=True)
    )
    mine = {one.correlation.id for one in ck.results(loaded, ck.matches(loaded, *lines))}
    parent = next(one.id for one in loaded.correlations if one.type == "temporal")
    assert (found[parent], parent in mine) == ({("g",)}, False)
    compiled = {one.rule: one for one in artefacts(server, loaded)}
    assert "signal_rows" in compiled[parent].differences


def test_what_kibana_gets(server: Running) -> None:
    """The rule runs the proven query over its look-back, and tells only what is new."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(TOGETHER))
    (one,) = artefacts(server, loaded)
    assert one.body["type"] == one.body["language"] == "esql"
    assert one.body["query"].startswith(one.query["query"])
    assert one.body["query"].endswith("\n| WHERE newest >= NOW() - 30 minutes")
    assert one.body["from"] == f"now-{97 * 1440}m"
    # It is a query that the server takes, and nothing of 2023 is new.
    server.session.load(
        search_random.judge(loaded.rules, [state("/a", 0), state("/c", 1), NAMED]).records
    )
    (old,) = server.session.ask(
        [Artefact(**kept(one) | {"query": one.query | {"query": one.body["query"]}})]
    )
    assert old.groups == frozenset()


TIMES = {"range": {"@timestamp": {"gte": "1970-01-01T00:00:00Z"}}}


@pytest.mark.parametrize("given", [{"bool": {"filter": [TIMES]}}, {"bool": {"must": [TIMES] * 3}}])
def test_a_filter_with_the_request(server: Running, given: dict[str, Any]) -> None:
    """The score tells which rules found a row; what comes with the request does not change it."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(TOGETHER))
    (one,) = artefacts(server, loaded)
    lines = [state("/a", 0), state("/c", 1), state("/a", 0, cmdline="h"), NAMED]
    server.session.load(search_random.judge(loaded.rules, lines).records)
    _, _, rest = one.query["query"].partition(" METADATA ")
    body = {"query": f"FROM {server.session.index} METADATA {rest}\n| LIMIT 10", "filter": given}
    answer = server.session.send("POST", "/_query", (body,))
    place = [column["name"] for column in answer["columns"]].index("cmdline")
    assert [row[place] for row in answer["values"]] == ["g"]


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_more_rules_than_a_score_has_bits(server: Running) -> None:
    """What has no bit is asked for in the counts."""
    docs = []
    for n, letter in enumerate(LETTERS):
        said = {"name": f"r{letter}", "service": "processes", "field": "path"}
        text = ck.RULE.format(number=1, values=f"/{letter}", **said)
        docs.append(text.replace("8000-000000000001", f"8000-{n:012}"))
    names = [f"r{letter}" for letter in LETTERS]
    wanted = TOGETHER | {"rules": names, "condition": {"gte": 3}}
    loaded = kit.ruleset(*docs, ck.correlation(wanted))
    assert "COUNT(*) WHERE QSTR" in artefacts(server, loaded)[0].query["query"]
    lines = [state(f"/{letter}", n) for n, letter in enumerate("ayz")]
    lines += [state(f"/{letter}", n, cmdline="h") for n, letter in enumerate("bz")]
    (found,) = groups(server, loaded, lines)
    assert found == {("g",)}


def kept(one: Artefact) -> dict[str, Any]:
    """The parts of an artefact by name."""
    return {name: getattr(one, name) for name in one.__slots__}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"condition": {"lte": 1}}, "upper_bound"),
        ({"condition": "r1 and not r3"}, "absence"),
        ({"type": "value_sum", "condition": {"field": "pid", "gte": 1}}, "numbers"),
        ({"type": "event_count", "condition": {"gte": 2}}, "counted_states"),
    ],
)
def test_what_is_refused(more: dict[str, Any], code: str) -> None:
    """Typed, not approximated."""
    wanted = dict(TOGETHER) | more
    if isinstance(wanted.get("condition"), str):
        del wanted["rules"]
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(wanted))
    made = subjects(loaded, load_yaml("pack.yml"), taxonomy())[-1]
    chosen = target("elastic")
    assert chosen.compile(made, chosen.profile("osquery_manager")).code == code  # type: ignore[union-attr]
    assert chosen.compile(made, chosen.profile("filebeat")).code == code  # type: ignore[union-attr]
