"""Correlations over sign-in logs as ES|QL, on a real Elasticsearch over the recorded sign-ins.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
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
from molehunt.cli import main

# What needs more than a log, and logs that are not compiled for.
BEYOND = ("no_input", "hunt_only")
PROFILES = ("osquery_manager", "filebeat")


@cache
def shipped(profile: str) -> tuple[Compiled, ...]:
    """What becomes of the shipped rules and correlations on sign-in logs."""
    chosen = target("elastic")
    found = compile_all(chosen, chosen.profile(profile), signin_samples.subjects_of_sign_ins())
    return tuple(found)


def correlations(profile: str) -> list[Artefact]:
    """The correlations among them."""
    made = (one for one in shipped(profile) if isinstance(one, Artefact))
    return [one for one in made if one.language == "esql" and "group" in one.query]


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
    # One rule of single events is among them.
    assert len(held) == len(correlations("osquery_manager")) + 1 == 20


@pytest.mark.parametrize("source", sorted(signin_samples.FIELDS))
def test_random(engine: Any, source: str) -> None:
    """Windows over the events' own times, both ends included; accounts fold."""
    chosen, sample = target("elastic"), signin_samples.sample(source, 1)
    found = signin_samples.found_by(engine, chosen, chosen.profile("filebeat"), sample)
    assert found == sample.groups


COMPARED: dict[str, tuple[Any, bool]] = {
    "another": ("b.roe@corp.example", False),
    "itself": ("a.lind@corp.example", True),
    "itself, in capitals": ("A.LIND@corp.example", True),
    "one of two": (["b.roe@corp.example", "A.lind@corp.example"], True),
    "two others": (["b.roe@corp.example", "B.Roe@corp.example"], False),
    "the same twice": (["a.lind@corp.example", "a.lind@corp.example"], True),
    "a part": ("a.lind@corp.example.net", False),
    "none": (None, False),
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("wanted", [True, False])
def test_two_fields(wanted: bool) -> None:
    """A field with several texts is another's if one of them is, in whichever letter case."""
    base = sign_in_random.okta(Random(1)) | {"eventType": "user.session.start"}
    lines = []
    for names, _ in COMPARED.values():
        each = names if isinstance(names, list) else [names]
        targets = [{"alternateId": one, "type": "User"} for one in each]
        lines.append(json.dumps(base | {"target": targets}).encode())
    text = "s:\n    target.alternateId|fieldref: actor.alternateId\nt:\n    eventType: '*start'\n"
    rule = kit.rule(text + f"condition: t and {'' if wanted else 'not '}s", LOG)
    chosen = target("elastic")
    judged = search_random.judge([rule], lines)
    ((one,), _) = search_random.compiled(chosen, chosen.profile(), [rule])
    assert one.language == "esql"
    with SERVER.session(LAYOUTS[0]) as session:
        session.load(judged.records)
        (answer,) = session.ask([one])
    assert not answer.error
    expected = {n for n, (_, same) in enumerate(COMPARED.values()) if same is wanted}
    assert answer.found == judged.matched[rule.id] == expected


@pytest.mark.usefixtures("engine")
def test_an_approval_that_begins(tmp_path: Path) -> None:
    """What an approved account does is left out from that day on, and nothing else."""
    rule = "b4cde077-e035-4286-87d8-0980e3542f1b"
    organisation = tmp_path / "organisation.yml"
    organisation.write_text(
        "groups:\n  support:\n    hosts: [a.lind@corp.example]\n"
        f"approved:\n  - {{what: {rule}, for: support, owner: it@corp.example,"
        " reason: invented, from: 2026-11-04, until: 2026-12-24}\n"
    )
    args = ["compile", "-t", "elastic", "-o", str(tmp_path), "--organisation", str(organisation)]
    assert main(args) == 0
    lines = (tmp_path / "elastic/rules.ndjson").read_text().splitlines()
    (made,) = [one for one in map(json.loads, lines) if one["rule_id"] == rule]
    base = sign_in_random.okta(Random(1)) | {"eventType": "user.account.reset_password"}
    base |= {"outcome": {"result": "SUCCESS"}, "target": [{"alternateId": "c@corp.example"}]}
    events = [
        base | {"published": f"2026-11-{day:02}T14:00:00.000Z", "actor": {"alternateId": account}}
        for day in (3, 4)
        for account in ("A.Lind@corp.example", "b.roe@corp.example")
    ]
    records = search_random.judge([], [json.dumps(one).encode() for one in events]).records
    (one,) = (a for a in shipped("osquery_manager") if a.rule == rule)
    assert isinstance(one, Artefact)
    with SERVER.session(LAYOUTS[0]) as session:
        session.load(records)
        answers = list(session.ask([one, replace(one, query={"query": made["query"]})]))
    assert [answer.found for answer in answers] == [{0, 1, 2, 3}, {0, 1, 3}], answers


LOG = sign_in_random.LOGS["okta"]
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
    rules = [
        replace(
            kit.rule(f"s:\n    {item}\ncondition: s", LOG),
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
    """Nothing but what needs more than a log."""
    made = [one for one in shipped("osquery_manager") if one.rule not in signin_samples.IDS]
    refused = [one for one in made if isinstance(one, Refusal) and one.code not in BEYOND]
    assert not refused
