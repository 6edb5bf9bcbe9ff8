"""Correlations over sign-in logs as ES|QL, on a real Elasticsearch over the recorded sign-ins.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from random import Random
from typing import Any

import kit
import pytest
import search_random
import sign_in_random
import signin_samples

from molehunt.backends.compiling import compile_all
from molehunt.backends.elastic.engine import SERVER
from molehunt.backends.elastic.ingested import okta_document
from molehunt.backends.elastic.layouts import LAYOUTS
from molehunt.backends.elastic.signins import SIGN_INS
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
    assert len(held) == len(correlations("osquery_manager")) == 15


@pytest.mark.parametrize("source", sorted(signin_samples.FIELDS))
def test_random(engine: Any, source: str) -> None:
    """Windows over the events' own times, both ends included; accounts fold."""
    chosen, sample = target("elastic"), signin_samples.sample(source, 1)
    found = signin_samples.found_by(engine, chosen, chosen.profile("filebeat"), sample)
    assert found == sample.groups


TAKEN_APART = (
    ("debugContext.debugData.tunnels|contains: astrill", {"astrill", "astrill, no operator's key"}),
    ("debugContext.debugData.tunnels|contains: GLOBALPROTECT", {"gateway"}),
    ("debugContext.debugData.tunnels|contains: TOR_", {"type"}),
    ("debugContext.debugData.behaviors|contains: velocity=positive", {"fast"}),
    ("debugContext.debugData.risk|contains: level=HIGH", {"high", "high, reasons"}),
    ("request.ipChain.ip|cidr: 192.0.2.0/23", {"chain", "chain, second", "chain, mapped"}),
    ("request.ipChain.ip|cidr: 192.0.2.77/32", {"chain, second"}),
    ("client.geographicalContext.country: moldova", {"country"}),
)
EVENTS: dict[str, dict[str, Any]] = {
    "astrill": {"tunnels": '[{"operator":"ASTRILL_VPN","type":"VPN","anonymous":true}]'},
    "astrill, no operator's key": {"tunnels": '[{"type":"ASTRILL"}]'},
    "gateway": {"tunnels": '[{"type":"VPN","operator":"GLOBALPROTECT"}]'},
    "gateway in another place": {
        "url": "/app/globalprotect",
        "tunnels": '[{"operator":"NORD_VPN"}]',
    },
    "astrill in another place": {"requestUri": "/astrill?x=[ASTRILL]"},
    "type": {"tunnels": '[{"type":"TOR_EXIT","operator":"X"}]'},
    "fast": {"behaviors": "{New IP=NEGATIVE, Velocity=POSITIVE}"},
    "slow": {"behaviors": "{New IP=POSITIVE, Velocity=NEGATIVE}"},
    "high": {"risk": "{level=HIGH}"},
    "high, reasons": {"risk": "{reasons=Anomalous Location, New Device, level=HIGH}"},
    "medium": {"risk": "{reasons=level of HIGH, level=MEDIUM}"},
}
CHAINS = {
    "chain": ["192.0.3.9"],
    "chain, second": ["198.51.100.1", "192.0.2.77"],
    "chain, mapped": ["::ffff:192.0.2.7"],
    "chain, beside": ["192.0.4.1", "92.0.2.1"],
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("parsed", [True, False])
def test_what_is_taken_apart(parsed: bool) -> None:
    """What the pipeline takes apart is found as the rule finds it in the event, and nothing like it
    in another place, whether the integration parses the tunnels or not."""
    events = {name: {"debugContext": {"debugData": data}} for name, data in EVENTS.items()}
    events |= {n: {"request": {"ipChain": [{"ip": a} for a in ips]}} for n, ips in CHAINS.items()}
    events["country"] = {"client": {"geographicalContext": {"country": "Moldova"}}}
    base = sign_in_random.okta(Random(1))
    lines = [json.dumps(base | event).encode() for event in events.values()]
    log = sign_in_random.LOGS["okta"]
    rules = [
        replace(
            kit.rule(f"s:\n    {item}\ncondition: s", log),
            id=f"00000000-0000-4000-8000-{number:012}",
        )
        for number, (item, _) in enumerate(TAKEN_APART)
    ]
    judged = search_random.judge(rules, lines)
    chosen = target("elastic")
    made, refused = search_random.compiled(chosen, chosen.profile(), rules)
    assert not refused
    okta = replace(SIGN_INS["okta"], document=partial(okta_document, parsed=parsed))
    with SERVER.session(replace(LAYOUTS[0], signins={"okta": okta})) as session:
        session.load(judged.records)
        answers = list(session.ask(made))
    names = list(events)
    for (item, wanted), answer, one in zip(TAKEN_APART, answers, made, strict=True):
        assert not answer.error
        assert {names[place] for place in answer.found or ()} == wanted, item
        assert answer.found == judged.matched[one.rule], item


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
    """Those with a member that is refused."""
    made = [one for one in shipped("osquery_manager") if one.rule not in signin_samples.IDS]
    refused = [one for one in made if isinstance(one, Refusal) and one.code != "no_input"]
    assert Counter(one.code for one in refused) == {"field_reference": 1}
