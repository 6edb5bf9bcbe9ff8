"""Joins while following are those of one hunt over everything, in any split and after a kill."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_follow import end, events, hunted, start, told, wait_for
from test_joins import DAY, FACTS, JOIN, MARKS, START, fact

from molehunt.detectors.findings.model import Finding
from molehunt.detectors.following.findings import Findings
from molehunt.detectors.following.state import State
from molehunt.detectors.following.stood import Stood
from molehunt.detectors.joins.facts import Fact
from molehunt.detectors.joins.together import Together
from molehunt.detectors.records import Locator
from molehunt.rule import RuleSet
from molehunt.rulefiles import builtin_rules_path

PLACES = Path(__file__).resolve().parent / "recordings" / "places"
SHORT = replace(JOIN, days=2)
SIGHTINGS = st.lists(
    st.builds(
        lambda what, host, mark, quarter, action: fact(
            what, host, mark, START + quarter * DAY // 4, action
        ),
        st.sampled_from(["own", "near", "router"]),
        st.sampled_from(["a", "A", "b", "c"]),
        st.sampled_from(MARKS[:2]),
        st.integers(0, 24),
        st.sampled_from(["snapshot", "snapshot", "snapshot", "event", "added", "removed"]),
    ),
    max_size=40,
)


def followed(chunks: Sequence[Sequence[Fact]], path: str) -> list[Finding]:
    """Chunk by chunk, each by a process of its own, which evaluates when it likes."""
    state = State(path, "key")
    for chunk in chunks:
        findings = Findings(state, RuleSet(()))
        stood = Stood(state, [SHORT], None, findings)
        for one in chunk:
            stood.add([one])
        stood.evaluate()
        if path:
            state.close()
            state = State(path, "key")
    stood = Stood(state, [SHORT], None, Findings(state, RuleSet(())))
    stood.evaluate(final=True)
    everything = [key for (key,) in state.db.execute("SELECT id FROM finding")]
    found = Findings(state, RuleSet(())).current(everything)
    state.close()
    return sorted(found.values(), key=lambda one: one.id)


def hunted_at_once(facts: Sequence[Fact]) -> list[Finding]:
    """The same in one hunt."""
    together = Together([SHORT])
    together.extend(facts)
    return sorted((one for one, _ in together.findings()), key=lambda one: one.id)


def placed(facts: Sequence[Fact]) -> list[Fact]:
    """Each from a line of its own."""
    return [one._replace(where=Locator("a.log", n, n, 0)) for n, one in enumerate(facts)]


@settings(max_examples=60, deadline=None)
@given(SIGHTINGS, FACTS, st.randoms(use_true_random=False))
def test_any_split_in_any_order(
    sightings: list[Fact], pairs: list[list[Fact]], chance: random.Random
) -> None:
    """Whole findings are the same, evidence and all, though sightings in between are forgotten."""
    facts = placed([*sightings, *chain.from_iterable(pairs)])
    chance.shuffle(facts)
    cuts = sorted(chance.randint(0, len(facts)) for _ in range(3))
    bounds = zip([0, *cuts], [*cuts, len(facts)], strict=True)
    assert followed([facts[a:b] for a, b in bounds], "") == hunted_at_once(facts)


def test_another_process_goes_on() -> None:
    """With a state on disk; a finding whose first host is another one by then is withdrawn."""
    rows = [fact("router", host, MARKS[0], START + DAY * 3) for host in ("b", "c")]
    late = [fact("router", "a", MARKS[0], START + DAY * 3)]
    ends = [fact("router", host, MARKS[0], START + DAY * 8, "removed") for host in ("a", "b", "c")]
    facts = placed([*rows, *late, *ends])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "state"))
        chunks = [facts[:2], [*facts[4:]], [*facts[2:4]]]
        (found,) = followed(chunks, path)
    assert [host for host, _ in found.all_hosts] == ["a", "b", "c"]
    assert [found] == hunted_at_once(facts)


def test_sightings_of_a_day_take_room_for_two() -> None:
    """However often a snapshot tells the same row."""
    state = State("", "key")
    stood = Stood(state, [SHORT], None, Findings(state, RuleSet(())))
    stood.add(
        placed([fact("router", "a", MARKS[0], START + n * 600, "snapshot") for n in range(288)])
    )
    (rows,) = state.db.execute("SELECT count(*) FROM fact").fetchone()
    state.close()
    # Begun at one o'clock: three days, and the sightings are apart by ten minutes.
    assert rows == 2 * 3


@pytest.mark.slow
def test_killed_while_following(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recorded hosts in one place, by real processes that are killed: what a hunt finds."""
    whole = (PLACES / "places.results.log").read_bytes().splitlines(keepends=True)
    logs = tmp_path / "logs"
    logs.mkdir()
    log, output, state = logs / "osqueryd.results.log", tmp_path / "out.ndjson", tmp_path / "state"
    follow = [str(log), "--rules", builtin_rules_path(), "--state", str(state)]
    follow += ["--output", str(output)]
    for cut in (70, 140):
        log.write_bytes(b"".join(whole[:cut]))
        process = start(*follow)
        wait_for(lambda cut=cut: read_to(state) >= sum(map(len, whole[:cut])))  # type: ignore[misc]
        process.kill()
        process.communicate()
    with open(log, "ab") as stream:
        stream.writelines(whole[140:])
    process = start(*follow)
    wait_for(lambda: read_to(state) >= sum(map(len, whole)))
    end(process)
    wanted = hunted(log, builtin_rules_path(), capsys)
    assert told(events(output)) == wanted
    fresh = [one for one in events(output) if one["event"] != "withdrawn"]
    joined = {one["id"] for one in fresh if one["rule"]["id"] == JOIN.id}
    assert joined & wanted.keys()


def read_to(state: Path) -> int:
    """Up to which byte the process has read; it keeps the state for itself, so a copy is read."""
    copy = state.with_name("copy")
    for end_ in ("", "-wal"):
        source = Path(str(state) + end_)
        Path(str(copy) + end_).write_bytes(source.read_bytes() if source.exists() else b"")
    try:
        with sqlite3.connect(copy) as db:
            rows = db.execute("SELECT data FROM source").fetchall()
    except sqlite3.Error:
        return 0
    finally:
        for end_ in ("", "-wal", "-shm"):
            Path(str(copy) + end_).unlink(missing_ok=True)
    return max((json.loads(text)[6] for (text,) in rows), default=0)
