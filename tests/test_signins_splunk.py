"""Sign-in logs in Splunk: searches over events as the add-ons index them, and their stanzas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import kit
import pytest
import search_random
import sign_in_random
import signin_samples
import spl_oracle

from molehunt.backends.compiling import compile_all
from molehunt.backends.model import Artefact, Compiled, Refusal
from molehunt.backends.searching.events import diagnostic_record, nested
from molehunt.backends.splunk.checker import faults
from molehunt.backends.splunk.target import PROFILE, SPLUNK
from molehunt.detectors.records import Record
from molehunt.detectors.values import fold

# What needs more than a log, and logs that are not compiled for.
BEYOND = ("no_input", "hunt_only")
MORE = {
    "azure": {"Category": "keyword"},
    "okta": {
        "device.id": "keyword",
        "device.managed": "boolean",
        "request.ipChain.ip": "ip",
        "target.alternateId": "keyword",
        "target.type": "keyword",
    },
    "google_workspace": {},
}
FIELDS = {source: fields | MORE[source] for source, fields in signin_samples.FIELDS.items()}


@pytest.fixture(params=["null", "the word"])
def _null(request: pytest.FixtureRequest) -> Iterator[None]:
    """What `json_extract` makes of a JSON null."""
    spl_oracle.JSON_NULL[0] = spl_oracle.NULL if request.param == "null" else "null"
    yield
    spl_oracle.JSON_NULL[0] = spl_oracle.NULL


@cache
def shipped() -> tuple[Compiled, ...]:
    """What becomes of the shipped rules and correlations on sign-in logs."""
    return tuple(compile_all(SPLUNK, PROFILE, signin_samples.subjects_of_sign_ins()))


def artefacts() -> list[Artefact]:
    """Those that compile."""
    return [one for one in shipped() if isinstance(one, Artefact)]


def event(record: Record) -> Any:
    """A record as the add-on indexes it; None of a log that it does not bring."""
    if record.source == "azure":
        made = diagnostic_record(nested(record.values))
        inner = made["properties"]
        for name in ("riskEventTypes", "riskEventTypes_v2"):
            if isinstance(inner.get(name), str):
                inner[name] = [inner[name]]
        return made
    made = nested(record.values)
    if record.source == "google_workspace":
        return activity(made)
    if record.source != "okta":
        return None
    for holder, name in ((made, "target"), (made.get("request", {}), "ipChain")):
        if isinstance(holder.get(name), dict):
            holder[name] = listed(holder[name])
    return made


def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects behind the lists of their values, outermost names only."""
    each = {name: one if isinstance(one, list) else [one] for name, one in values.items()}
    longest = max(map(len, each.values()))
    return [{name: one[n] for name, one in each.items() if n < len(one)} for n in range(longest)]


def activity(made: dict[str, Any]) -> dict[str, Any]:
    """An activity with its one event, of which parameters are a list again."""
    event = made.pop("events")
    made.pop("protoPayload", None)
    kinds = {bool: "boolValue", int: "intValue", list: "multiValue"}
    parameters = [
        {"name": name, kinds.get(type(value), "value"): value}
        for name, value in (event.pop("parameters", None) or {}).items()
    ]
    return made | {"event": event | {"parameters": parameters}}


def indexed(event: Any) -> Any:
    """An event of a service as its add-on writes it."""
    if "events" not in event:
        return event
    (one,) = event["events"]
    return {name: value for name, value in event.items() if name != "events"} | {"event": one}


@pytest.mark.usefixtures("_null")
def test_recordings() -> None:
    """Over all recorded sign-ins the searches find what rules match and where correlations hold."""
    corpus = signin_samples.corpus()
    events = [event(record) or {} for record in corpus.records]
    found = 0
    for one in artefacts():
        grouped = isinstance(one.query, dict)
        search = one.query["query"] if grouped else one.query
        rows = spl_oracle.run_events(search, events)
        if grouped:
            groups = {tuple(fold(row[name]) for name in one.query["group"]) for row in rows}
            assert groups == corpus.groups[one.rule], one.title
            found += len(groups)
        else:
            assert {row["place"] for row in rows} == corpus.matched[one.rule], one.title
            found += len(rows)
    assert found > 100


@pytest.mark.usefixtures("_null")
@pytest.mark.parametrize("source", sorted(FIELDS))
def test_random(source: str) -> None:
    """Random rules over random events find just what the evaluator does."""
    rng = Random(6)
    rules = [
        kit.ruleset(sign_in_random.rule_text(source, FIELDS[source], rng, n)).rules[0]
        for n in range(60)
    ]
    events = [sign_in_random.EVENTS[source](rng) for _ in range(60)]
    lines = [json.dumps(one).encode() for one in events]
    judged = search_random.judge(rules, lines)
    made, refused = search_random.compiled(SPLUNK, PROFILE, rules)
    assert {one.code for one in refused} <= {"listed", "value"}
    found = 0
    for one in made:
        assert not list(faults(one.body))
        if not {"one_byte", "pcre"} & set(one.differences):
            rows = spl_oracle.run_events(one.query, list(map(indexed, events)))
            places = {row["place"] for row in rows}
            assert places == judged.matched[one.rule], one.query
            found += len(places)
    assert found > 100


@pytest.mark.parametrize("source", sorted(FIELDS))
@pytest.mark.parametrize("seed", range(3))
def test_random_correlations(source: str, seed: int) -> None:
    """Windows over the events' own times, both ends included; accounts fold."""
    sample = signin_samples.sample(source, seed)
    for one, wanted in zip(sample.correlations, sample.groups, strict=True):
        made = SPLUNK.compile(one, PROFILE)
        assert isinstance(made, Artefact), made
        rows = spl_oracle.run_events(made.query["query"], list(map(indexed, sample.events)))
        found = {tuple(row[name] for name in made.query["group"]) for row in rows}
        assert found == wanted, (one.rule.raw["correlation"], found ^ wanted)
        assert wanted


def test_what_is_no_sign_in() -> None:
    """Other events of the same source type are not looked at."""
    search = next(one.query for one in artefacts() if "VPN by a Computer" in one.title)
    assert isinstance(search, str)
    for change in (
        {"category": "AuditLogs"},
        {"properties": {"userPrincipalName": "a@corp.example"}},
    ):
        assert spl_oracle.run_events(search, [sign_in_random.azure(Random(1)) | change]) == []


def test_times() -> None:
    """Microsoft writes seven digits of a fraction, Okta three; both in UTC."""
    for text, wanted in (
        ("2026-11-03T14:00:00.1234567Z", 1793714400.1234567),
        ("2026-11-03T14:00:00.1234567+00:00", 1793714400.1234567),
        ("2026-11-03T14:00:00Z", 1793714400.0),
    ):
        search = next(
            one.query["query"]
            for one in artefacts()
            if isinstance(one.query, dict) and "molehunt_entra" in one.query["query"]
        )
        made = sign_in_random.azure(Random(1))
        made["properties"]["createdDateTime"] = text
        head = search.partition(" | streamstats")[0]
        (row,) = spl_oracle.run_events(head, [made])
        assert row["molehunt_time"] == pytest.approx(wanted, abs=1e-6)


def test_stanzas() -> None:
    """The form of savedsearches.conf; alerts are told apart by the account."""
    for one in artefacts():
        assert not list(faults(one.body)), one.title
        assert one.body["search"].startswith(
            ("`molehunt_entra`", "`molehunt_okta`", "`molehunt_google`")
        )
        if isinstance(one.query, str):
            assert "_index_earliest=-60m@m" in one.body["search"]
            assert one.body["alert.suppress.fields"] == "molehunt_account"
            assert one.body["search"].endswith("| table _time, molehunt_account, _raw")


def test_each_value_by_itself() -> None:
    """Of targets, proxies and parameters one must be what is asked, and a parameter the one of that
    name; one that is compared with another field is compared as text."""
    cases: tuple[tuple[str, str, dict[str, Any], bool], ...] = (
        ("okta", "target.alternateId|fieldref: actor.alternateId", {"target": TARGETS}, True),
        ("okta", "target.alternateId|fieldref: client.ipAddress", {"target": TARGETS}, False),
        ("okta", "target.alternateId|fieldref: actor.alternateId", {"target": None}, False),
        ("okta", "target.alternateId|fieldref: actor.alternateId", {"target": []}, False),
        ("okta", "target.alternateId: B.Roe@corp.example", {"target": TARGETS}, True),
        ("okta", "target.alternateId|re: '^b.*lind'", {"target": TARGETS}, False),
        ("okta", "target.displayName: null", {"target": TARGETS}, True),
        ("okta", "target.alternateId: null", {"target": TARGETS}, False),
        ("okta", "request.ipChain.ip|cidr: 203.0.113.0/24", {"request": CHAIN}, True),
        ("okta", "request.ipChain.ip|cidr: 192.0.2.0/25", {"request": CHAIN}, False),
        ("google_workspace", "events.parameters.is_suspicious: true", {}, True),
        ("google_workspace", "events.parameters.is_second_factor: true", {}, False),
        ("google_workspace", "events.parameters.is_first|exists: true", {}, False),
    )
    for source, item, more, wanted in cases:
        rule = kit.rule(f"s:\n    {item}\ncondition: s", sign_in_random.LOGS[source])
        event = sign_in_random.EVENTS[source](Random(1)) | more
        if source == "google_workspace":
            event["events"][0]["parameters"] = PARAMETERS
        ((one,), _) = search_random.compiled(SPLUNK, PROFILE, [rule])
        found = bool(spl_oracle.run_events(one.query, [indexed(event)]))
        matched = search_random.judge([rule], [json.dumps(event).encode()]).matched[rule.id]
        assert found == bool(matched) == wanted, item


TARGETS = [
    {"alternateId": "b.roe@corp.example", "type": "User"},
    {"alternateId": "A.Lind@corp.example", "type": "User", "displayName": None},
]
CHAIN = {"ipChain": [{"ip": "192.0.2.200"}, {"ip": "203.0.113.80", "source": None}]}
PARAMETERS = [
    {"name": "is_suspicious", "boolValue": True},
    {"name": "is_second_factor", "boolValue": False},
    {"name": "login_challenge_method", "multiValue": ["password"]},
]


def test_what_is_refused() -> None:
    """Nothing but what needs more than a log; of Google's parameters one that is a list."""
    refused = [one for one in shipped() if isinstance(one, Refusal) and one.code not in BEYOND]
    assert not refused
    assert len(artefacts()) == 52
    for source, item, code in (
        ("google_workspace", "events.parameters.login_challenge_method: password", "listed"),
        ("google_workspace", "protoPayload.serviceName: login.googleapis.com", "no_column"),
        ("okta", "target: x", "listed"),
        ("okta", "actor.alternateId|fieldref: target.alternateId", "listed"),
        ("okta", "target.alternateId|fieldref|startswith: actor.alternateId", "listed"),
    ):
        rule = kit.rule(f"s:\n    {item}\ncondition: s", sign_in_random.LOGS[source])
        _, (one,) = search_random.compiled(SPLUNK, PROFILE, [rule])
        assert one.code == code, item
