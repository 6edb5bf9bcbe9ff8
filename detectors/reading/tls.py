"""Bodies of the requests that osquery's tls plugins send, one JSON object a request.

Keys as in plugins/logger/tls_logger.cpp and docs/wiki/deployment/remote.md of osquery/osquery,
checked on the wire of 5.23. A capture may put each body below `body`, beside its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import Trap, Unwrapped, stored

KEYS = ("log_type", "body", "node_key", "enroll_secret")
MARKS = (b'"log_type"', b'"node_key"', b'"enroll_secret"', b'"body"')

LIVE = Trap(
    "answers to live queries name neither host nor time: left out",
    "they stand in the server's own export",
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is the body of a request, or a capture of one."""
    if "log_type" in document and isinstance(document.get("data"), (list, str)):
        return True
    if isinstance(document.get("body"), (dict, str)) and "path" in document:
        return True
    return "node_key" in document or "enroll_secret" in document


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The lines in a log request; other requests hold none."""
    data = document.get("body") if "path" in document else document.get("data")
    if isinstance(data, str):
        return Unwrapped((stored(data),))
    if isinstance(data, dict):
        return Unwrapped((data,))
    if isinstance(data, list):
        return Unwrapped([item for item in data if isinstance(item, dict)])
    queries = document.get("queries")
    return Unwrapped((), (LIVE,) if _has_rows(queries) else ())


def _has_rows(queries: Any) -> bool:
    return isinstance(queries, dict) and any(
        isinstance(rows, list) and rows for rows in queries.values()
    )
