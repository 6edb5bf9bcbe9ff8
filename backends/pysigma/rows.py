"""A recorded row as the table of the profile holds it: texts only."""

from __future__ import annotations

from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text

from ..model import Profile


def row(record: Record, profile: Profile) -> dict[str, str]:
    """The columns of the line in the table, by name; what it lacks is not in them."""
    found = {
        profile.query: record.query,
        profile.action: record.action,
        profile.host: record.host,
        profile.counter: "" if record.counter is None else str(record.counter),
    }
    for name, value in record.values.items():
        found[profile.column.format(name)] = _text(value)
    for name, text in record.decorations.items():
        found[profile.decoration.format(name)] = text
    return found


def _text(value: Any) -> str:
    return as_text(value[0] if isinstance(value, tuple) and value else value)
