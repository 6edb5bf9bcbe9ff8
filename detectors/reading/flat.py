"""Nested JSON as a row: dotted names for objects, several values for lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..records import Scalar, Value
from .osquery import scalar


def flatten(document: Mapping[str, Any]) -> dict[str, Value]:
    """Dotted name to value; a name that stands in several objects of a list has several values.

    Without recursion, since a log line may nest deeper than Python's stack.
    """
    found: dict[str, list[Scalar]] = {}
    for name, value in _leaves(document):
        found.setdefault(name, []).append(value)
    return {name: _value(values) for name, values in found.items()}


def _leaves(document: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    todo: list[tuple[str, Any]] = [("", document)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, dict):
            inner = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
            todo += reversed(inner)
        elif isinstance(value, list):
            todo += ((name, item) for item in reversed(value))
        else:
            yield name, scalar(value)


def _value(found: list[Scalar]) -> Value:
    return found[0] if len(found) == 1 else tuple(found)


def moment(text: Any) -> float | None:
    """ISO 8601 text as seconds since 1970 UTC; None if it is no time. Microsoft writes seven digits
    of fractions, of which six are kept."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
