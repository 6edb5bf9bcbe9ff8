r"""What rows of `windows_events` and `windows_eventlog` tell: osquery keeps an event's fields as
JSON in the column `data`, where rules for processes, scripts or names looked up do not find them.

Such a row is followed by one of the table that says the same, as `events` of the taxonomy has it:
event 1 of Sysmon by one of `process_etw_events`, whose columns are called as the event's fields.

Seen in results of osqueryd: a line feed behind the JSON, spelled `\x0A`
(https://github.com/osquery/osquery/issues/4164), and the fields of 4688
(https://github.com/osquery/osquery/pull/4321).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from molehunt.eventdata import CONVERSIONS
from molehunt.normalise import control_text
from molehunt.taxonomy import EventMap, taxonomy

from ..records import Row, Value

# The columns of both tables that an event is told by.
COLUMNS = frozenset(("data", "eventid"))
# A field of each event (`mark` in the taxonomy): lines with one are looked into.
MARKS = (
    b"parentprocessguid",
    b"newprocessname",
    b"destinationportname",
    b"queryresults",
    b"creationutctime",
    b"targetobject",
    b"scriptblocktext",
)
_NOTHING = frozenset(("", "-"))


def source_of(event: EventMap) -> str:
    """What `Row.source` is for rows that an event tells."""
    return f"event:{event.name}"


def told(rows: Sequence[Row], last: int) -> Iterator[Row]:
    """What rows of one document tell besides, numbered on behind its last row."""
    number = last
    for row in rows:
        if not row.values.keys() >= COLUMNS:
            continue
        found = _event(row.values)
        if found is not None:
            number += 1
            event, values = found
            locator = row.locator._replace(row=number)
            yield row._replace(source=source_of(event), values=values, locator=locator)


def _event(columns: Mapping[str, Value]) -> tuple[EventMap, dict[str, Value]] | None:
    """The event in a row, if the taxonomy has it, and the columns that it tells."""
    eventid, provider = str(columns["eventid"]), columns.get("provider_name")
    events = [one for one in taxonomy().events if one.eventid == eventid]
    fields = _fields(columns["data"]) if events else {}
    for event in events:
        if event.mark not in fields or (provider and provider != event.provider):
            continue
        if all(fields.get(name) in values for name, values in event.only.items()):
            return event, _columns(event, fields, columns)
    return None


def _columns(
    event: EventMap, fields: Mapping[str, Any], columns: Mapping[str, Value]
) -> dict[str, Value]:
    found: dict[str, Value] = {"time": columns["time"]} if "time" in columns else {}
    for one in event.columns:
        value = fields.get(one.field)
        if isinstance(value, str) and value not in _NOTHING:
            found[one.name] = CONVERSIONS[one.conversion](value) if one.conversion else value
    return found


def _fields(data: Value) -> Mapping[str, Any]:
    """The fields of an event from the column `data`; none if it does not hold them."""
    if not isinstance(data, str):
        return {}
    found = _loaded(data)
    if found is None:
        found = _loaded(control_text(data))
    fields = found.get("EventData") if isinstance(found, dict) else None
    return fields if isinstance(fields, dict) else {}


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        # With control characters as they are, which osquery's own writer leaves.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
