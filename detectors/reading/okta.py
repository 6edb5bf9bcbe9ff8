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
    values: dict[str, list[Scalar]] = {}
    _flatten("", document, values)
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


def _flatten(prefix: str, value: Any, into: dict[str, list[Scalar]]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), item, into)
    elif isinstance(value, list):
        for item in value:
            _flatten(prefix, item, into)
    else:
        into.setdefault(prefix, []).append(scalar(value))


def _value(found: list[Scalar]) -> Value:
    return found[0] if len(found) == 1 else tuple(found)


def _time(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
