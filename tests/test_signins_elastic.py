"""Sign-in logs in Elastic: what the integrations' pipelines make of them, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import correlation_kit
import kit
import pytest
import search_random
import sign_in_random

from molehunt.backends.compiling import compile_all
from molehunt.backends.elastic.debugdata import debug_data
from molehunt.backends.elastic.ingested import google_document, okta_document, signin_document
from molehunt.backends.elastic.signins import SIGN_INS
from molehunt.backends.model import Artefact, Refusal
from molehunt.backends.registry import target
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.records import Record
from molehunt.taxonomy import taxonomy

# What needs more than a log, and logs that are not compiled for.
BEYOND = ("no_input", "hunt_only")
RULES = kit.shipped()
SIGN_IN_RULES = {rule.id for rule in RULES.rules if rule.product in ("okta", "azure", "gcp")}


def record(event: dict[str, Any]) -> Record:
    """An event as read from a log."""
    rules = [kit.rule("s:\n    x: y\ncondition: s", log) for log in sign_in_random.LOGS.values()]
    (found,) = search_random.judge(rules, [json.dumps(event).encode()]).records
    return found


def at(document: Any, path: str) -> Any:
    """A value in a document; None if it is not there."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def test_okta_is_renamed_and_emptied() -> None:
    """Names are respelt, null and empty texts dropped, and what no step moves goes."""
    event = sign_in_random.okta(Random(1)) | {
        "device": {"id": "guo1", "managed": True, "name": None},
        "target": [{"alternateId": "x@corp.example", "displayName": "X", "detailEntry": {"a": 1}}],
        "authenticationContext": {"externalSessionId": "102bZ", "issuer": None},
        "debugContext": {"debugData": {"tunnels": "[]"}},
        "legacyEventType": "core.user_auth.login_success",
    }
    event["client"] |= {"zone": "", "ipAddress": "192.0.2.7"}
    found = okta_document(record(event))
    assert at(found, "okta.event_type") == at(found, "event.action") == event["eventType"]
    assert at(found, "okta.client.ip") == at(found, "source.ip") == "192.0.2.7"
    assert at(found, "okta.device") == {"id": "guo1", "managed": True}
    assert at(found, "okta.target") == {"alternate_id": "x@corp.example", "display_name": "X"}
    assert at(found, "okta.authentication_context") == {"external_session_id": "102bZ"}
    assert at(found, "okta.client.zone") is None
    assert at(found, "okta.debug_context.debug_data.flattened") == {"tunnels": []}
    assert "core.user_auth" not in json.dumps(found)


def test_entra_is_spelt_in_snake_case() -> None:
    """As in the pipeline's own example: the address leaves its place, the place goes."""
    event = sign_in_random.azure(Random(2))
    event["properties"] |= {
        "deviceDetail": {"deviceId": "", "isManaged": False, "operatingSystem": "MacOs"},
        "riskEventTypes_v2": ["anonymizedIPAddress"],
        "riskLevelDuringSignIn": "none",
        "status": {"errorCode": 50140, "failureReason": "interrupted"},
        "authenticationAppDeviceDetails": {"deviceId": "d-1"},
        "ipAddress": "192.0.2.7",
    }
    event["resultType"] = "50140"
    found = signin_document(record(event))
    inner = at(found, "azure.signinlogs.properties")
    assert at(found, "azure.signinlogs.result_type") == "50140"
    assert at(found, "source.ip") == at(found, "source.address") == "192.0.2.7"
    assert at(found, "geo.country_iso_code") == "US"
    assert inner["device_detail"] == {"is_managed": False, "operating_system": "MacOs"}
    assert inner["risk_event_types_v2"] in (["anonymizedIPAddress"], "anonymizedIPAddress")
    assert inner["status"] == {"error_code": 50140}
    assert inner["authentication_app_device_details"] == {"device_id": "d-1"}
    assert not {"ip_address", "location"} & set(inner)


def test_a_google_event_is_an_action() -> None:
    """Parameters lose `login_`, and an address that is none is not there."""
    event = sign_in_random.google_workspace(Random(3)) | {"ipAddress": "unknown"}
    event["events"][0]["parameters"] = [
        {"name": "login_type", "value": "google_password"},
        {"name": "is_suspicious", "boolValue": True},
    ]
    found = google_document(record(event))
    assert at(found, "event.action") == event["events"][0]["name"]
    assert at(found, "source.user.email") == event["actor"]["email"]
    assert at(found, "google_workspace.login") == {
        "type": "google_password",
        "is_suspicious": True,
    }
    assert at(found, "source.ip") is None


@pytest.mark.parametrize("profile", ["osquery_manager", "filebeat"])
def test_the_shipped_rules(profile: str) -> None:
    """All rules compile over the integrations' indices but those that need more than a log."""
    chosen = target("elastic")
    made = [one for one in subjects(RULES, load_yaml("pack.yml"), taxonomy())
            if one.rule.id in SIGN_IN_RULES]  # fmt: skip
    found = compile_all(chosen, chosen.profile(profile), made)
    refused = [one for one in found if isinstance(one, Refusal) and one.code not in BEYOND]
    assert not refused
    compiled = [one for one in found if isinstance(one, Artefact)]
    assert Counter(one.language for one in compiled) == {"query_dsl": 32, "esql": 1}
    for one in compiled:
        asked = one.body["query"].removeprefix("FROM ").partition(" ")[0]
        (index,) = [asked] if one.language == "esql" else one.body["index"]
        (package,) = one.body["related_integrations"]
        assert index.startswith(f"logs-{package['package']}.")
        assert "osquery" not in json.dumps([one.query, one.body["setup"], index])


def test_the_place_of_an_okta_event() -> None:
    """The country has a field of its own, and the chain keeps its addresses."""
    event = sign_in_random.okta(Random(4))
    event["client"]["geographicalContext"] = {"country": "Moldova", "city": None}
    event["request"] = {"ipChain": [{"ip": "192.0.2.1", "source": None}, {"ip": "192.0.2.2"}]}
    found = okta_document(record(event))
    assert at(found, "client.geo") == {"country_name": "Moldova"}
    assert at(found, "okta.request.ip_chain.ip") == ["192.0.2.1", "192.0.2.2"]


def test_debug_data_is_taken_apart() -> None:
    """As the two pipelines do it: pairs between braces, a level behind reasons with commas, the
    list of tunnels, which older versions leave as text."""
    tunnels = '[{"operator": "ASTRILL_VPN", "type": "VPN"}]'
    event = sign_in_random.okta(Random(5)) | {
        "debugContext": {
            "debugData": {
                "behaviors": "{New Geo-Location=POSITIVE, New IP=NEGATIVE, Velocity=POSITIVE}",
                "risk": "{reasons=Anomalous Location, New Device, level=HIGH}",
                "tunnels": tunnels,
            }
        }
    }
    found = at(okta_document(record(event)), "okta.debug_context.debug_data")
    assert found["risk_behaviors"] == ["New Geo-Location", "Velocity"]
    assert found["risk_level"] == found["flattened"]["risk"]["level"] == "HIGH"
    assert found["flattened"]["tunnels"] == [{"operator": "ASTRILL_VPN", "type": "VPN"}]
    older = at(okta_document(record(event), parsed=False), "okta.debug_context.debug_data")
    assert older["flattened"]["tunnels"] == tunnels
    for text, risk in (("{level=LOW}", {"level": "LOW"}), ("none", "none")):
        assert debug_data({"risk": text})["flattened"]["risk"] == risk
    assert debug_data({"tunnels": "no JSON"}) == {"flattened": {}}


@pytest.mark.parametrize(
    "item",
    [
        "debugContext.debugData.behaviors|contains: Velocity",
        "debugContext.debugData.behaviors|exists: true",
        "debugContext.debugData.risk|contains: reasons=",
        "debugContext.debugData.risk: '{level=HIGH}'",
        "debugContext.debugData.tunnels|contains: operator",
        "debugContext.debugData.tunnels|contains: NORD-VPN",
        "debugContext.debugData.tunnels|contains|cased: NORD_VPN",
        "request.ipChain.ip|cidr: 2001:db8::/32",
        "request.ipChain.ip|cidr: 10.0.0.0/9",
        "request.ipChain.ip: 192.0.2.7",
    ],
)
def test_what_is_lost_when_it_is_taken_apart(item: str) -> None:
    """What cannot be asked of a field of the type `flattened` with its meaning kept."""
    chosen = target("elastic")
    rule = kit.rule(f"s:\n    {item}\ncondition: s", sign_in_random.LOGS["okta"])
    _, (refused,) = search_random.compiled(chosen, chosen.profile(), [rule])
    assert refused.code == "lost_field"


def test_what_is_taken_apart_is_in_no_group() -> None:
    """It has no value of its own there, which ES|QL could count or group by."""
    log = sign_in_random.LOGS["okta"]
    section = {"type": "event_count", "rules": ["one"], "timespan": "1h", "condition": {"gte": 2}}
    section["group-by"] = ["debugContext.debugData.behaviors"]
    loaded = kit.ruleset(
        "title: T\nid: 00000000-0000-4000-8000-000000000001\nname: one\nstatus: test\n"
        f"logsource: {log}\ndetection:\n    s:\n        eventType: x\n    condition: s\n"
        "level: low\n",
        correlation_kit.correlation(section),
    )
    chosen = target("elastic")
    (asked,) = (s for s in subjects(loaded, load_yaml("pack.yml"), taxonomy()) if s.members)
    refused = chosen.compile(asked, chosen.profile())
    assert isinstance(refused, Refusal)
    assert refused.code == "lost_field"


def test_which_fields_are_compared() -> None:
    """Whole texts, as one of the things that must all hold."""
    chosen = target("elastic")
    both = "target.alternateId|fieldref: actor.alternateId"
    for detection in (
        "s:\n    target.alternateId|fieldref|startswith: actor.alternateId\ncondition: s",
        "s:\n    client.ipAddress|fieldref: actor.alternateId\ncondition: s",
        f"s:\n    {both}\nt:\n    eventType: x\ncondition: s or t",
        f"s:\n    {both}\nt:\n    eventType: x\ncondition: not (s and t)",
    ):
        rule = kit.rule(detection, sign_in_random.LOGS["okta"])
        _, (refused,) = search_random.compiled(chosen, chosen.profile(), [rule])
        assert refused.code == "field_reference", detection


def test_what_was_not_looked_up_is_refused() -> None:
    """A field that the table does not have, and what a type cannot be asked for."""
    cases = {
        "unknown_field": "client.zone: x",
        "typed": "client.ipAddress|startswith: '192.'",
        "empty_text": "client.userAgent.os: ''",
    }
    chosen = target("elastic")
    for code, item in cases.items():
        rule = kit.rule(f"s:\n    {item}\ncondition: s", sign_in_random.LOGS["okta"])
        _, (refused,) = search_random.compiled(chosen, chosen.profile(), [rule])
        assert refused.code == code


def test_an_approval_is_of_an_account(tmp_path: Any) -> None:
    """The exception of a rule on a sign-in log names the field of the account."""
    from molehunt.cli import main

    rule = "e0fdd552-dd2d-4b05-997c-c5fefd4e1919"
    organisation = tmp_path / "organisation.yml"
    organisation.write_text(
        "groups:\n  travellers:\n    hosts: [a.lind@corp.example]\n"
        f"approved:\n  - {{what: {rule}, for: travellers, owner: it@corp.example,"
        " reason: invented, until: 2026-12-24}\n"
    )
    args = ["compile", "-t", "elastic", "-o", str(tmp_path / "dist"),
            "--organisation", str(organisation)]  # fmt: skip
    assert main(args) == 0
    lines = (tmp_path / "dist/elastic/rules.ndjson").read_text().splitlines()
    items = [one for one in map(json.loads, lines) if "entries" in one]
    assert {entry["field"] for one in items for entry in one["entries"]} == {
        SIGN_INS["okta"].account
    }


def test_an_approval_of_a_rule_in_esql(tmp_path: Any) -> None:
    """One that begins on a day is a part of the query, which has no filters."""
    from molehunt.cli import main

    rule = "b4cde077-e035-4286-87d8-0980e3542f1b"
    organisation = tmp_path / "organisation.yml"
    organisation.write_text(
        "groups:\n  support:\n    hosts: [a.lind@corp.example]\n"
        f"approved:\n  - {{what: {rule}, for: support, owner: it@corp.example,"
        " reason: invented, from: 2026-11-01, until: 2026-12-24}\n"
        f"  - {{what: {rule}, for: support, owner: it@corp.example,"
        " reason: invented, until: 2026-12-24}\n"
    )
    args = ["compile", "-t", "elastic", "-o", str(tmp_path / "dist"),
            "--organisation", str(organisation)]  # fmt: skip
    assert main(args) == 0
    lines = (tmp_path / "dist/elastic/rules.ndjson").read_text().splitlines()
    found = list(map(json.loads, lines))
    (made,) = [one for one in found if one.get("rule_id") == rule]
    assert "filters" not in made
    assert made["exceptions_list"]
    assert made["query"].count("| WHERE") == 3
    assert "okta.actor.alternate_id:/[aA]\\.[lL]" in made["query"].rpartition("| WHERE")[2]
