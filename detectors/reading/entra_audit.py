"""Audit logs of Microsoft Entra ID: Graph API and portal JSON, diagnostic settings, Log Analytics.

All become rows with the column names of the AuditLogs table, which Sigma's azure rules use:
https://learn.microsoft.com/azure/azure-monitor/reference/tables/auditlogs
Graph's names: https://learn.microsoft.com/graph/api/resources/directoryaudit
Lists of names and values are opened: `AdditionalDetails.<key>`, and for what was changed
`TargetResources.modifiedProperties.<displayName>.newValue`, JSON in it included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator, Row
from .entra import opened
from .flat import flatten, moment

NAME = "azure_audit"
QUERY = "azure.auditlogs"
KEYS = ("activityDisplayName", "ActivityDisplayName", "properties", "TargetResources")
# Names are changed on the way, so the raw scan must not skip such a line.
MARKS = (b'"targetresources"',)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is an entry of the audit log, in any of the three spellings."""
    properties = document.get("properties")
    if isinstance(properties, dict):
        return document.get("category") == "AuditLogs" and _is_audit(properties)
    if "TargetResources" in document:
        return "OperationName" in document and (
            "TimeGenerated" in document or "ActivityDateTime" in document
        )
    return _is_audit(document)


def _is_audit(document: Mapping[str, Any]) -> bool:
    return (
        isinstance(document.get("activityDisplayName"), str)
        and isinstance(document.get("activityDateTime"), str)
        and "targetResources" in document
    )


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """The entry as one row. Its entity is the account that it is about, else the one that acted."""
    columns = _columns(document)
    at = moment(columns.get("ActivityDateTime")) or moment(columns.get("TimeGenerated"))
    account = _account(columns)
    yield Row(NAME, QUERY, account, "event", at, flatten(columns), where, user=account, event_at=at)


def _columns(document: Mapping[str, Any]) -> dict[str, Any]:
    properties = document.get("properties")
    inner = properties if isinstance(properties, dict) else document
    found = {key[:1].upper() + key[1:]: opened(value) for key, value in inner.items()}
    operation = document.get("operationName") or found.get("ActivityDisplayName")
    if operation is not None:
        found.setdefault("OperationName", operation)
    if isinstance(found.get("AdditionalDetails"), list):
        found["AdditionalDetails"] = _named(found["AdditionalDetails"], "key", "value")
    targets = found.get("TargetResources")
    if isinstance(targets, list):
        found["TargetResources"] = [_target(one) for one in targets]
    return found


def _target(target: Any) -> Any:
    if not isinstance(target, dict) or not isinstance(target.get("modifiedProperties"), list):
        return target
    changed: dict[str, dict[str, Any]] = {}
    for one in target["modifiedProperties"]:
        if isinstance(one, dict) and isinstance(one.get("displayName"), str):
            changed[one["displayName"]] = {
                side: opened(one[side]) for side in ("oldValue", "newValue") if side in one
            }
    return target | {"modifiedProperties": changed}


def _named(listed: list[Any], name: str, value: str) -> dict[str, Any]:
    return {
        one[name]: one.get(value)
        for one in listed
        if isinstance(one, dict) and isinstance(one.get(name), str)
    }


def _account(columns: Mapping[str, Any]) -> str:
    targets = columns.get("TargetResources")
    initiated = columns.get("InitiatedBy")
    by = initiated.get("user") if isinstance(initiated, dict) else None
    for one in (*(targets if isinstance(targets, list) else ()), by):
        name = one.get("userPrincipalName") if isinstance(one, dict) else None
        if isinstance(name, str):
            return name
    return ""
