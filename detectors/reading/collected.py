"""Log lines as collectors give them back: entries of theirs around what a host wrote.

Amazon CloudWatch Logs: `logEvents` of a subscription, `events` of `filter-log-events`
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html).
Google Cloud Logging: `jsonPayload`, `textPayload`
(https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry).
Datadog: `attributes` of its search and its archives, `content` of the older API
(https://docs.datadoghq.com/api/latest/logs/).
Grafana Loki: `streams` and the answers to queries (https://grafana.com/docs/loki/latest/reference/
loki-http-api/), and what `logcli -o jsonl` prints.
Apache Kafka: `value` beside a topic, `payload` of kcat (https://github.com/edenhill/kcat).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..records import Locator
from .wrapping import Unwrapped, stored

KEYS = (
    *("logEvents", "events", "jsonPayload", "textPayload", "attributes", "content"),
    *("streams", "data", "labels", "topic"),
)
# An entry of CloudWatch or Datadog has a message, or an id of its own.
MARKS = (
    *(b'"message"', b'"_id"', b'"jsonpayload"', b'"textpayload"'),
    *(b'"streams"', b'"resulttype"', b'"labels"', b'"topic"'),
)


_MARKED = frozenset(("message", "_id"))


def claims(document: Mapping[str, Any]) -> bool:
    """Whether an entry of one of them is there, with what looks like a log line in it."""
    return next(_held(document), None) is not None


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """What the entries hold, in order."""
    return Unwrapped(tuple(stored(one) if isinstance(one, str) else one for one in _held(document)))


def _held(document: Mapping[str, Any]) -> Iterator[Any]:
    for key in ("logEvents", "events"):
        yield from _lines(_list(document, key), "message")
    payload = document.get("jsonPayload")
    if isinstance(payload, dict):
        yield payload
    yield from _lines([document], "textPayload")
    yield from _datadog(document)
    streams = _list(document, "streams")
    if document.get("status") == "success":
        streams += _list(_object(document, "data"), "result")
    for stream in streams:
        for value in _list(stream, "values") if isinstance(stream, dict) else ():
            if isinstance(value, list) and len(value) > 1:
                yield from _lines([{"line": value[1]}], "line")
    if "labels" in document:
        yield from _lines([document], "line")
    if "topic" in document:
        for key in ("value", "payload"):
            inside = document.get(key)
            if isinstance(inside, dict):
                yield inside
            yield from _lines([document], key)


def _datadog(document: Mapping[str, Any]) -> Iterator[Any]:
    """An entry has the line as `message`, or its parts as attributes where it was taken apart."""
    for one in _list(document, "data"):
        if isinstance(one, dict) and one.get("type") == "log":
            yield one
    if document.get("type") == "log" or "_id" in document:
        entry = _object(document, "attributes")
    else:
        entry = _object(document, "content")
    line = list(_lines([entry], "message"))
    parts = entry.get("attributes", entry)
    if line:
        yield from line
    elif isinstance(parts, dict) and "hostIdentifier" in parts and _MARKED & {*entry, *document}:
        yield parts


def _lines(entries: list[Any], key: str) -> Iterator[str]:
    for entry in entries:
        line = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(line, str) and "{" in line:
            yield line


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    found = document.get(key)
    return list(found) if isinstance(found, list) else []


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}
