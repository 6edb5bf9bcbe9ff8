"""The CSV of Entra's portal and of Okta's and Google's consoles says what the JSON says, as far as
it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_wrapped import rows

from molehunt.cli import main
from molehunt.detectors.records import Row
from molehunt.problems import Problem, Severity

SAMPLES = Path(__file__).with_name("samples")
RECORDINGS = Path(__file__).with_name("recordings")
ENTRA = ("InteractiveSignIns_2026-11-17.csv", "NonInteractiveSignIns_2026-11-17.csv")
OKTA = "okta-system-log.csv"
GOOGLE = "user-log-events.csv"


def read(path: Path) -> tuple[list[Row], list[Problem]]:
    """Rows and problems of a file."""
    problems: list[Problem] = []
    return rows(path, problems), problems


def same(one: Row, other: Row, names: tuple[str, ...]) -> None:
    """The account, the time and the named fields."""
    assert (one.source, one.query, one.host, one.user) == (
        other.source,
        other.query,
        other.host,
        other.user,
    )
    assert one.event_at is not None and other.event_at is not None
    assert int(one.event_at) == int(other.event_at)
    for name in names:
        # Diagnostic settings write ResultType as text.
        assert str(one.values.get(name)) == str(other.values.get(name)), name


def test_entra_csv_is_the_sign_in() -> None:
    """Each record against the line of the diagnostic settings that it was made from."""
    wanted = read(RECORDINGS / "sign-in-places" / "entra.ndjson")[0]
    for name, interactive in zip(ENTRA, (True, False), strict=True):
        found, problems = read(SAMPLES / name)
        lines = [row for row in wanted if row.values["IsInteractive"] is interactive]
        assert len(found) == len(lines) > 10 - 5 * (not interactive)
        for one, other in zip(found, lines, strict=True):
            same(
                one,
                other,
                (
                    "UserPrincipalName",
                    "UserId",
                    "IPAddress",
                    "ResultType",
                    "IsInteractive",
                    "DeviceDetail.isManaged",
                    "DeviceDetail.isCompliant",
                    "DeviceDetail.operatingSystem",
                    "AppDisplayName",
                    "AuthenticationRequirement",
                    "ConditionalAccessStatus",
                    "UserType",
                    "UserAgent",
                ),
            )
            assert one.values["LocationDetails.countryOrRegion"] == one.values["Location"] == "US"
        assert [problem.severity for problem in problems] == [Severity.WARNING]
        assert "lacks the risks" in str(problems[0])


def test_okta_csv_is_the_event() -> None:
    """Each record against the event that it was made from."""
    wanted = [
        row
        for folder in ("sign-in-services", "sign-in-places")
        for row in read(RECORDINGS / folder / "okta.ndjson")[0]
    ]
    found, problems = read(SAMPLES / OKTA)
    for one, other in zip(found, wanted, strict=True):
        same(
            one,
            other,
            (
                "eventType",
                "published",
                "outcome.result",
                "actor.alternateId",
                "client.ipAddress",
                "client.userAgent.os",
                "authenticationContext.externalSessionId",
                "debugContext.debugData.requestUri",
                "target.alternateId",
                "uuid",
            ),
        )
    assert [problem.severity for problem in problems] == [Severity.WARNING]
    assert "lacks the device" in str(problems[0])


def test_google_csv_is_the_activity() -> None:
    """Each record against the activity that it was made from."""
    wanted = read(RECORDINGS / "sign-in-places" / "google.json")[0]
    found, problems = read(SAMPLES / GOOGLE)
    for one, other in zip(found, wanted, strict=True):
        same(
            one,
            other,
            (
                "actor.email",
                "ipAddress",
                "events.name",
                "events.parameters.login_type",
                "protoPayload.metadata.event.eventName",
                "protoPayload.serviceName",
            ),
        )
    assert [problem.severity for problem in problems] == [Severity.WARNING]
    assert "not chosen as a column" in str(problems[0])


def findings(out: Path, *arguments: str) -> set[tuple[str, str]]:
    """Title and account of all findings."""
    main(["hunt", *arguments, "--format", "json", "--quiet", "--output", str(out)])
    found = json.loads(out.read_text(encoding="utf-8"))["findings"]
    return {(one["title"], one["host"]["id"]) for one in found}


def test_rules_find_in_csv_what_they_find_in_json(tmp_path: Path) -> None:
    """But for what needs the risks of a sign-in."""
    folder = RECORDINGS / "sign-in-places"
    inputs = ("--mmdb", str(folder / "addresses.mmdb"))
    from_json = findings(tmp_path / "a.json", str(folder / "entra.ndjson"), *inputs)
    from_csv = findings(tmp_path / "b.json", *(str(SAMPLES / name) for name in ENTRA), *inputs)
    lost = {title for title, _ in from_json - from_csv}
    assert from_csv <= from_json
    assert lost == {"Entra ID Sign-In Through an Anonymised Address"}
    assert ("Sign-Ins Too Far Apart For Their Time", "b.ortega@corp.example") in from_csv


def test_rules_find_in_googles_csv_what_they_find_in_json(tmp_path: Path) -> None:
    """All of it: no rule that fires there asks for more."""
    folder = RECORDINGS / "sign-in-places"
    inputs = ("--mmdb", str(folder / "addresses.mmdb"))
    from_json = findings(tmp_path / "a.json", str(folder / "google.json"), *inputs)
    from_csv = findings(tmp_path / "b.json", str(SAMPLES / GOOGLE), *inputs)
    assert from_csv == from_json
    assert ("Sign-Ins Too Far Apart For Their Time", "l.dahl@corp.example") in from_csv


@pytest.mark.parametrize(
    ("header", "cells", "wanted", "told"),
    [
        # As the page is today, and as it was before.
        (
            "Date,Event,Description,Actor,IP address,Login type,Is suspicious,IP ASN",
            "2026-11-09T04:00:00-08:00,Successful login,,a@corp.example,192.0.2.1,,True,64500",
            {
                "events.name": "login_success",
                "events.parameters.is_suspicious": True,
                "networkInfo.ipAsn": 64500,
            },
            (),
        ),
        (
            "Event Name,Event Description,User,IP Address,Date,Login Type",
            "2-Step Verification enroll,,a@corp.example,192.0.2.1,2026-11-09T12:00:00Z,SAML",
            {"events.name": "2sv_enroll", "events.parameters.login_type": "saml"},
            (),
        ),
        (
            "Date,Event,Actor,IP address,Login type",
            "2026-11-09T12:00:00Z,Connexion réussie,a@corp.example,192.0.2.1,SAML",
            {"events.name": "Connexion réussie"},
            ("not called as in Google's English console",),
        ),
        (
            "Date,Event,Actor,IP address,Login type,IP ASN",
            "2026-11-09T12:00:00Z,Logout,a@corp.example,,SAML,64500 (US)",
            {"events.name": "logout", "ipAddress": None, "networkInfo.ipAsn": None},
            (),
        ),
    ],
)
def test_cells_of_googles_console(
    tmp_path: Path, header: str, cells: str, wanted: dict[str, Any], told: tuple[str, ...]
) -> None:
    """Columns are chosen and named by people; what a cell does not say stays out."""
    file = tmp_path / "events.csv"
    file.write_text(f"{header}\n{cells}\n", encoding="utf-8")
    (row,), problems = read(file)
    assert row.user == "a@corp.example"
    assert row.event_at == 1794225600
    assert {name: row.values.get(name) for name in wanted} == wanted
    said = " ".join(map(str, problems))
    assert all(part in said for part in told)
    assert said.count("warning") == 1 + len(told)


def test_googles_times_in_words_are_told(tmp_path: Path) -> None:
    """They are in the time zone of whoever exported, so they are not guessed."""
    file = tmp_path / "events.csv"
    file.write_text(
        "Date,Event,Actor,IP address,Login type\n"
        '"Nov 9, 2026, 4:00:00 AM",Successful login,a@corp.example,192.0.2.1,SAML\n'
    )
    (row,), problems = read(file)
    assert row.event_at is None
    assert "not in ISO 8601" in " ".join(map(str, problems))


@pytest.mark.parametrize(
    "header",
    ["Date,Event,Description,Actor,IP address", "Date,Amount,Login type,IP address,Shop"],
)
def test_other_csv_is_not_googles(tmp_path: Path, header: str) -> None:
    """Events of administrators or Drive, and whatever else has a date."""
    file = tmp_path / "events.csv"
    file.write_text(header + "\n" + ",".join("x" for _ in header.split(",")) + "\n")
    found, problems = read(file)
    assert not found
    assert problems


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ({"Status": "Success", "Sign-in error code": ""}, {"ResultType": 0}),
        ({"Status": "Success", "Sign-in error code": "0"}, {"ResultType": 0}),
        ({"Status": "Interrupted", "Sign-in error code": "50140"}, {"ResultType": 50140}),
        ({"Status": "Failure", "Sign-in error code": ""}, {"ResultType": None}),
        ({"Location": "Washington, D.C., District of Columbia, US"}, {"Location": "US"}),
        (
            {"Location": "Washington, D.C., District of Columbia, US"},
            {"LocationDetails.city": "Washington, D.C."},
        ),
        ({"Location": "SG"}, {"Location": "SG"}),
        ({"Location": ""}, {"Location": None}),
        ({"Managed": "Yes"}, {"DeviceDetail.isManaged": True}),
        ({"Managed": "false"}, {"DeviceDetail.isManaged": False}),
        ({"IP address": ""}, {"IPAddress": None}),
    ],
)
def test_cells_of_the_portal(tmp_path: Path, cells: dict[str, str], wanted: dict[str, Any]) -> None:
    """What the portal writes, and what it leaves empty."""
    record = {"Date (UTC)": "2026-11-09T14:00:00Z", "Username": "a@corp.example", **cells}
    names = ",".join(f'"{name}"' for name in record)
    file = tmp_path / "signins.csv"
    file.write_text(names + "\n" + ",".join(f'"{cell}"' for cell in record.values()) + "\n")
    (row,), _ = read(file)
    assert row.user == "a@corp.example"
    assert {name: row.values.get(name) for name in wanted} == wanted
    assert "IsInteractive" not in row.values


def test_times_in_another_language_are_told(tmp_path: Path) -> None:
    """The sign-in is read without its time, and that is said."""
    file = tmp_path / "signins.csv"
    file.write_text('"Date (UTC)","Username"\n"9.11.2026, 14:00","a@corp.example"\n')
    (row,), problems = read(file)
    assert row.event_at is None
    assert "not in ISO 8601" in " ".join(map(str, problems))


@pytest.mark.parametrize("name", [ENTRA[0], OKTA, GOOGLE])
@pytest.mark.parametrize("quoted", [True, False])
def test_a_byte_order_mark_changes_nothing(name: str, quoted: bool, tmp_path: Path) -> None:
    """PowerShell writes one before names in quotes, Excel before bare ones."""
    head, _, rest = (SAMPLES / name).read_bytes().partition(b"\n")
    names = head.replace(b'"', b"").rstrip(b"\r").split(b",")
    header = b",".join(b'"%b"' % one if quoted else one for one in names)
    path = tmp_path / name
    path.write_bytes(header + b"\n" + rest)
    wanted, told = read(path)
    assert len(wanted) >= 5
    path.write_bytes(b"\xef\xbb\xbf" + header + b"\n" + rest)
    found, problems = read(path)
    assert [row.values for row in found] == [row.values for row in wanted]
    assert problems == told
