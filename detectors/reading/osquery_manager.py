"""Documents of the Elastic integration `osquery_manager` (Osquery Manager, Elastic Agent).

One document for each row, the columns below `osquery`. As published by elastic/beats
x-pack/osquerybeat/internal/pub/publisher.go (`hitToEvent`) and typed in elastic/integrations
packages/osquery_manager/data_stream/result/fields; `calendar_type` is spelled so there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import (
    MERGED,
    NO_NAME,
    NO_TIME,
    STORED_TIME,
    Trap,
    Unwrapped,
    branch,
    first_text,
    has_branch,
    is_merged,
    noticed,
    seconds,
)

KEYS = ("osquery", "osquery.*", "action_response", "action_response.*", "osquery_profile")
MARKS = (
    b'"osquery"',
    b'"osquery.',
    b'"action_response"',
    b'"action_response.',
    b'"osquery_profile"',
)
_KEYS = (
    "osquery_meta",
    "action_id",
    "schedule_id",
    "query_name",
    "pack_name",
    "pack_id",
    "response_id",
    "action_data",
)
# The second spelling of a column, made for searching by number or by word.
_SPELLINGS = (".number", ".text")
# Live queries have a UUID for an id; scheduled ones of older agents have their name.
_ID = re.compile(r"[0-9a-fA-F-]{32,}")

REMOVED = Trap(
    "removed rows of osquery_manager, which older agents took from the added ones",
    "do not rely on the end of a state that such a row tells",
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a row, a response or a profile that the agent sent."""
    if has_branch(document, "osquery"):
        return (
            any(key in document for key in _KEYS)
            or has_branch(document, "osquery_meta")
            or first_text(branch(document, "event").get("module")) == "osquery_manager"
        )
    return has_branch(document, "action_response") or isinstance(
        document.get("osquery_profile"), dict
    )


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The row as an osquery event line; a response or a profile holds none."""
    columns = _columns(branch(document, "osquery"))
    if not columns:
        return Unwrapped()
    if is_merged(columns):
        return Unwrapped((), (MERGED,))
    meta = branch(document, "osquery_meta")
    name, traps = _name(document)
    traps += noticed(columns)
    # A live query has no kind: its rows say what was there when it was asked.
    is_diff = meta.get("type") == "diff" or meta.get("action") in ("added", "removed")
    action = (first_text(meta.get("action")) or "added") if is_diff else "snapshot"
    if action == "removed":
        traps.append(REMOVED)
    host, agent = branch(document, "host"), branch(document, "agent")
    plain: dict[str, Any] = {
        "name": name,
        "hostIdentifier": first_text(
            host.get("hostname"), host.get("name"), agent.get("name"), agent.get("id")
        ),
        "action": action,
        "columns": columns,
        "decorations": _decorations(host),
        "calendarTime": meta.get("calendar_type") or meta.get("calendar_time"),
        "unixTime": meta.get("unix_time"),
        "epoch": meta.get("epoch"),
        "counter": meta.get("counter"),
    }
    if plain["unixTime"] is None and plain["calendarTime"] is None:
        stored = plain["unixTime"] = seconds(document.get("@timestamp"))
        traps.append(NO_TIME if stored is None else STORED_TIME)
    return Unwrapped((plain,), traps)


def _columns(found: Mapping[str, Any]) -> dict[str, Any]:
    columns = {key: value for key, value in found.items() if not key.endswith(_SPELLINGS)}
    for key, value in found.items():
        if key.endswith(_SPELLINGS):
            # A value too long for the keyword stands in the other spelling only.
            columns.setdefault(key.rpartition(".")[0], value)
    return columns


def _name(document: Mapping[str, Any]) -> tuple[str, list[Trap]]:
    """The query's name as the agent's osqueryd has it in its schedule."""
    pack, query = first_text(document.get("pack_name")), first_text(document.get("query_name"))
    if query:
        return (f"pack_{pack}_{query}" if pack else query), []
    action, data = first_text(document.get("action_id")), branch(document, "action_data")
    if action and not _ID.fullmatch(action):
        return action, []
    saved = first_text(data.get("saved_query_id"))
    if saved:
        return saved, []
    return first_text(action, document.get("schedule_id")) or "osquery_manager", [NO_NAME]


def _decorations(host: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "hostname": first_text(host.get("hostname"), host.get("name")),
        "host_uuid": first_text(host.get("id")),
    }
    return {key: value for key, value in found.items() if value}
