"""Sign-in logs and the inputs that only an organisation has: readers, enrichment, agreement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kit
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from molehunt.cli import main
from molehunt.detectors.enriching.entities import load_entities
from molehunt.detectors.enriching.inputs import Inputs, load_inputs
from molehunt.detectors.enriching.mmdb import open_database
from molehunt.detectors.matching.plan import Plan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.records import Row
from molehunt.problems import Problem
from molehunt.rule import Rule
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

FOLDER = Path(__file__).with_name("recordings") / "sign-in-services"
PEOPLE, ADDRESSES = str(FOLDER / "entities.csv"), str(FOLDER / "addresses.mmdb")
PLACES = str(FOLDER.with_name("sign-in-places") / "addresses.mmdb")
SIGN_IN: dict[str, Any] = {
    "id": "1",
    "createdDateTime": "2026-11-04T14:10:00.1234567Z",
    "userPrincipalName": "j.rowe@corp.example",
    "ipAddress": "192.0.2.10",
    "status": {"errorCode": 53003, "failureReason": "blocked"},
    "location": {"countryOrRegion": "RO"},
    "deviceDetail": {"isManaged": False, "operatingSystem": "Windows10"},
    "riskEventTypes_v2": ["anonymizedIPAddress", "unlikelyTravel"],
}
ACTIVITY: dict[str, Any] = {
    "kind": "admin#reports#activity",
    "id": {"time": "2026-11-04T14:15:00.000Z", "applicationName": "login"},
    "actor": {"email": "j.rowe@corp.example"},
    "ipAddress": "192.0.2.10",
    "events": [
        {
            "type": "login",
            "name": "login_success",
            "parameters": [
                {"name": "is_suspicious", "boolValue": True},
                {"name": "login_challenge_method", "multiValue": ["password", "totp"]},
            ],
        },
        {"type": "login", "name": "login_challenge"},
    ],
}
ENTRY: dict[str, Any] = {
    "protoPayload": {
        "serviceName": "login.googleapis.com",
        "authenticationInfo": {"principalEmail": "j.rowe@corp.example"},
        "requestMetadata": {"callerIp": "192.0.2.10"},
        "metadata": {
            "event": [
                {
                    "eventName": "login_success",
                    "eventType": "login",
                    "parameter": [
                        {"name": "is_suspicious", "boolValue": True},
                        {"name": "login_challenge_method", "multiStrValue": ["password", "totp"]},
                    ],
                },
                {"eventName": "login_challenge", "eventType": "login"},
            ]
        },
    },
    "timestamp": "2026-11-04T14:15:00.000Z",
}


def rows(path: Path, document: Any, problems: list[Problem] | None = None) -> list[Row]:
    """The rows of a file that holds one JSON value."""
    path.write_text(json.dumps(document), encoding="utf-8")
    told: list[Problem] = [] if problems is None else problems
    plan = compile_plan([], taxonomy(), kit.binder(), scan="")
    return list(plan.rows(blocks(str(path), told.append), told.append))


def spellings() -> Iterator[tuple[str, Any]]:
    """One sign-in of Entra ID in every export."""
    yield "graph", {"@odata.context": "x", "value": [SIGN_IN]}
    yield "array", [SIGN_IN]
    outer = {"category": "SignInLogs", "resultType": "53003", "properties": SIGN_IN}
    yield "line", outer
    yield "records", {"records": [outer]}
    yield (
        "log analytics",
        {
            "TimeGenerated": SIGN_IN["createdDateTime"],
            "CreatedDateTime": SIGN_IN["createdDateTime"],
            "UserPrincipalName": SIGN_IN["userPrincipalName"],
            "IPAddress": SIGN_IN["ipAddress"],
            "ResultType": "53003",
            "Location": "RO",
            "LocationDetails": json.dumps(SIGN_IN["location"]),
            "DeviceDetail": json.dumps(SIGN_IN["deviceDetail"]),
            "RiskEventTypes_V2": json.dumps(SIGN_IN["riskEventTypes_v2"]),
        },
    )


@pytest.mark.parametrize(("name", "document"), list(spellings()))
def test_every_export_of_entra_gives_the_same_fields(
    tmp_path: Path, name: str, document: Any
) -> None:
    """The names of the SigninLogs table, whatever the export."""
    problems: list[Problem] = []
    (row,) = rows(tmp_path / "log.json", document, problems)
    assert not problems, name
    assert (row.host, row.user, row.event_at) == ("j.rowe@corp.example",) * 2 + (
        pytest.approx(1793801400.123456),
    )
    wanted = {
        "UserPrincipalName": "j.rowe@corp.example",
        "IPAddress": "192.0.2.10",
        "LocationDetails.countryOrRegion": "RO",
        "Location": "RO",
        "DeviceDetail.isManaged": False,
        "RiskEventTypes_V2": ("anonymizedIPAddress", "unlikelyTravel"),
    }
    assert {key: row.values.get(key) for key in wanted} == wanted
    assert str(row.values["ResultType"]) == "53003"


@pytest.mark.parametrize(
    "document", [ACTIVITY, ENTRY, {"kind": "admin#reports#activities", "items": [ACTIVITY]}]
)
def test_google_activities_give_a_row_for_each_event(tmp_path: Path, document: Any) -> None:
    """Reports API and Cloud Logging alike; parameters under their names."""
    first, second = rows(tmp_path / "log.json", document)
    assert first.user == "j.rowe@corp.example"
    assert first.values["events.parameters.is_suspicious"] is True
    assert first.values["events.parameters.login_challenge_method"] == ("password", "totp")
    assert first.values["protoPayload.metadata.event.eventName"] == "login_success"
    assert first.values["ipAddress"] == "192.0.2.10"
    assert second.values["events.name"] == "login_challenge"
    assert (first.locator.row, second.locator.row) == (0, 1)
    assert first.event_at == second.event_at == 1793801700


OKTA = {
    "uuid": "7e1c1a5e-0000-11f0-8000-000000000001",
    "published": "2026-11-04T14:15:00.000Z",
    "eventType": "user.session.start",
    "actor": {"id": "00u1", "type": "User", "alternateId": "j.rowe@corp.example"},
    "client": {"ipAddress": "192.0.2.10"},
    "outcome": {"result": "SUCCESS"},
}


@pytest.mark.parametrize(
    "document",
    [
        OKTA,
        {
            "version": "0",
            "detail-type": "SystemLog",
            "source": "aws.partner/okta.com/corp/SystemLog",
            "time": "2026-11-04T14:15:02Z",
            "detail": OKTA,
        },
        {
            "eventType": "com.okta.event_hook",
            "eventTypeVersion": "1.0",
            "source": "https://corp.example/api/v1/eventHooks/who1",
            "data": {"events": [OKTA]},
        },
    ],
    ids=["event", "eventbridge", "hook"],
)
def test_what_okta_delivers_is_the_event(tmp_path: Path, document: Any) -> None:
    """Wherever it stands in what is delivered."""
    problems: list[Problem] = []
    (row,) = rows(tmp_path / "log.json", document, problems)
    assert not problems
    assert (row.source, row.host) == ("okta", "j.rowe@corp.example")
    assert row.values["client.ipAddress"] == "192.0.2.10"


def test_a_page_that_is_not_the_last_is_told(tmp_path: Path) -> None:
    """An export of the first page only looks complete, and is not."""
    problems: list[Problem] = []
    page = {"@odata.context": "x", "@odata.nextLink": "y", "value": [SIGN_IN]}
    assert len(rows(tmp_path / "log.json", page, problems)) == 1
    assert "first page" in problems[0].what


def test_entities_are_read_and_defects_named(tmp_path: Path) -> None:
    """A line with an error is left out; two lines of one account end when both have ended."""
    path = tmp_path / "entities.csv"
    path.write_text(
        "User,start_date,end_date,ship_to,groups\n"
        "A@corp.example,2026-01-02,2026-06-01,us,x;y\n"
        "a@corp.example,2026-07-01,2026-11-10,DE,\n"
        "b@corp.example,soon,,US,\n"
        "c@corp.example,2026-02-02,2026-01-01,US,\n"
        "d@corp.example,,,Utopia,\n"
        "e@corp.example\n",
        encoding="utf-8",
    )
    found, problems = load_entities(str(path))
    assert [problem.line for problem in problems] == [4, 5, 6, 7]
    (entity,) = found.values()
    assert (entity.ship_to, entity.groups) == (("US", "DE"), ("x", "y"))
    day = 86400.0
    end = 1794268800.0  # 2026-11-10
    assert entity.days_since_end(end + day - 1) == 0
    assert entity.days_since_end(end + 2 * day) == 2
    assert entity.days_since_end(end - 1) == -1


def database(path: Path, network: str, record: dict[str, Any], kind: str) -> str:
    """A small database with one network."""
    writer = MMDBWriter(6, kind, ipv4_compatible=True)
    writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"country": {"iso_code": "RO"}}, ("RO", None, "")),
        ({"country_code": "RO", "country": "Romania"}, ("RO", None, "")),
        ({"country": "RO", "asn": "AS64511", "as_name": "example"}, ("RO", 64511, "example")),
        (
            {"autonomous_system_number": 64511, "autonomous_system_organization": "example"},
            ("", 64511, "example"),
        ),
    ],
)
def test_databases_of_several_vendors(
    tmp_path: Path, record: dict[str, Any], wanted: tuple[str, int | None, str]
) -> None:
    """What a database has is told by its content, not by its file name."""
    found, problems = open_database(database(tmp_path / "x.mmdb", "192.0.2.0/24", record, "other"))
    assert found is not None and not problems
    assert found.look_up("192.0.2.10")[:3] == wanted
    assert found.look_up("::ffff:192.0.2.10")[:3] == wanted
    assert found.look_up("198.51.100.1")[:3] == ("", None, "")
    assert found.look_up("no address")[:3] == ("", None, "")
    assert (found.has_country, found.has_asn) == (bool(wanted[0]), wanted[1] is not None)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    """A wrong file is a problem with its name, not a crash."""
    path = tmp_path / "x.mmdb"
    path.write_bytes(b"not a database")
    found, problems = open_database(str(path))
    assert found is None and "database" in problems[0].what


ENRICHED = """
title: Enriched
id: 00000000-0000-4000-8000-00000000e001
logsource: {product: okta, service: okta}
detection:
    selection:
        source.as.number: 216025
    other:
        molehunt.entity.days_since_end|gte: 2
    word:
        - 'mullvad vpn'
    same:
        source.geo.country_iso_code|fieldref: molehunt.entity.ship_to
    there:
        molehunt.entity.ship_to|exists: true
    condition: selection or other or word or (there and not same)
"""


def found(plan: Plan, inputs: Inputs, file: str) -> list[tuple[str, int, int]]:
    """Where the rules of a plan match in a file."""
    plan.inputs = inputs
    problems: list[Problem] = []
    hits = [
        (match.rule.id, match.record.locator.line, match.record.locator.row)
        for match in plan.matches(blocks(file, problems.append), problems.append)
    ]
    assert not problems
    return sorted(hits)


@pytest.fixture(scope="module")
def shipped() -> tuple[Rule, ...]:
    """The shipped rules over sign-ins."""
    return load_rules([str(Path(builtin_rules_path()) / "sign_in")]).rules


@pytest.mark.parametrize("log", sorted(path.name for path in FOLDER.glob("*json")))
def test_engines_agree_on_enriched_rows(log: str, shipped: tuple[Rule, ...]) -> None:
    """The raw scan skips no line for what only the inputs say; both engines match the same."""
    problems: list[Problem] = []
    inputs = load_inputs(PEOPLE, [ADDRESSES], taxonomy().stores, problems)
    assert not problems
    rules = (*shipped, *kit.ruleset(ENRICHED).rules)
    file = str(FOLDER / log)
    plans = [
        compile_plan(rules, taxonomy(), kit.binder()),
        compile_plan(rules, taxonomy(), kit.binder(), scan="re2"),
        compile_plan(rules, taxonomy(), kit.binder(), scan=""),
        reference_plan(rules, taxonomy(), kit.binder()),
    ]
    outcomes = [found(plan, inputs, file) for plan in plans]
    assert outcomes[0]
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_without_inputs_rules_that_need_them_do_not_fire(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are counted in the summary and listed by --stats; with the inputs they fire."""
    out = tmp_path / "found.json"
    common = ["hunt", str(FOLDER), "--format", "json", "--output", str(out)]
    assert main(common) == 0
    told = capsys.readouterr().err
    assert "rules cannot fire: no input (--entities, --mmdb)" in told
    before = {one["title"] for one in json.loads(out.read_text())["findings"]}
    databases = ["--mmdb", ADDRESSES, "--mmdb", PLACES]
    assert main([*common, "--entities", PEOPLE, *databases]) == 0
    assert "no input" not in capsys.readouterr().err
    after = {one["title"] for one in json.loads(out.read_text())["findings"]}
    assert "Suspicious Okta Sign-In After the Last Day" in after - before
    assert before <= after
    assert main([*common, "--stats", "--entities", PEOPLE]) == 0
    told = capsys.readouterr().err
    # Networks stand in the logs, Okta's countries only by their names.
    assert "no input: mmdb_country" in told and "no input: entities" not in told
    assert main([*common, "--entities", str(tmp_path / "none.csv")]) == 3
