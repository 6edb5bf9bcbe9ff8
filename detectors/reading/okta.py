"""Okta System Log events, as the /api/v1/logs endpoint and log streaming write them.

Field names as in Okta's LogEvent object (developer.okta.com, System Log API): nested objects become
dotted names, lists of objects become several values under one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator, Row
from .flat import flatten, moment

NAME = "okta"
QUERY = "okta.system_log"
KEYS = ("eventType",)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a System Log event."""
    return (
        isinstance(document.get("eventType"), str)
        and isinstance(document.get("actor"), dict)
        and isinstance(document.get("published"), str)
    )


def rows(document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
    """The event as one row. Its entity is the account: a sign-in has no host of ours."""
    at = moment(document["published"])
    actor = document["actor"]
    account = str(actor.get("alternateId") or actor.get("id") or "")
    yield Row(
        NAME,
        QUERY,
        account,
        "event",
        at,
        flatten(document),
        where,
        user=account,
        event_at=at,
    )
