"""Engine and evaluator agree, from raw bytes; planted faults show that they would not hide it."""

from __future__ import annotations

import os
from functools import cache

import kit
import pytest
from agreement.faults import FAULTS, RARE, Plant
from agreement.rounds import Outcome, run
from agreement.run import add

ROUNDS = 30


@cache
def sound(seed: int) -> Outcome:
    """A round without a planted fault, which more than one test looks at."""
    return run(seed)


def total(seeds: range) -> Outcome:
    """Several rounds in one."""
    found = Outcome()
    for seed in seeds:
        add(found, sound(seed))
    return found


def test_engine_and_evaluator_agree() -> None:
    """No disagreement; a fifth of the pairs match and a fifth miss by one edit."""
    # In CI what is tested must not depend on chance; `make differential` draws anew each time.
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(4))
    found = total(range(seed, seed + ROUNDS))
    assert not found.wrong, "\n".join([f"seed {seed}", *found.wrong[:3]])
    assert found.matches >= found.pairs / 5, (seed, found.matches, found.pairs)
    assert found.near_misses >= found.pairs / 5, (seed, found.near_misses, found.pairs)


def test_every_construct_is_seen_both_ways() -> None:
    """Each kind of value holds somewhere and fails somewhere."""
    found = total(range(150))
    assert set(found.held) == set(found.failed)
    assert len(found.held) >= 45


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_faults_are_caught(fault: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the engine shows as a disagreement within a few rounds."""
    fault(monkeypatch)
    assert any(run(seed).wrong for seed in range(80)), f"{fault.__name__} survived"


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
