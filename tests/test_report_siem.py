"""OCSF and ECS: what SIEMs take in is what the two standards allow, for any finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from made_findings import AT, FINDING, JIGGLER, X11VNC

from molehunt.data import read_bytes, techniques
from molehunt.detectors.findings.model import Finding, Technique
from molehunt.detectors.report import attack
from molehunt.detectors.report.ecs import to_ecs, write_ecs
from molehunt.detectors.report.hosts import is_hostname
from molehunt.detectors.report.ocsf import to_ocsf, write_ocsf
from molehunt.detectors.report.times import moment
from molehunt.levels import Level

_FOLDER = Path(__file__).with_name("formats")
_SCHEMAS = {
    name: json.loads((_FOLDER / f"{name}.schema.json").read_text("ascii"))
    for name in ("ocsf", "ecs")
}
_CHECK = {name: Draft202012Validator(schema) for name, schema in _SCHEMAS.items()}
_WRITE: dict[str, Callable[[list[Finding], TextIO], None]] = {
    "ocsf": write_ocsf,
    "ecs": write_ecs,
}
_TIME = {"ocsf": "time", "ecs": "@timestamp"}

# What the engine makes always has an id and a rule with one.
_ANY = st.builds(
    lambda finding, number: replace(finding, id=f"{number:016x}", rule=finding.rule or "r"),
    FINDING,
    st.integers(0, 2**64 - 1),
)


def _written(kind: str, findings: list[Finding]) -> str:
    stream = StringIO()
    _WRITE[kind](findings, stream)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["ocsf", "ecs"])
@settings(deadline=None)
@given(findings=st.lists(_ANY, max_size=3, unique_by=lambda finding: finding.id))
def test_every_line_is_valid(kind: str, findings: list[Finding]) -> None:
    """Strict schema, plain ASCII, one line a finding, the same bytes whatever the order.

    The time, which both standards require, is missing where no time is known, and only there.
    """
    text = _written(kind, findings)
    assert all(character == "\n" or " " <= character <= "~" for character in text)
    assert text == _written(kind, findings[::-1])
    documents = [json.loads(line) for line in text.splitlines()]
    key = {"ocsf": "finding_info", "ecs": "event"}[kind]
    id_key = {"ocsf": "uid", "ecs": "id"}[kind]
    by_id = {finding.id: finding for finding in findings}
    assert len(documents) == len(by_id)
    for document in documents:
        finding = by_id[document[key][id_key]]
        known = any(moment(at) for at in (finding.first_seen, finding.last_seen))
        assert (_TIME[kind] in document) == known
        placeholder = {"ocsf": 0, "ecs": "1970-01-01T00:00:00Z"}[kind]
        _CHECK[kind].validate({_TIME[kind]: placeholder, **document})


def test_the_schemas_refuse_what_is_wrong() -> None:
    """Each is valid by its metaschema; a missing, an unknown or an empty thing is an error."""
    good = {"ocsf": to_ocsf(X11VNC), "ecs": to_ecs(X11VNC)}
    for kind, document in good.items():
        Draft202012Validator.check_schema(_SCHEMAS[kind])
        assert _CHECK[kind].is_valid(document)
        for wrong in (
            {key: value for key, value in document.items() if key != _TIME[kind]},
            {**document, "extra": 1},
            {**document, _TIME[kind]: None},
            {**document, "message": ""},
        ):
            assert not _CHECK[kind].is_valid(wrong)


def test_an_ocsf_event_says_what_the_finding_says() -> None:
    """Classification, time in milliseconds, analytic, ATT&CK, device, resources, the rest."""
    finding = replace(X11VNC, level=Level.HIGH, raised_by=(JIGGLER,))
    event = to_ocsf(finding)
    assert (event["class_uid"], event["category_uid"], event["type_uid"]) == (2004, 2, 200401)
    assert (event["severity_id"], event["severity"], event["is_alert"]) == (4, "High", True)
    assert (event["confidence_id"], event["confidence"]) == (1, "Low")
    first, last = int(AT) * 1000, (int(AT) + 2000) * 1000
    assert (event["time"], event["start_time"], event["end_time"]) == (last, first, last)
    info = event["finding_info"]
    assert (info["first_seen_time"], info["last_seen_time"]) == (first, last)
    assert (info["uid"], info["title"]) == (finding.id, finding.title)
    assert info["types"] == ["Command and Control"]
    assert info["data_sources"] == ["pack_molehunt_process_events"]
    assert (info["analytic"]["uid"], info["analytic"]["state"]) == (finding.rule, "Experimental")
    assert info["related_analytics"][0]["name"] == "Mouse Movement Simulator Running"
    (pair,) = info["attacks"]
    assert pair["version"] == "18.1"
    assert pair["tactic"]["uid"] == "TA0011"
    assert (pair["technique"]["uid"], pair["technique"]["name"]) == ("T1219", "Remote Access Tools")
    assert pair["sub_technique"] == {
        "uid": "T1219.002",
        "name": "Remote Desktop Software",
        "src_url": "https://attack.mitre.org/techniques/T1219/002/",
    }
    assert event["device"]["uid"] == "9f1c0b52-lab"
    assert event["device"]["hostname"] == "lab-01"
    assert [(one["type"], one["name"]) for one in event["resources"]] == [
        ("Host", "lab-01"),
        ("User", "anna"),
    ]
    assert {one["value"] for one in event["observables"]} == {"lab-01", "9f1c0b52-lab", "anna"}
    assert event["evidences"][0]["uid"] == "osqueryd.results.log:1"
    assert event["evidences"][0]["data"]["values"] == {"path": "/usr/bin/x11vnc", "pid": 4711}
    assert event["remediation"]["desc"] == "Ask the help desk"
    assert event["unmapped"]["molehunt"]["identity"] == {"Image": "/usr/bin/x11vnc"}
    assert event["message"] == "Remote Access Tool - X11vnc Execution on lab-01"


def test_an_ecs_alert_says_what_the_finding_says() -> None:
    """Event, rule, threat, host, user, related, and our own keys."""
    alert = to_ecs(replace(X11VNC, level=Level.HIGH, raised_by=(JIGGLER,)))
    assert alert["@timestamp"] == "2026-11-23T10:55:20Z"
    assert alert["event"]["start"] == "2026-11-23T10:22:00Z"
    assert (alert["event"]["kind"], alert["event"]["severity"]) == ("alert", 4)
    assert alert["event"]["reason"] == "Image ends with '/x11vnc': /usr/bin/x11vnc"
    assert alert["rule"]["id"] == X11VNC.rule
    assert alert["rule"]["reference"] == X11VNC.references[0]
    assert alert["threat"]["tactic"]["id"] == ["TA0011"]
    assert alert["threat"]["technique"]["id"] == ["T1219"]
    assert alert["threat"]["technique"]["subtechnique"]["id"] == ["T1219.002"]
    assert alert["host"] == {"id": "9f1c0b52-lab", "name": "lab-01", "hostname": "lab-01"}
    assert alert["user"] == {"name": "anna"}
    assert alert["related"] == {"hosts": ["9f1c0b52-lab", "lab-01"], "user": ["anna"]}
    assert alert["molehunt"]["identity"] == [{"field": "Image", "value": "/usr/bin/x11vnc"}]
    assert alert["molehunt"]["raised_by"][0]["rule"]["name"] == "Mouse Movement Simulator Running"
    (item,) = alert["molehunt"]["evidence"]
    assert (item["file"], item["line"]) == ("osqueryd.results.log", 1)
    assert {"field": "pid", "value": "4711"} in item["values"]


def test_several_users_are_related_and_none_is_the_user() -> None:
    """`user.name` holds one name."""
    alert = to_ecs(replace(X11VNC, users=("anna", "ben")))
    assert "user" not in alert
    assert alert["related"]["user"] == ["anna", "ben"]


@pytest.mark.parametrize("level", Level)
def test_severity_grows_with_the_level(level: Level) -> None:
    """1 to 5 in both; what asks somebody to act now is an alertable signal."""
    finding = replace(X11VNC, level=level)
    assert to_ocsf(finding)["severity_id"] == level + 1
    assert to_ecs(finding)["event"]["severity"] == level + 1
    assert to_ocsf(finding)["is_alert"] == (level >= Level.HIGH)


@pytest.mark.parametrize(
    ("status", "confidence", "state"),
    [
        ("stable", "High", "Active"),
        ("test", "Medium", "Active"),
        ("experimental", "Low", "Experimental"),
        ("deprecated", "Unknown", None),
        ("", "Unknown", None),
    ],
)
def test_confidence_is_the_status_of_the_rule(
    status: str, confidence: str, state: str | None
) -> None:
    """How far the rule has been tried."""
    event = to_ocsf(replace(X11VNC, status=status))
    assert event["confidence"] == confidence
    assert event["finding_info"]["analytic"].get("state") == state


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("lab-01", True),
        ("LAB_01", True),
        ("lab-01.corp.example", True),
        ("lab-01.corp.example.", True),
        ("anna@corp.example", False),
        ("Anna's Mac", False),
        ("-lab", False),
        ("lab..example", False),
        ("a" * 64, False),
        ("lab\n", False),
        ("", False),
    ],
)
def test_only_what_can_be_a_host_name_is_called_one(name: str, can: bool) -> None:
    """The entity of a sign-in log is an account, which has a name and no host name."""
    finding = replace(X11VNC, host_name=name)
    assert is_hostname(name) == can
    if name:
        assert ("hostname" in to_ocsf(finding)["device"]) == can
        assert ("hostname" in to_ecs(finding)["host"]) == can
        assert to_ecs(finding)["host"]["name"] == name


def test_the_attack_data_is_the_version_that_is_stated() -> None:
    """Every tactic of the data has its id and name, and every sub-technique its parent."""
    assert read_bytes(f"data/attack_v{attack.VERSION}.json")
    for number, data in techniques().items():
        found = Technique(number, data["name"], tuple(data["tactics"]))
        assert all(attack.tactic(slug).id for slug in found.tactics)
        above = attack.parent(found)
        assert (above is not None) == ("." in number)
        assert above is None or above.name == techniques()[above.id]["name"]
        assert attack.technique(found).url.startswith("https://attack.mitre.org/techniques/T")


def test_an_unknown_tactic_or_technique_keeps_its_words() -> None:
    """Without an id or an address of our own making."""
    odd = Technique("X1", "Odd", ("made-up",))
    (pair,) = to_ocsf(replace(X11VNC, techniques=(odd,)))["finding_info"]["attacks"]
    assert pair["tactic"] == {"name": "made-up"}
    assert pair["technique"] == {"uid": "X1", "name": "Odd"}
    threat: dict[str, Any] = to_ecs(replace(X11VNC, techniques=(odd,)))["threat"]
    assert threat["tactic"] == {"name": ["made-up"]}
    assert threat["technique"] == {"id": ["X1"], "name": ["Odd"]}
