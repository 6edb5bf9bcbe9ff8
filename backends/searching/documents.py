"""A record as the stores keep it, and mappings as their templates have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text


def strings_as_keyword(limit: int) -> dict[str, Any]:
    """What the templates of Filebeat and of integrations do to strings that no field names."""
    mapping = {"type": "keyword", "ignore_above": limit}
    return {"strings_as_keyword": {"match_mapping_type": "string", "mapping": mapping}}


def as_texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as osquery logs them without `--logger_numerics`: all of them texts."""
    return {name: _texts(value) for name, value in values.items()}


def _texts(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_texts(one) for one in value]
    return None if value is None else as_text(value)


def iso(record: Record) -> str:
    """The time of the log line in ISO 8601, or the beginning of 1970."""
    return datetime.fromtimestamp(record.observed_at or 0, UTC).isoformat()


def result_document(record: Record) -> dict[str, Any]:
    """A row as Filebeat's osquery module keeps it (docs/inputs.md)."""
    return {
        "@timestamp": iso(record),
        "host": {"hostname": record.host},
        "osquery": {
            "result": {
                "name": record.query,
                "action": record.action,
                "host_identifier": record.host,
                "unix_time": None if record.observed_at is None else int(record.observed_at),
                "counter": record.counter,
                "columns": as_texts(record.values),
                "decorations": dict(record.decorations),
            }
        },
    }
