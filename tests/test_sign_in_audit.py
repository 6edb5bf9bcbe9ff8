"""The audit log of Entra ID, and applications of Google Workspace other than the login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sign_in import ACTIVITY, rows

from molehunt.cli import main
from molehunt.problems import Problem

FOLDER = Path(__file__).with_name("recordings") / "fifth-entra-audit"
PHONE = "TargetResources.modifiedProperties.StrongAuthenticationPhoneAppDetail"
# After https://learn.microsoft.com/graph/api/resources/directoryaudit; invented.
ENTRY: dict[str, Any] = {
    "id": "Directory_1",
    "category": "UserManagement",
    "result": "success",
    "activityDisplayName": "Update user",
    "activityDateTime": "2026-11-04T15:30:00.1234567Z",
    "loggedByService": "Core Directory",
    "initiatedBy": {
        "user": {"userPrincipalName": "help@corp.example", "ipAddress": "192.0.2.9"},
        "app": None,
    },
    "targetResources": [
        {
            "type": "User",
            "userPrincipalName": "j.rowe@corp.example",
            "modifiedProperties": [
                {
                    "displayName": "StrongAuthenticationPhoneAppDetail",
                    "oldValue": "[]",
                    "newValue": '[{"DeviceToken":"one"},{"DeviceToken":"two"}]',
                },
                {"displayName": "Included Updated Properties", "newValue": '"Phone [x"'},
            ],
        }
    ],
    "additionalDetails": [{"key": "UserType", "value": "Member"}],
}


def spellings() -> Iterator[tuple[str, Any]]:
    """One entry as each export has it."""
    yield "graph", {"@odata.context": "x", "value": [ENTRY]}
    yield "bare page", {"value": [ENTRY], "@odata.count": 1}
    yield "portal", [ENTRY]
    yield "line", ENTRY
    diagnostic = {"time": "2026-11-04T15:31:00Z", "category": "AuditLogs", "properties": ENTRY}
    yield "diagnostic", diagnostic | {"operationName": "Update user"}
    yield "records", {"records": [diagnostic]}
    table = {key[:1].upper() + key[1:]: value for key, value in ENTRY.items()}
    table |= {"OperationName": "Update user", "TimeGenerated": "2026-11-04T15:31:00Z"}
    yield "table", table
    for name in ("InitiatedBy", "TargetResources", "AdditionalDetails"):
        table = table | {name: json.dumps(table[name])}
    yield "texts", table


@pytest.mark.parametrize(("name", "document"), list(spellings()))
def test_every_export_of_the_audit_log_gives_the_same_fields(
    tmp_path: Path, name: str, document: Any
) -> None:
    """The names of the AuditLogs table; lists of names and values are opened."""
    problems: list[Problem] = []
    (row,) = rows(tmp_path / "log.json", document, problems)
    assert not problems, name
    assert (row.source, row.host, row.user) == ("azure_audit", *("j.rowe@corp.example",) * 2)
    assert row.event_at == pytest.approx(1793806200.123456)
    wanted = {
        "OperationName": "Update user",
        "ActivityDisplayName": "Update user",
        "InitiatedBy.user.ipAddress": "192.0.2.9",
        "TargetResources.userPrincipalName": "j.rowe@corp.example",
        f"{PHONE}.newValue.DeviceToken": ("one", "two"),
        "TargetResources.modifiedProperties.Included Updated Properties.newValue": '"Phone [x"',
        "AdditionalDetails.UserType": "Member",
    }
    assert {key: row.values.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"targetResources": None},
        {"targetResources": "[{"},
        {"targetResources": [7, {"modifiedProperties": 7}, {"modifiedProperties": [7, {}]}]},
        {"additionalDetails": [7, {"key": 7}, {}]},
        {"initiatedBy": 7, "targetResources": []},
    ],
)
def test_other_values_than_documented_are_no_harm(tmp_path: Path, change: dict[str, Any]) -> None:
    """What is there is read."""
    (row,) = rows(tmp_path / "log.json", ENTRY | change)
    assert row.values["ActivityDisplayName"] == "Update user"


def test_other_applications_of_google_are_known(tmp_path: Path) -> None:
    """What is about an account's protection is read like its logins, the rest is passed over."""
    problems: list[Problem] = []
    documents = [
        ACTIVITY
        | {"kind": "admin#reports#activity", "id": ACTIVITY["id"] | {"applicationName": one}}
        for one in ("drive", "admin", "user_accounts")
    ]
    found = list(rows(tmp_path / "log.json", documents, problems))
    assert not problems
    assert len(found) == len(ACTIVITY["events"])
    assert {one.values["id.applicationName"] for one in found} == {"user_accounts"}


def test_a_phone_of_several_people_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """From the log to the finding, with the people that it is about."""
    main(["hunt", str(FOLDER / "audit.ndjson"), "--format", "ndjson", "--quiet"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (high,) = [one for one in found if one["level"] == "high"]
    assert [one["id"].partition("@")[0] for one in high["hosts"]] == [
        "dana.reyes", "lee.hartman", "sam.whitfield",
    ]  # fmt: skip
