"""What Fleet gives out besides its log destinations: reports, live queries, webhooks.

Shapes as in fleetdm/fleet: docs of the REST API (query reports, `query_id`, `results` with
`host_name`, `last_fetched`, `columns`; live queries with `rows`), cmd/fleetctl/query_output.go,
server/logging/webhook.go, and frontend/utilities/{generate_csv,convert_to_csv} for CSV.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import PurePath
from typing import Any

from ..records import Locator
from .wrapping import NO_NAME, NO_TIME, Trap, Unwrapped, first_text, noticed, seconds

KEYS = (
    "results",
    "rows",
    "live_query_results",
    "details",
    "host_display_name",
    "host_hostname",
)
MARKS = (
    b'"results"',
    b'"live_query_results"',
    b'"rows"',
    b'"host_display_name"',
    b'"host_hostname"',
    b'"details"',
)
_REPORT = ("query_id", "report_id", "report_clipped", "targeted_host_count", "responded_host_count")
# What Fleet puts beside the columns of a row.
_OURS = frozenset(("host_display_name", "host_hostname", "host_id", "last_fetched"))
_GUARDED = re.compile(r'="(0\d+)"\Z')
# "USB devices (11-23-26 10-22-00).csv", made by the browser.
_STAMP = r" \(\d\d-\d\d-\d\d \d\d-\d\d-\d\d\)"
_EXPORTED = re.compile(rf"(.+?)(?:{_STAMP})?\.csv(?:\.gz|\.zst)?\Z", re.IGNORECASE)

CLIPPED = Trap(
    "Fleet clipped this report: it lacks hosts or rows",
    "use Fleet's log destination, which has them all",
)
FETCHED = Trap(
    "times are when Fleet last got the result", "a report shows the last result only, no changes"
)
FAILED = Trap("the query failed on a host", "there are no rows of that host")


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a report, a live query's answer, a CSV record, or an entry of a webhook."""
    if isinstance(document.get("results"), list):
        return any(key in document for key in _REPORT)
    if isinstance(document.get("rows"), list) or ("rows" in document and document["rows"] is None):
        return isinstance(document.get("host"), str) or "host_id" in document
    if isinstance(document.get("live_query_results"), list):
        return True
    if isinstance(document.get("details"), dict):
        return "timestamp" in document
    return any(isinstance(document.get(key), str) for key in ("host_display_name", "host_hostname"))


def unwrap(document: Mapping[str, Any], where: Locator) -> Unwrapped:
    """Snapshot lines with what each host answered."""
    if isinstance(document.get("details"), dict):
        return Unwrapped((document["details"],))
    if isinstance(document.get("live_query_results"), list):
        return Unwrapped(document["live_query_results"])
    name, traps = _name(document, where)
    if document.get("report_clipped") is True:
        traps.append(CLIPPED)
    if isinstance(document.get("results"), list):
        answers = [item | _host(item, document) for item in document["results"] if _is_dict(item)]
    elif "rows" in document:
        answers = [dict(document)]
    else:
        answers = [{**document, "columns": document}]
    if not answers:
        return Unwrapped((), [trap for trap in traps if trap is CLIPPED])
    lines = list(_snapshots(name, answers))
    traps += dict.fromkeys(t for line in lines for row in line["snapshot"] for t in noticed(row))
    traps += [FAILED] if any("rows" in a and a.get("error") for a in answers) else []
    stored = any(line["unixTime"] is not None for line in lines)
    return Unwrapped(lines, [*traps, FETCHED if stored else NO_TIME])


def _is_dict(item: Any) -> bool:
    return isinstance(item, dict)


def _host(answer: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """A report of one host names it, and the time, once for all rows."""
    shared = ("host_name", "host_id", "last_fetched")
    return {key: report[key] for key in shared if key in report and key not in answer}


def _snapshots(name: str, answers: list[Any]) -> Iterator[dict[str, Any]]:
    """One line for each run of rows of one host and time, as osquery would have logged them."""
    for (host, fetched), group in groupby(answers, _told_by):
        yield {
            "name": name,
            "hostIdentifier": host,
            "unixTime": fetched,
            "action": "snapshot",
            "snapshot": [row for answer in group for row in _rows(answer)],
        }


def _told_by(answer: Mapping[str, Any]) -> tuple[str, float | None]:
    keys = ("host_display_name", "host_hostname", "host_name", "host", "host_id")
    rows = answer.get("rows")
    inside = rows[0] if isinstance(rows, list) and rows and _is_dict(rows[0]) else {}
    host = first_text(*(answer.get(key) for key in keys), *(inside.get(key) for key in keys[:2]))
    return host, seconds(answer.get("last_fetched"))


def _rows(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    columns, rows = answer.get("columns"), answer.get("rows")
    for row in rows if isinstance(rows, list) else [columns]:
        if isinstance(row, dict):
            yield {
                key: _unguarded(value)
                for key, value in row.items()
                # The browser writes `undefined` where a host's row lacks a column.
                if key not in _OURS and value != "undefined"
            }


def _unguarded(value: Any) -> Any:
    """Fleet writes 0123 as ="0123" into CSV, so that a spreadsheet keeps the zero."""
    guarded = _GUARDED.match(value) if isinstance(value, str) else None
    return guarded[1] if guarded else value


def _name(document: Mapping[str, Any], where: Locator) -> tuple[str, list[Trap]]:
    """The query's name in Fleet's logs; a CSV file is named after its query."""
    given = first_text(document.get("query_name"), document.get("report_name"))
    exported = _EXPORTED.match(PurePath(where.file).name)
    if given or exported:
        return "pack/Global/" + (given or exported[1]), []  # type: ignore[index]
    number = first_text(document.get("query_id"), document.get("report_id"))
    return f"fleet query {number}" if number else "fleet live query", [NO_NAME]
