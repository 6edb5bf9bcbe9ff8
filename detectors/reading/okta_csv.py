"""The CSV that Okta's console downloads from the System Log: records become LogEvents again.

Its columns are the event's names in snake case, with dots; targets are numbered (`target0.id`). The
columns are not documented by Okta. They are those that public programs read: the `SYSLOG` table of
a loader for Snowflake and the importer `oktaevents` for DynamoDB name the same 56.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import Trap, Unwrapped

KEYS = ("event_type",)
# A document in JSON is never such a record, so the raw scan needs no mark for it.
MARKS = (b'"actor.alternate_id"',)
COLUMN = "actor.alternate_id"

LOST = Trap(
    "Okta's CSV lacks the device, the proxy and most of the debug data of an event",
    "rules on them cannot fire; export the events as JSON by the System Log API",
)
_NAMES = {"timestamp": "published"}
_TARGET = re.compile(r"target(\d+)\.(.+)\Z")
_SNAKE = re.compile(r"_([a-z0-9])")
_TRUTH = {"true": True, "false": False}


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a record of that CSV."""
    return "event_type" in document and "timestamp" in document and COLUMN in document


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The LogEvent of the record, as far as the CSV has it."""
    event: dict[str, Any] = {"actor": {}}
    targets: dict[int, dict[str, Any]] = {}
    for column, cell in document.items():
        numbered = _TARGET.match(column)
        if numbered is not None:
            _put(targets.setdefault(int(numbered[1]), {}), numbered[2], cell)
        else:
            _put(event, _NAMES.get(column, column), cell)
    if targets:
        event["target"] = [targets[number] for number in sorted(targets)]
    return Unwrapped((event,), (LOST,))


def _put(event: dict[str, Any], column: str, cell: Any) -> None:
    *path, name = [_SNAKE.sub(lambda found: found[1].upper(), part) for part in column.split(".")]
    for part in path:
        inner = event.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        event = inner
    event[name] = _TRUTH.get(cell.lower(), cell) if isinstance(cell, str) else cell
