"""Correlations as SPL: run by a small interpreter beside the oracle; the form of stanzas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import correlation_samples as samples
import pytest
import search_random
import spl_oracle

from molehunt.backends.model import Artefact
from molehunt.backends.splunk.checker import faults
from molehunt.backends.splunk.target import PROFILE, SPLUNK
from molehunt.backends.subjects import subjects
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

ROUNDS = 8


def artefacts(loaded: RuleSet) -> list[Artefact]:
    """The correlations of a rule set, compiled; none may be refused, each has the form."""
    made = subjects(loaded, load_yaml("pack.yml"), taxonomy())
    found = [SPLUNK.compile(one, PROFILE) for one in made if isinstance(one.rule, Correlation)]
    assert all(isinstance(one, Artefact) for one in found), found
    assert not [list(faults(one.body)) for one in found if list(faults(one.body))]  # type: ignore[union-attr]
    return found  # type: ignore[return-value]


def groups(loaded: RuleSet, lines: Sequence[bytes]) -> list[Any]:
    """The groups that the searches find, by correlation in order."""
    records = search_random.judge(loaded.rules, lines).records
    found = []
    for one in artefacts(loaded):
        rows = spl_oracle.run(one.query["query"], records)
        found.append({tuple(row[name] for name in one.query["group"]) for row in rows})
    return found


@pytest.mark.parametrize("make", [samples.moments, samples.lasting])
def test_random(make: Any) -> None:
    """Windows slide with both ends, values and groups fold, rows last from added to removed."""
    total = 0
    for seed in range(ROUNDS):
        sample = make(seed, each=8)
        found = groups(sample.loaded, sample.lines)
        for one, theirs in zip(sample.loaded.correlations, found, strict=True):
            wanted = sample.groups(one)
            assert theirs == wanted, (seed, one.raw["correlation"], theirs ^ wanted)
            total += len(wanted)
    assert total > ROUNDS * 8


@pytest.mark.parametrize("kind", sorted(samples.CASES))
def test_states_and_orders(kind: str) -> None:
    """What lasts, until when, and what follows what."""
    loaded, lines, wanted = samples.cases(kind)
    assert groups(loaded, lines) == [wanted]
