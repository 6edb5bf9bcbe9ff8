"""Sign-ins of Microsoft Entra ID: Graph API and portal JSON, diagnostic settings, Log Analytics.

All become rows with the column names of the SigninLogs table, which Sigma's azure rules use:
https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs
Graph's names: https://learn.microsoft.com/graph/api/resources/signin
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator, Row
from .flat import flatten, moment

NAME = "azure"
QUERY = "azure.signinlogs"
KEYS = ("properties", "UserPrincipalName", "userPrincipalName")
# Names are changed on the way, so the raw scan must not skip such a line.
MARKS = (b'"userprincipalname"',)

# Graph's names that the table spells otherwise; all others only begin with a capital.
_COLUMNS = {
    "ipAddress": "IPAddress",
    "location": "LocationDetails",
    "riskEventTypes_v2": "RiskEventTypes_V2",
    "resourceId": "ResourceIdentity",
}
# Columns of the type `dynamic`, or text that holds JSON, as exports of Log Analytics write them.
_OBJECTS = frozenset(
    (
        "Status",
        "DeviceDetail",
        "LocationDetails",
        "MfaDetail",
        "AuthenticationDetails",
        "AuthenticationAppDeviceDetails",
        "RiskEventTypes",
        "RiskEventTypes_V2",
        "NetworkLocationDetails",
        "ConditionalAccessPolicies",
        "AppliedConditionalAccessPolicies",
    )
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a sign-in of a user, in any of the three spellings."""
    properties = document.get("properties")
    if isinstance(properties, dict):
        return "SignInLogs" in str(document.get("category")) and _is_sign_in(properties)
    if isinstance(document.get("UserPrincipalName"), str):
        return "IPAddress" in document and ("TimeGenerated" in document or "ResultType" in document)
    return _is_sign_in(document)


def _is_sign_in(document: Mapping[str, Any]) -> bool:
    return (
        isinstance(document.get("userPrincipalName"), str)
        and isinstance(document.get("createdDateTime"), str)
        and "ipAddress" in document
    )


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """The sign-in as one row. Its entity is the account."""
    columns = _columns(document)
    at = moment(columns.get("CreatedDateTime")) or moment(columns.get("TimeGenerated"))
    account = str(columns.get("UserPrincipalName") or columns.get("UserId") or "")
    yield Row(NAME, QUERY, account, "event", at, flatten(columns), where, user=account, event_at=at)


def _columns(document: Mapping[str, Any]) -> dict[str, Any]:
    properties = document.get("properties")
    inner = properties if isinstance(properties, dict) else document
    found = {_COLUMNS.get(key, key[:1].upper() + key[1:]): value for key, value in inner.items()}
    if inner is not document:
        for key in ("category", "operationName", "resultType", "resultDescription"):
            if document.get(key) is not None:
                found.setdefault(key[:1].upper() + key[1:], document[key])
    for name in _OBJECTS & found.keys():
        found[name] = opened(found[name])
    status, location = found.get("Status"), found.get("LocationDetails")
    if isinstance(status, dict) and status.get("errorCode") is not None:
        found.setdefault("ResultType", status["errorCode"])
        if status.get("failureReason") is not None:
            found.setdefault("ResultDescription", status["failureReason"])
    if isinstance(location, dict) and location.get("countryOrRegion"):
        found.setdefault("Location", location["countryOrRegion"])
    return found


def opened(value: Any) -> Any:
    """A value, or what it says if it is text that holds JSON."""
    if not (isinstance(value, str) and value[:1] in ("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
