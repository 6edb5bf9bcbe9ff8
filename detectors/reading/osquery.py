"""osquery result logs: event, batch, snapshot array, and snapshot as events.

Envelope as in osquery/core/query.cpp and docs/wiki/deployment/logging.md of osquery/osquery,
checked on logs of 5.23; string times as in 2.x and 3.x.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from time import strptime
from typing import Any

from ..records import EMPTY, Locator, Row, Scalar, Value
from ..values import as_text

NAME = "osquery"
_ENVELOPE = frozenset(
    "name hostIdentifier calendarTime unixTime epoch counter numerics logNumericsAsNumbers columns "
    "snapshot diffResults action decorations log_type".split()
)
# The wiki shows `hostname` where osquery writes `hostIdentifier`, and some tools followed it.
KEYS = ("hostIdentifier", "hostname")


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is an osquery result (a query name, a host, and rows) or a status line."""
    if not any(host in document for host in KEYS):
        return False
    if isinstance(document.get("name"), str):
        return any(isinstance(document.get(key), (dict, list)) for key in _ROWS)
    return "severity" in document and "message" in document


_ROWS = ("columns", "snapshot", "diffResults")


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """The rows of one line, numbered from `where.row` in the order in which they stand."""
    query = document.get("name")
    if query is None:  # a status line in the same stream: nothing to hunt in it
        return
    host = str(document["hostIdentifier" if "hostIdentifier" in document else "hostname"])
    observed_at, counter = _time(document), _integer(document.get("counter"))
    decorations = _decorations(document)
    for number, (action, values) in enumerate(_changes(document), where.row):
        yield Row(
            NAME,
            query,
            host,
            action,
            observed_at,
            _values(values),
            Locator(where.file, where.offset, where.line, number),
            decorations,
            counter,
        )


def _changes(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    columns, snapshot = document.get("columns"), document.get("snapshot")
    if isinstance(columns, dict):
        yield str(document.get("action") or "added"), columns
    elif isinstance(snapshot, list):
        yield from (("snapshot", row) for row in snapshot if isinstance(row, dict))
    else:
        results = document.get("diffResults")
        # In the order in which they stand; osquery 2.x wrote an empty side as "".
        for side, changed in results.items() if isinstance(results, dict) else ():
            if side in ("removed", "added") and isinstance(changed, list):
                yield from ((side, row) for row in changed if isinstance(row, dict))


def _decorations(document: Mapping[str, Any]) -> Mapping[str, str]:
    found = document.get("decorations")
    found = dict(found) if isinstance(found, dict) else {}
    if not document.keys() <= _ENVELOPE:
        own = {key: value for key, value in document.items() if key not in _ENVELOPE}
        found = own | found
    texts = {key: as_text(value) for key, value in found.items() if isinstance(value, (str, int))}
    return texts or EMPTY


def _time(document: Mapping[str, Any]) -> float | None:
    """When the query ran. `unixTime` was a string in 2.x logs; `calendarTime` is UTC text."""
    try:
        stamp = float(document["unixTime"])
        return stamp if isfinite(stamp) else None
    except (KeyError, TypeError, ValueError):
        pass
    try:
        from calendar import timegm

        return float(timegm(strptime(document["calendarTime"], "%a %b %d %H:%M:%S %Y UTC")))
    except (KeyError, TypeError, ValueError):
        return None


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _values(row: Mapping[str, Any]) -> Mapping[str, Value]:
    if _TEXT.issuperset(map(type, row.values())):
        return row
    return {name: _value(value) for name, value in row.items()}


_TEXT = frozenset((str, int, bool, type(None)))


def _value(value: Any) -> Value:
    """osquery writes scalars only; a list counts as several values, an object as nothing."""
    if isinstance(value, list):
        return tuple(scalar(item) for item in value if not isinstance(item, (dict, list)))
    return None if isinstance(value, dict) else scalar(value)


def scalar(value: Any) -> Scalar:
    """A JSON scalar as logged; a number that JSON cannot hold counts as nothing."""
    if isinstance(value, float) and not isfinite(value):
        return None
    result: Scalar = value
    return result
