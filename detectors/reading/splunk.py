"""Exports of Splunk searches: JSON from Splunk Web and from the REST API, CSV.

Shapes as in Splunk's Search Manual (Export search results) and REST API reference (`output_mode`
`json`: `{"preview": false, "result": {…}}` a line, or `{"results": […]}`; `json_rows`: `fields` and
`rows`). Fields as splunk/TA-osquery makes them from `osquery:results`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator
from .wrapping import (
    MERGED,
    NO_TIME,
    STORED_TIME,
    Trap,
    Unwrapped,
    branch,
    first_text,
    is_merged,
    noticed,
    seconds,
    stored,
)

KEYS = (
    "_raw",
    "preview",
    "result",
    "results",
    "rows",
    "columns.*",
    "snapshot{}*",
    "diffResults.*",
)
MARKS = (
    b'"_raw"',
    b'"result"',
    b'"results"',
    b'"rows"',
    b'"preview"',
    b'"columns.',
    b'"snapshot{}',
    b'"diffresults.',
)
_ENVELOPE = ("name", "calendarTime", "unixTime", "epoch", "counter", "numerics")
_ACTIONS = ("added", "removed", "snapshot")
_ARRAYS = ("snapshot{}", "diffResults.")

PREVIEW = Trap(
    "previews of an unfinished search were passed over",
    "export with preview=false to be rid of them",
)
OVERWRITTEN = Trap(
    "the search's field `action` is the row's own, not osquery's: such rows count as added",
    "export _raw, which has both",
)
FORWARDER = Trap(
    "the export has no hostIdentifier; Splunk's `host` may be the forwarder", "export _raw"
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a line or document of an export, or one result of it."""
    if isinstance(document.get("_raw"), str):
        return True
    if "preview" in document and ("result" in document or len(document) <= 2):
        return True
    if isinstance(document.get("results"), list):
        return "preview" in document or "init_offset" in document or _are_raw(document["results"])
    if isinstance(document.get("rows"), list) and isinstance(document.get("fields"), list):
        return True
    if isinstance(document.get("result"), dict):
        result = document["result"]
        return (
            "offset" in document
            or "lastrow" in document
            or isinstance(result.get("_raw"), str)
            or _is_event(result)
        )
    return _is_event(document)


def _are_raw(results: list[Any]) -> bool:
    return bool(results) and all(isinstance(item, dict) and "_raw" in item for item in results)


def _is_event(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("name"), str) and any(
        key.startswith(("columns.", *_ARRAYS)) for key in document
    )


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The results, or the event that a result holds, from `_raw` if it was exported."""
    if document.get("preview") is True:
        return Unwrapped((), (PREVIEW,))
    if isinstance(document.get("_raw"), str):
        return Unwrapped((stored(document["_raw"]),))
    if isinstance(document.get("results"), list):
        return Unwrapped(document["results"])
    if isinstance(document.get("rows"), list):
        return Unwrapped(list(_records(document)))
    if "result" in document or "preview" in document:
        result = document.get("result")
        return Unwrapped((result,) if isinstance(result, dict) else ())
    return _event(document)


def _records(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    fields = document.get("fields")
    names = [
        first_text(field.get("name")) if isinstance(field, dict) else str(field)
        for field in (fields if isinstance(fields, list) else [])
    ]
    for row in document["rows"]:
        if isinstance(row, list):
            yield {
                name: value for name, value in zip(names, row, strict=False) if value is not None
            }


def _event(document: Mapping[str, Any]) -> Unwrapped:
    """An event line from the fields of a table; a row that lacks a column has an empty one."""
    columns = {key: value for key, value in branch(document, "columns").items() if value != ""}
    if not columns or is_merged(columns) or any(k.startswith(_ARRAYS) for k in document):
        return Unwrapped((), (MERGED,))
    plain = {key: document[key] for key in _ENVELOPE if document.get(key) not in (None, "")}
    host = first_text(document.get("hostIdentifier"))
    traps: list[Trap] = [] if host else [FORWARDER]
    plain["hostIdentifier"] = host or first_text(document.get("host"))
    plain["decorations"] = branch(document, "decorations")
    plain["columns"] = columns
    action = document.get("action")
    if "action" in columns or action not in _ACTIONS:
        traps.append(OVERWRITTEN)
        action = "added"
    plain["action"] = action
    if "unixTime" not in plain and "calendarTime" not in plain:
        plain["unixTime"] = seconds(document.get("_time"))
        traps.append(NO_TIME if plain["unixTime"] is None else STORED_TIME)
    return Unwrapped((plain,), [*traps, *noticed(columns)])
