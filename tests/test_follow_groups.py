"""Findings and groups on disk, evaluated bit by bit, are those of one hunt over everything."""

from __future__ import annotations

from random import Random
from typing import Any

import correlation_kit as ck
import correlation_lines as cl
import kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molehunt.detectors.findings.model import Finding
from molehunt.detectors.following.findings import Findings
from molehunt.detectors.following.groups import Groups
from molehunt.detectors.following.state import State
from molehunt.detectors.hunting.work import Hunter, Problems, Span
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.reading.parts import Part
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

CHAIN = {
    "type": "value_count",
    "rules": ["c1"],
    "group-by": ["cwd"],
    "timespan": "1h",
    "condition": {"field": "cmdline", "gte": 2},
}
SECTIONS: dict[str, dict[str, Any]] = {
    "count": cl.COUNT | {"generate": True},
    "together": {
        "type": "temporal",
        "rules": ["r1", "r3"],
        "group-by": ["cmdline"],
        "timespan": "2m",
    },
    "absence": {
        "type": "temporal",
        "rules": ["r1", "r3"],
        "group-by": ["cmdline"],
        "timespan": "1m",
        "condition": "r1 and not r3",
    },
}


def followed(loaded: RuleSet, chunks: list[list[bytes]], lateness: float) -> list[Finding]:
    """Chunk by chunk, forgetting after each."""
    plan = compile_plan(loaded.rules, taxonomy(), kit.binder(), scan="")
    hunter, state = Hunter(plan, loaded, None, Span()), State("", "key")
    findings = Findings(state, loaded)
    groups = Groups(state, loaded, findings, lateness)
    offset, line = 0, 1
    for chunk in chunks:
        block = kit.block(*chunk)._replace(offset=offset, line=line)
        offset, line = offset + len(block.data), line + len(chunk)
        hunter.look(block, Problems())
        taken = hunter.taken(Part(""), 0, Problems())
        findings.merge(taken.piles)
        groups.add(taken.collected)
        groups.evaluate()
        groups.settle(float("inf"))
    everything = [key for (key,) in state.db.execute("SELECT id FROM finding")]
    found = findings.current(everything)
    state.close()
    return list(found.values())


def plain(found: Any) -> dict[str, tuple[Any, ...]]:
    """What has to be the same."""
    return {
        one.id: (one.level, one.count, one.first_seen, one.last_seen, one.users, one.all_hosts)
        for one in found
    }


@pytest.mark.parametrize("name", SECTIONS)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_any_chunks(name: str, seed: int) -> None:
    """Lines in disorder, but none later than what is allowed; quiet times in which groups are
    forgotten."""
    rng = Random(seed)
    loaded = cl.load(SECTIONS[name])
    at, logged = 0, []
    for _ in range(rng.randrange(1, 40)):
        at += rng.choice([0, 1, 10, 40, 60, 61, 500, 5000])
        row = {"path": rng.choice(["/a", "/b", "/c"]), "group": rng.choice(["g", "h", "G"])}
        logged.append(cl.event(at - rng.choice([0, 0, 50]), pid=str(rng.randrange(9)), **row))
    cuts = sorted(rng.randrange(len(logged) + 1) for _ in range(5))
    chunks = [logged[a:b] for a, b in zip([0, *cuts], [*cuts, len(logged)], strict=True)]
    found = followed(loaded, chunks, 60.0)
    assert plain(found) == plain(ck.findings(loaded, *logged))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_chains_and_states(seed: int) -> None:
    """A correlation of a correlation, over rows that come and go."""
    rng = Random(seed)
    loaded = cl.load(
        cl.COUNT | {"condition": {"gte": 1}},
        ck.correlation(CHAIN, "c2").replace("0c1", "0c2"),
        service="processes",
    )
    logged = [
        cl.state(
            number * rng.choice([1, 20, 300]),
            rng.choice(["added", "added", "removed"]),
            group=rng.choice(["g", "h"]),
            cwd=rng.choice(["/x", "/y"]),
        )
        for number in range(rng.randrange(1, 25))
    ]
    cut = rng.randrange(len(logged) + 1)
    found = followed(loaded, [logged[:cut], logged[cut:]], 1e9)
    assert plain(found) == plain(ck.findings(loaded, *logged))


def test_old_groups_are_forgotten_and_count_on() -> None:
    """Nothing is kept of their events, and when the group comes again its count goes on."""
    loaded = cl.load(SECTIONS["count"])
    logged = [cl.event(second, pid=str(second)) for second in (0, 1, 2)]
    later = [cl.event(90_000 + second, pid=str(second)) for second in (0, 1, 2)]
    between = [cl.event(50_000, group="other")]
    found = followed(loaded, [logged, between, between, later], 100.0)
    (one,) = [one for one in found if one.rule.endswith("c1")]
    assert one.count == 6
    assert cl.seconds(one) == (0, 90_002)
    assert len(one.evidence) == 3
