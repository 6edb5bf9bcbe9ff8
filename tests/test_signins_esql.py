"""Correlations over sign-in logs as ES|QL, on a real Elasticsearch over the recorded sign-ins.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import signin_samples

from molehunt.backends.compiling import compile_all
from molehunt.backends.model import Artefact, Compiled, Refusal
from molehunt.backends.proving import disagreements, prove
from molehunt.backends.registry import target

PROFILES = ("osquery_manager", "filebeat")


@cache
def shipped(profile: str) -> tuple[Compiled, ...]:
    """What becomes of the shipped rules and correlations on sign-in logs."""
    chosen = target("elastic")
    found = compile_all(chosen, chosen.profile(profile), signin_samples.subjects_of_sign_ins())
    return tuple(found)


def correlations(profile: str) -> list[Artefact]:
    """The correlations among them."""
    return [one for one in shipped(profile) if isinstance(one, Artefact) and one.language == "esql"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """One engine for all tests."""
    (found,) = target("elastic").engines
    why = found.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {found.name}: it needs {why}")
    return found


def test_recordings(engine: Any) -> None:
    """The server finds the groups in which the correlations hold, over all recorded sign-ins."""
    chosen, corpus = target("elastic"), signin_samples.corpus()
    asked = [one for one in shipped("osquery_manager") if isinstance(one, Artefact)]
    verdicts = list(prove(engine, chosen.profile("osquery_manager"), asked, corpus))
    assert not [str(one) for one in disagreements(verdicts, corpus)]
    held = [one for one in verdicts if one.artefact.language == "esql" and one.positives]
    assert len(held) == len(correlations("osquery_manager")) == 6


@pytest.mark.parametrize("source", sorted(signin_samples.FIELDS))
def test_random(engine: Any, source: str) -> None:
    """Windows over the events' own times, both ends included; accounts fold."""
    chosen, sample = target("elastic"), signin_samples.sample(source, 1)
    found = signin_samples.found_by(engine, chosen, chosen.profile("filebeat"), sample)
    assert found == sample.groups


def test_both_profiles_ask_the_same() -> None:
    """Sign-ins stand in the integrations' indices, however osquery's rows are shipped."""
    first, second = ([one.query for one in correlations(profile)] for profile in PROFILES)
    assert first == second
    for one in correlations("filebeat"):
        (package,) = one.body["related_integrations"]
        assert one.query["query"].startswith(f"FROM logs-{package['package']}.")
        assert one.body["language"] == "esql"
        assert "osquery" not in one.body["setup"]


def test_what_is_refused() -> None:
    """Those with a member that reads what the integration loses, or what was not looked up."""
    made = [one for one in shipped("osquery_manager") if one.rule not in signin_samples.IDS]
    refused = [one for one in made if isinstance(one, Refusal) and one.code != "no_input"]
    codes = Counter(one.code for one in refused)
    assert codes == {"lost_field": 6, "unknown_field": 3, "field_reference": 1}
