"""What Okta delivers elsewhere, around events of its System Log: Amazon EventBridge's `detail`
(https://help.okta.com/en-us/content/topics/reports/log-streaming/add-aws-eb-log-stream.htm), and
the `data.events` of an event hook (https://developer.okta.com/docs/concepts/event-hooks/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import Unwrapped

KEYS = ("detail-type", "eventType")
MARKS = (b'"detail-type"', b'"com.okta.event_hook"')
_HOOK = "com.okta.event_hook"


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is one of the two, whoever's events are in it."""
    return _events(document) is not None


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The events inside."""
    return Unwrapped(_events(document) or ())


def _events(document: Mapping[str, Any]) -> list[Any] | None:
    if "detail-type" in document:
        detail = document.get("detail")
        return [detail] if isinstance(detail, dict) else None
    if document.get("eventType") == _HOOK:
        data = document.get("data")
        events = data.get("events") if isinstance(data, dict) else None
        return events if isinstance(events, list) else None
    return None
