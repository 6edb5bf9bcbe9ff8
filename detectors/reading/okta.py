"""Okta System Log events, as the /api/v1/logs endpoint and log streaming write them.

Field names as in Okta's LogEvent object (developer.okta.com, System Log API): nested objects become
dotted names, lists of objects become several values under one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..records import Locator, Row, Scalar, Value
from .osquery import scalar

NAME = "okta"
QUERY = "okta.system_log"


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a System Log event."""
    return (
        isinstance(document.get("eventType"), str)
        and isinstance(document.get("actor"), dict)
        and isinstance(document.get("published"), str)
    )


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """The event as one row. Its entity is the account: a sign-in has no host of ours."""
    at = _time(document["published"])
    values = _flatten(document)
    actor = document["actor"]
    account = str(actor.get("alternateId") or actor.get("id") or "")
    yield Row(
        NAME,
        QUERY,
        account,
        "event",
        at,
        {name: _value(found) for name, found in values.items()},
        where,
        user=account,
        event_at=at,
    )


def _flatten(document: Mapping[str, Any]) -> dict[str, list[Scalar]]:
    """Without recursion, since a log line may nest deeper than Python's stack."""
    found: dict[str, list[Scalar]] = {}
    todo: list[tuple[str, Any]] = [("", document)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, dict):
            inner = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
            todo += reversed(inner)
        elif isinstance(value, list):
            todo += ((name, item) for item in reversed(value))
        else:
            found.setdefault(name, []).append(scalar(value))
    return found


def _value(found: list[Scalar]) -> Value:
    return found[0] if len(found) == 1 else tuple(found)


def _time(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
