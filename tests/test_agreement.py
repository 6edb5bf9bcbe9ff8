"""Engine and evaluator agree, from raw bytes; planted faults show that they would not hide it."""

from __future__ import annotations

import os
from functools import cache

import kit
import pytest
from agreement import rounds
from agreement.faults import CAUGHT_BY, FAULTS, RARE, Plant
from agreement.rounds import Outcome, disagreements, judged, run, seen
from agreement.run import add
from agreement.tables import WITHOUT_SQL

ROUNDS, FRESH = 30, 1 << 33


@cache
def sound(seed: int) -> Outcome:
    """A round without a planted fault, which in CI two tests look at."""
    return run(seed)


def test_engine_and_evaluator_agree() -> None:
    """No disagreement; a fifth of the pairs match and a fifth miss by one edit."""
    # In CI what is tested must not depend on chance; `make differential` draws anew each time.
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(4))
    found = Outcome()
    for number in range(seed, seed + ROUNDS):
        add(found, sound(number))
    assert not found.wrong, "\n".join([f"seed {seed}", *found.wrong[:3]])
    assert found.matches >= found.pairs / 5, (seed, found.matches, found.pairs)
    assert found.near_misses >= found.pairs / 5, (seed, found.near_misses, found.pairs)
    assert found.explained >= found.matches / 3, (seed, found.explained, found.matches)


def test_they_agree_on_queries_without_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands beside the columns of the table that such a query is called as."""
    monkeypatch.setattr(rounds, "QUERIES", WITHOUT_SQL)
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(4))
    found = Outcome()
    # Other numbers than those of rounds that are kept.
    for number in range(seed + FRESH, seed + FRESH + ROUNDS // 3):
        add(found, run(number))
    assert not found.wrong, "\n".join([f"seed {seed}", *found.wrong[:3]])
    assert found.matches >= found.pairs / 5, (seed, found.matches, found.pairs)


@pytest.mark.long
def test_every_construct_is_seen_both_ways() -> None:
    """Each kind of value holds somewhere and fails somewhere."""
    found = Outcome()
    for seed in range(150):
        add(found, sound(seed) if seed < ROUNDS else seen(judged(seed)))
    assert set(found.held) == set(found.failed)
    assert len(found.held) >= 45


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_faults_are_caught(fault: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the engine shows as a disagreement within a few rounds."""
    fault(monkeypatch)
    seeds = sorted(range(80), key=lambda seed: seed != CAUGHT_BY.get(fault))
    assert any(any(disagreements(judged(seed))) for seed in seeds), f"{fault.__name__} survived"


@pytest.mark.parametrize(("fault", "item", "query", "columns"), RARE, ids=lambda x: str(x)[:12])
def test_rare_spellings_are_found_and_their_faults_caught(
    fault: Plant, item: str, query: str, columns: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character or number in a spelling that no literal holds still matches."""
    sources = {"process_events": "{category: process_creation, product: linux}"}
    source = sources.get(query, f"{{product: osquery, service: {query}}}")
    rule = kit.rule(f"selection:\n    {item}\ncondition: selection", source)
    line = kit.line({}, query).replace(b'"columns": {}', b'"columns": ' + columns)
    assert kit.fires([rule], line)
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        kit.fires([rule], line)
