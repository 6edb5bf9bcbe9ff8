"""A log line inside a field of what a log shipper made of it.

`message` (Filebeat, Logstash, Vector), `log` (Fluent Bit, Docker), `MESSAGE` (journald),
`event` (Splunk's HTTP Event Collector, Fleet's `fleet:json`), `json` (Filebeat's json option),
`short_message` and `full_message` (GELF, https://go2docs.graylog.org/current/getting_in_log_data/
gelf.html), `Message` (NXLog), `RawData` (Azure Log Analytics), `@rawstring` (Falcon LogScale).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import Unwrapped, branch, stored

_MORE = ("full_message", "short_message", "Message", "RawData", "@rawstring")
KEYS = ("message", "log", "MESSAGE", "event", "json", "event.*", *_MORE)
MARKS = (
    b'"message"',
    b'"log"',
    b'"event"',
    b'"event.original"',
    b'"json"',
    b'"full_message"',
    b'"short_message"',
    b'"rawdata"',
    b'"@rawstring"',
)
_TEXTS = ("message", "log", "MESSAGE", "event", *_MORE)
_OBJECTS = ("json", "event", "message")
_COLLECTED = ("sourcetype", "source", "time")


def claims(document: Mapping[str, Any]) -> bool:
    """Whether a field holds what looks like a JSON object."""
    return _inside(document) is not None


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The line in the first such field."""
    inside = _inside(document)
    return Unwrapped((stored(inside) if isinstance(inside, str) else inside,))


def _inside(document: Mapping[str, Any]) -> Any:
    for key in _TEXTS:
        value = document.get(key)
        if isinstance(value, str) and "{" in value:
            return value
    for key in _OBJECTS:
        value = document.get(key)
        # `event` is also a group of ECS, which is no log line.
        if isinstance(value, dict) and (key != "event" or any(k in document for k in _COLLECTED)):
            return value
    original = branch(document, "event").get("original")
    return original if isinstance(original, str) and "{" in original else None
