"""Correlations as ES|QL on a real Elasticsearch: random ones, and each declared difference.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import correlation_kit as ck
import kit
import pytest
import search_random

from molehunt.backends.model import Artefact, Profile, Target
from molehunt.backends.registry import target
from molehunt.backends.searching.session import INDEX
from molehunt.backends.subjects import subjects
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.taxonomy import taxonomy

ROUNDS, EACH = 6, 8
STATES, EVENTS = "pack_molehunt_processes_linux", "pack_molehunt_process_events"
NAMES = sorted(ck.RULES)
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


def section(rng: Random, kind: str, value: str) -> dict[str, Any]:
    """A random `correlation` section of a type, of what is compiled."""
    made: dict[str, Any] = {"type": kind, "group-by": ["cmdline"]}
    made["timespan"] = f"{rng.randint(1, 8)}s"
    made["rules"] = rng.sample(NAMES, rng.randint(1, 3))
    if kind == "value_count":
        made["condition"] = {"field": value, rng.choice(("gte", "gt")): rng.randint(1, 2)}
    elif kind == "event_count":
        made["condition"] = {"gte": 1 if value == "osquery.host" else rng.randint(1, 3)}
    elif kind == "temporal" and rng.random() < 0.5:
        del made["rules"]
        words = ("({} or {}) and {}", "{} and {}", "{} or {} and {}")
        made["condition"] = rng.choice(words).format(*rng.sample(NAMES, 3))
    elif kind == "temporal":
        made["condition"] = {"gte": rng.randint(1, len(made["rules"]))}
    return made


def documents(rng: Random, service: str, value: str) -> list[str]:
    """The three rules and random correlations over them."""
    kinds = ("event_count", "value_count", "temporal", "temporal_ordered")
    found = ck.rules(service)
    for number in range(EACH):
        text = ck.correlation(section(rng, kinds[number % 4], value), f"c{number}")
        found.append(text.replace("0000000000c1", f"0000000000d{number}"))
    return found


def seed() -> int:
    """In CI what is tested must not depend on chance."""
    return 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))


def compare(server: Running, docs: Sequence[str], lines: Sequence[bytes], expected: Any) -> int:
    """The server finds what the oracle finds; gives the number of groups."""
    loaded = kit.ruleset(*docs)
    assert len(loaded.correlations) == EACH
    total = 0
    for one, found in zip(loaded.correlations, groups(server, loaded, lines), strict=True):
        wanted = {group for group, _, _ in ck.oracle_windows(one, expected(one), 10**12)}
        assert found == wanted, (one.raw["correlation"], found ^ wanted)
        total += len(wanted)
    return total


def test_random_correlations_over_events(server: Running) -> None:
    """Windows over moments slide, both ends included; values and groups fold."""
    start, total = seed(), 0
    for number in range(start, start + ROUNDS):
        rng = Random(number)
        rows = [
            {
                "path": rng.choice(("/a", "/b", "/ab", "/c", "/n")),
                "cmdline": rng.choice(("g", "G", "h", "")),
                "cwd": rng.choice(("v", "V", "w", "")),
                "pid": place,
                "time": ck.START + rng.randint(0, 16),
            }
            for place in range(rng.randint(4, 14))
        ]
        docs = documents(rng, "process_events", "cwd")
        total += compare(
            server, docs, ck.lines(rows, EVENTS), lambda one, r=rows: ck.occurred(one, r)
        )
    assert total >= ROUNDS


def test_random_correlations_over_states(server: Running) -> None:
    """A row counts from added to removed, whatever came again in between."""
    start, total = seed(), 0
    for number in range(start, start + ROUNDS):
        rng = Random(number)
        found: dict[Any, dict[str, Any]] = {}
        for _ in range(rng.randint(4, 14)):
            row = {
                "path": rng.choice(("/a", "/ab", "/b", "/c")),
                "cmdline": rng.choice(("g", "h", "")),
            }
            one = {
                "row": row,
                "host": rng.choice(("lab-01", "lab-02")),
                "action": rng.choice(("added", "added", "removed")),
                "counter": rng.choice((0, 1)),
                "time": ck.START + rng.randint(0, 16),
            }
            found[(*row.values(), one["host"], one["action"], one["time"])] = one
        sightings = list(found.values())
        lines = [sighting(one) for one in sightings]
        docs = documents(rng, "processes", "osquery.host")
        total += compare(server, docs, lines, lambda one, s=sightings: ck.states(one, s))
    assert total >= ROUNDS


def sighting(one: Mapping[str, Any]) -> bytes:
    """A line about a state."""
    return kit.line(
        one["row"] | {"pid": "7", "name": "x"},
        STATES,
        hostIdentifier=one["host"],
        action=one["action"],
        counter=one["counter"],
        unixTime=one["time"],
    )


def state(path: str, at: int, action: str = "added", **more: Any) -> bytes:
    """A line about a process at a second."""
    row = {"path": path, "cmdline": more.pop("cmdline", "g")}
    one = {"row": row, "host": "lab-01", "action": action, "counter": 1, "time": ck.START + at}
    return sighting(one | more)


def both(server: Running, wanted: Mapping[str, Any], *lines: bytes) -> tuple[Any, Any]:
    """The groups that the server finds, and those of the engine."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(wanted))
    (theirs,) = groups(server, loaded, lines)
    mine = {tuple(map(str.lower, one.group)) for one in ck.results(loaded, matched(loaded, lines))}
    return theirs, mine


def matched(loaded: Any, lines: Sequence[bytes]) -> Any:
    """The matches in lines of the pack."""
    return ck.matches(loaded, *lines)


TOGETHER = {"type": "temporal", "rules": ["r1", "r3"], "group-by": ["cmdline"], "timespan": "10s"}


# A second more than a week apart.
SNAPSHOTS = [state("/a", 0, "snapshot"), state("/a", 7 * 86400 + 1, "snapshot")]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([state("/a", 0), state("/c", 100)], True),
        ([state("/a", 0), state("/a", 20, "removed"), state("/c", 30)], True),
        ([state("/a", 0), state("/a", 20, "removed"), state("/c", 31)], False),
        ([state("/a", 20, "removed"), state("/c", 25)], False),
        ([state("/a", 0, "snapshot"), state("/a", 7 * 86400, "snapshot"), state("/c", 99)], True),
        ([*SNAPSHOTS, state("/c", 99), state("/c", 100, "removed")], False),
    ],
)
def test_states_last(server: Running, lines: list[bytes], found: bool) -> None:
    """Until they are seen to go away; snapshots last while they are seen again within a week."""
    theirs, mine = both(server, TOGETHER, *lines)
    assert theirs == mine == ({("g",)} if found else set())


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([state("/a", 0), state("/c", 1)], True),
        ([state("/a", 0), state("/c", 0)], False),
        ([state("/a", 0), state("/c", 1, counter=0)], False),
        ([state("/a", 0, counter=0), state("/c", 1)], True),
        ([state("/a", 0), state("/c", -1), state("/c", 2)], False),
    ],
)
def test_orders(server: Running, lines: list[bytes], found: bool) -> None:
    """What follows must be seen to begin, and later; what was there already does not."""
    theirs, mine = both(server, TOGETHER | {"type": "temporal_ordered"}, *lines)
    assert theirs == mine == ({("g",)} if found else set())


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
    mine = {one.correlation.id for one in ck.results(loaded, matched(loaded, lines))}
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
    body = {"query": f"FROM {INDEX} METADATA {rest}\n| LIMIT 10", "filter": given}
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
