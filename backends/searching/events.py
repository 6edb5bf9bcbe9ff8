"""Sign-in events as their services write them, put together again from the records' dotted names.

Entra ID's diagnostic settings write the columns of `SigninLogs` with a small first letter, most of
them in `properties` (<https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs>,
<https://learn.microsoft.com/entra/identity/monitoring-health/howto-integrate-activity-logs-with-azure-monitor-logs>).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molehunt.taxonomy import ENRICHED_FIELDS

# Columns that do not only begin with a small letter in the record, and those that stand around it.
_DIAGNOSTIC = {
    "IPAddress": "ipAddress",
    "LocationDetails": "location",
    "RiskEventTypes_V2": "riskEventTypes_v2",
    "ResourceIdentity": "resourceId",
}
_OUTER = {
    "Category": "category",
    "ResultType": "resultType",
    "ResultDescription": "resultDescription",
    "OperationName": "operationName",
    "Location": "location",
}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The event behind dotted names, without what was added to it. Several values under one name
    stay a list there, as a store that flattens lists of objects reads them the same way."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in ENRICHED_FIELDS:
            put_at(found, name, list(value) if isinstance(value, tuple) else value)
    return found


def diagnostic_name(column: str) -> str:
    """Where the record of Entra's diagnostic settings has a column, by its dotted name."""
    head, dot, rest = column.partition(".")
    if head in _OUTER:
        return _OUTER[head] + dot + rest
    return f"properties.{_DIAGNOSTIC.get(head, head[:1].lower() + head[1:])}{dot}{rest}"


def diagnostic_record(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The record as Entra's diagnostic settings write it."""
    record: dict[str, Any] = {"category": "SignInLogs", "properties": {}}
    for name, value in columns.items():
        # Texts there; only `status.errorCode` is a number.
        put_at(record, diagnostic_name(name), str(value) if name == "ResultType" else value)
    return record


def get_at(inside: Any, path: str) -> Any:
    """What stands at a dotted name; None if nothing does."""
    for part in path.split("."):
        if not isinstance(inside, dict):
            return None
        inside = inside.get(part)
    return inside


def put_at(inside: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted name. Of a value and an object under one name the object is kept."""
    *way, last = path.split(".")
    for part in way:
        step = inside.get(part)
        if not isinstance(step, dict):
            step = inside[part] = {}
        inside = step
    if not (isinstance(inside.get(last), dict) and not isinstance(value, dict)):
        inside[last] = value if not isinstance(value, dict) else {**inside.get(last, {}), **value}


def move_at(source: dict[str, Any], path: str, target: dict[str, Any], new: str) -> None:
    """Take what stands at a dotted name of one object to a name of another, unless it is null."""
    value = get_at(source, path)
    if value is not None:
        *way, last = path.split(".")
        holder = get_at(source, ".".join(way)) if way else source
        holder.pop(last)
        put_at(target, new, value)
