"""A sign-in as its row in a table of Sentinel (`signins.py` says which).

The records have Entra's sign-ins under the names of `SigninLogs` already, and the events of Okta
and Google with dotted names, of which the transformation of the connector makes columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_number, as_text

from .signins import (
    BOOLEANS,
    GOOGLE,
    LISTS,
    MFA_DEVICE,
    OBJECTS,
    OKTA,
    OKTA_OBJECTS,
    SESSION,
    TEXT,
)

_NOT_INTERACTIVE = "NonInteractiveUserSignInLogs"


def rows_of(record: Record) -> tuple[str, dict[str, Any]]:
    """The table of a sign-in and its columns: texts, truth values, numbers, JSON as text, and
    times without a zone (UTC)."""
    if record.source == "okta":
        return "OktaV2_CL", _okta(record)
    if record.source == "google_workspace":
        return "GoogleWorkspaceReports", _google(record)
    interactive = _first(record.values.get("Category")) != _NOT_INTERACTIVE
    table = "SigninLogs" if interactive else "AADNonInteractiveUserSignInLogs"
    return table, _entra(record)


def _entra(record: Record) -> dict[str, Any]:
    objects: dict[str, dict[str, Any]] = {}
    row: dict[str, Any] = {"CreatedDateTime": _time(record.event_at)}
    row["TimeGenerated"] = _time(record.observed_at)
    for name, value in record.values.items():
        head, _, rest = name.partition(".")
        if rest and (head in OBJECTS or head == MFA_DEVICE):
            _put(objects.setdefault(head, {}), rest.split("."), value)
        elif head in LISTS and value is not None:
            row[head] = json.dumps(value if isinstance(value, tuple) else (value,))
        elif head in BOOLEANS:
            row[head] = _truth(_first(value))
        elif (head in TEXT or head == SESSION) and value is not None:
            row[head] = as_text(_first(value))
    if "source.as.number" in record.values:
        # Looked up by Microsoft there, in a database of the user's own here.
        number = _first(record.values["source.as.number"])
        row["AutonomousSystemNumber"] = None if number is None else as_text(number)
    return row | {name: json.dumps(one) for name, one in objects.items()}


def _okta(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {"TimeGenerated": _time(record.event_at)}
    debug: dict[str, Any] = {}
    for name, value in record.values.items():
        if name in OKTA:
            column, kind = OKTA[name]
            row[column] = _typed(_first(value), kind)
        elif name.startswith("debugContext.debugData."):
            _put(debug, name.split(".")[2:], value)
    if "source.as.number" in record.values:
        row["SecurityContextAsNumber"] = _typed(_first(record.values["source.as.number"]), "int")
    for head, (column, path, _) in OKTA_OBJECTS.items():
        objects = _objects(record, f"{head}.")
        if objects:
            row[column] = json.dumps({path: objects} if path else objects)
    return row | {"DebugData": json.dumps(debug)}


def _google(record: Record) -> dict[str, Any]:
    at = _time(record.event_at)
    row: dict[str, Any] = {"TimeGenerated": _time(record.observed_at)}
    row["IdTime"] = None if at is None else f"{at.isoformat(timespec='milliseconds')}Z"
    return row | {
        column: _typed(_first(record.values[name]), kind)
        for name, (column, kind) in GOOGLE.items()
        if name in record.values
    }


def _objects(record: Record, head: str) -> list[dict[str, Any]]:
    """The objects of a list behind the dotted names of what is in them."""
    found: list[dict[str, Any]] = []
    for name, value in record.values.items():
        if name.startswith(head):
            each = value if isinstance(value, tuple) else (value,)
            found += [{} for _ in range(len(each) - len(found))]
            for one, inside in zip(each, found, strict=False):
                _put(inside, name.removeprefix(head).split("."), one)
    return found


def _typed(value: Any, kind: str) -> Any:
    """What `tostring`, `toint` and `tobool` of the transformation make of a value."""
    if kind == "bool":
        return _truth(value)
    if kind == "int":
        number = as_number(value)
        return None if number is None else int(number)
    return None if value is None else as_text(value)


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, tuple) else value


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _put(inside: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        step: Mapping[str, Any] | Any = inside.get(part)
        if not isinstance(step, dict):
            # A name that is a value and an object too: the object is kept.
            step = inside[part] = {}
        inside = step
    inside[path[-1]] = list(value) if isinstance(value, tuple) else value
