"""Events of accounts at Google Workspace: the Reports API, and Cloud Logging that gets them too.

https://developers.google.com/admin-sdk/reports/reference/rest/v1/activities/list
https://cloud.google.com/logging/docs/audit/gsuite-audit-logging
An activity may hold several events; each is a row. Both spellings get the Reports API's names, a
parameter as `events.parameters.<name>`; `protoPayload.metadata.event.eventName` and
`protoPayload.serviceName`, which Sigma's rules use, are set for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator, Row
from .flat import flatten, moment

NAME = "google_workspace"
QUERY = "google_workspace.login"
KEYS = ("id", "protoPayload")
MARKS = (b'"applicationname"', b"login.googleapis.com")

_SERVICE = "login.googleapis.com"
# Both have what is done to the second factor and recovery of an account; others are passed over.
_ABOUT_ACCOUNTS = frozenset(("login", "user_accounts"))
_KIND = "admin#reports#activity"
_VALUES = (
    "value",
    "boolValue",
    "intValue",
    "multiValue",
    "multiStrValue",
    "multiIntValue",
    "multiBoolValue",
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is an activity of any application, or an entry of the login audit log."""
    identity = document.get("id")
    if isinstance(identity, dict) and isinstance(document.get("events"), list):
        application = identity.get("applicationName")
        return application == "login" or (
            isinstance(application, str) and document.get("kind") == _KIND
        )
    payload = document.get("protoPayload")
    return isinstance(payload, dict) and payload.get("serviceName") == _SERVICE


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """One row for each event that is about accounts. Its entity is the account."""
    identity = document.get("id")
    if isinstance(identity, dict) and identity.get("applicationName") not in _ABOUT_ACCOUNTS:
        return
    common, events = _opened(document)
    shared = flatten(common)
    account = str(shared.get("actor.email") or shared.get("actor.profileId") or "")
    at = moment(shared.get("id.time"))
    for number, event in enumerate(events):
        name = event.get("name")
        values = {
            **shared,
            **flatten({"events": {"name": name, "type": event.get("type")}}),
            **flatten({"events": {"parameters": event["parameters"]}}),
            "protoPayload.metadata.event.eventName": name,
            "protoPayload.serviceName": _SERVICE,
        }
        yield Row(
            NAME,
            QUERY,
            account,
            "event",
            at,
            values,
            where._replace(row=where.row + number),
            user=account,
            event_at=at,
        )


def _opened(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What all events share, in the Reports API's names, and the events."""
    payload = document.get("protoPayload")
    if not isinstance(payload, dict):
        common = {key: value for key, value in document.items() if key != "events"}
        return common, [_event(one, "name", "type", "parameters") for one in document["events"]]
    metadata = _object(payload.get("metadata"))
    found = metadata.get("event")
    events = found if isinstance(found, list) else [found]
    common = {
        "id": {"time": document.get("timestamp"), "applicationName": "login"},
        "actor": {"email": _object(payload.get("authenticationInfo")).get("principalEmail")},
        "ipAddress": _object(payload.get("requestMetadata")).get("callerIp"),
        "insertId": document.get("insertId"),
    }
    return common, [_event(one, "eventName", "eventType", "parameter") for one in events]


def _event(event: Any, name: str, kind: str, parameters: str) -> dict[str, Any]:
    event = _object(event)
    listed = event.get(parameters)
    found = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            found[one["name"]] = next((one[key] for key in _VALUES if key in one), None)
    what = event.get(name)
    return {
        "name": what if isinstance(what, str) else None,
        "type": event.get(kind) if isinstance(event.get(kind), str) else None,
        "parameters": found,
    }


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
