"""Correlations as KQL: run by duckdb-kql beside the oracle, and read by Microsoft's parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import correlation_kit as ck
import correlation_samples as samples
import kit
import pytest
import search_random

from molehunt.backends.model import Artefact, Compiled
from molehunt.backends.sentinel.emulator import DUCKDB
from molehunt.backends.sentinel.target import PROFILE, SENTINEL
from molehunt.backends.subjects import subjects
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

ROUNDS = 6


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


@pytest.mark.parametrize("make", [samples.moments, samples.lasting])
def test_random(make: Any) -> None:
    """Windows slide with both ends, values and groups fold, rows last from added to removed."""
    total = 0
    for seed in range(ROUNDS):
        sample = make(seed)
        found = groups(sample.loaded, sample.lines)
        for one, theirs in zip(sample.loaded.correlations, found, strict=True):
            wanted = sample.groups(one)
            assert theirs == wanted, (seed, one.raw["correlation"], theirs ^ wanted)
            total += len(wanted)
    assert total >= ROUNDS


@pytest.mark.parametrize(("kind", "lines", "found"), list(samples.small()))
def test_states_and_orders(kind: str, lines: list[bytes], found: bool) -> None:
    """What lasts, until when, and what follows what."""
    section = samples.TOGETHER | {"type": kind}
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(section))
    (theirs,) = groups(loaded, lines)
    assert theirs == samples.engine_groups(loaded, lines) == ({("g",)} if found else set())
