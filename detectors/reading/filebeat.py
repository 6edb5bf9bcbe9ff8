"""Documents of Filebeat's `osquery` module and of the Elastic integration `osquery`.

Both move osquery's line below `osquery.result` and rename its time and host; the integration also
drops empty columns. As in elastic/beats filebeat/module/osquery/result/ingest/pipeline.json and
elastic/integrations packages/osquery/data_stream/result/elasticsearch/ingest_pipeline/default.yml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import (
    MERGED,
    NO_TIME,
    STORED_TIME,
    Trap,
    Unwrapped,
    branch,
    documents_in,
    first_text,
    has_branch,
    is_merged,
    noticed,
    seconds,
)

KEYS = ("osquery", "osquery.*")
MARKS = (b'"osquery"', b'"osquery.')
_NAMES = {
    "host_identifier": "hostIdentifier",
    "unix_time": "unixTime",
    "calendar_time": "calendarTime",
    "diff_results": "diffResults",
}
_ROWS = ("columns", "snapshot", "diffResults")


def claims(document: Mapping[str, Any]) -> bool:
    """Whether a query's name stands below `osquery.result`."""
    if not has_branch(document, "osquery"):
        return False
    result = branch(branch(document, "osquery"), "result")
    return isinstance(result.get("name"), str)


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The line as osquery wrote it, from `event.original` if that was kept."""
    original = branch(document, "event").get("original")
    if isinstance(original, str):
        whole = documents_in(original)
        if whole:
            return Unwrapped(whole)
    result = branch(branch(document, "osquery"), "result")
    plain = {_NAMES.get(key, key): value for key, value in result.items() if "." not in key}
    decorations = branch(result, "decorations")
    if decorations:
        plain["decorations"] = decorations
    host = branch(document, "host")
    plain["hostIdentifier"] = first_text(
        plain.get("hostIdentifier"), host.get("hostname"), host.get("name")
    )
    traps = [*_time(plain, document), *_rows(plain, result)]
    if not any(isinstance(plain.get(key), (dict, list)) for key in _ROWS):
        return Unwrapped((), traps)
    return Unwrapped((plain,), traps)


def _time(plain: dict[str, Any], document: Mapping[str, Any]) -> list[Trap]:
    stamp = plain.get("unixTime")
    if isinstance(stamp, str):
        # Kibana's CSV writes 1,795,429,320.
        plain["unixTime"] = stamp.replace(",", "")
    if stamp is not None or plain.get("calendarTime") is not None:
        return []
    plain["unixTime"] = seconds(document.get("@timestamp"))
    return [NO_TIME if plain["unixTime"] is None else STORED_TIME]


def _rows(plain: dict[str, Any], result: Mapping[str, Any]) -> list[Trap]:
    """Put the rows of `result` into `plain` as osquery has them; those that cannot be are lost."""
    for key in _ROWS:
        plain.pop(key, None)
    columns, snapshot = branch(result, "columns"), result.get("snapshot")
    if columns:
        return _one(plain, "columns", columns, columns)
    if isinstance(snapshot, list):
        plain["snapshot"] = snapshot
        return _all_noticed(snapshot)
    one = branch(result, "snapshot")
    if one:
        return _one(plain, "snapshot", one, [one])
    sides = branch(result, "diffResults") or branch(result, "diff_results")
    if all(isinstance(side, (list, str)) for side in sides.values()):
        plain["diffResults"] = sides
        return [t for side in sides.values() if isinstance(side, list) for t in _all_noticed(side)]
    return _sides(plain, sides)


def _one(plain: dict[str, Any], key: str, row: Mapping[str, Any], rows: Any) -> list[Trap]:
    if is_merged(row):
        return [MERGED]
    plain[key] = rows
    return noticed(row)


def _sides(plain: dict[str, Any], sides: Mapping[str, Any]) -> list[Trap]:
    """A batch whose rows are single objects or dotted names."""
    traps: list[Trap] = []
    found: dict[str, list[Any]] = {}
    for side in ("removed", "added"):
        if isinstance(sides.get(side), list):
            found[side] = sides[side]
            continue
        row = branch(sides, side)
        if row and is_merged(row):
            traps.append(MERGED)
        elif row:
            found[side] = [row]
            traps += noticed(row)
    plain["diffResults"] = found
    return traps


def _all_noticed(rows: list[Any]) -> list[Trap]:
    found = (trap for row in rows if isinstance(row, dict) for trap in noticed(row))
    return list(dict.fromkeys(found))
