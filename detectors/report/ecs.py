"""Findings as alerts in the Elastic Common Schema (ECS) 8.17, one JSON document a line.

Fields and allowed values are those of https://www.elastic.co/docs/reference/ecs; what ECS has no
field for stands below `molehunt`, in a shape that keeps an index's mapping small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from molehunt.levels import Level

from ..findings.model import Evidence, Finding, Reason, Technique
from ..records import Value
from . import attack
from .hosts import hosts_of, is_hostname
from .machine import dumped, plain, to_json_dict
from .order import in_order
from .times import iso_time
from .words import reason_words, reasons_of, value_words

ECS_VERSION = "8.17.0"

_SEVERITY = {
    Level.INFORMATIONAL: 1,
    Level.LOW: 2,
    Level.MEDIUM: 3,
    Level.HIGH: 4,
    Level.CRITICAL: 5,
}


def write_ecs(findings: Iterable[Finding], stream: TextIO) -> None:
    """Write one document a line, in report order; nothing at all if there are none."""
    stream.writelines(dumped(to_ecs(finding)) + "\n" for finding in in_order(findings))


def to_ecs(finding: Finding) -> dict[str, Any]:
    """A finding as one document of plain JSON values.

    `@timestamp` is the time last seen, in ISO 8601 UTC; it is left out if no record has a time.
    Whatever is unknown or empty is left out too.
    """
    known = to_json_dict(finding)
    first, last = iso_time(finding.first_seen), iso_time(finding.last_seen)
    hosts = hosts_of(finding)
    name = hosts[0].name
    document = {
        "@timestamp": last or first,
        "ecs": {"version": ECS_VERSION},
        "message": f"{finding.title} on {', '.join(host.name for host in hosts)}",
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "id": finding.id,
            "provider": "molehunt",
            "module": "molehunt",
            "dataset": "molehunt.finding",
            "severity": _SEVERITY[finding.level],
            "start": first,
            "end": last,
            "reason": "; ".join(map(reason_words, reasons_of(finding))),
        },
        "rule": {
            "id": finding.rule,
            "name": finding.title,
            "description": finding.description,
            "reference": next(iter(finding.references), ""),
        },
        "threat": _threat(finding.techniques),
        "host": {
            "id": hosts[0].id,
            "name": name,
            "hostname": name if is_hostname(name) else "",
        },
        "user": {"name": finding.users[0]} if len(finding.users) == 1 else {},
        "related": {
            "hosts": list(dict.fromkeys(part for host in hosts for part in host)),
            "user": finding.users,
        },
        "molehunt": {
            "format": known["format"],
            "level": str(finding.level),
            "count": finding.count,
            "rule": {"level": str(finding.rule_level), "status": finding.status},
            "identity": _pairs(finding.identity),
            "evidence": [_evidence(item) for item in finding.evidence],
            "raised_by": [
                {
                    "rule": {"id": item.rule, "name": item.title},
                    "count": item.count,
                    "where": str(item.where),
                }
                for item in finding.raised_by
            ],
            "missing_filters": finding.missing_filters,
            "false_positives": finding.false_positives,
            "next_steps": finding.next_steps,
            "references": finding.references,
        },
    }
    filled: dict[str, Any] = _filled(_plain(document))
    return filled


def _threat(techniques: Sequence[Technique]) -> dict[str, Any]:
    """Techniques with their sub-techniques, and tactics, each in lists of the same order."""
    if not techniques:
        return {}
    slugs = dict.fromkeys(slug for item in techniques for slug in item.tactics)
    below = [attack.technique(item) for item in techniques if attack.parent(item)]
    above = [attack.parent(item) or attack.technique(item) for item in techniques]
    return {
        "framework": attack.FRAMEWORK,
        "tactic": _lists(map(attack.tactic, slugs)),
        "technique": {**_lists(above), "subtechnique": _lists(below)},
    }


def _lists(named: Iterable[attack.Named]) -> dict[str, list[str]]:
    once = list(dict.fromkeys(named))
    return {
        "id": [item.id for item in once if item.id],
        "name": [item.name for item in once if item.name],
        "reference": [item.url for item in once if item.url],
    }


def _evidence(item: Evidence) -> dict[str, Any]:
    return {
        "at": iso_time(item.at),
        "until": iso_time(item.until),
        "basis": item.basis,
        "query": item.query,
        "file": item.where.file,
        "line": item.where.line,
        "row": item.where.row,
        "offset": item.where.offset,
        "reasons": [_reason(reason) for reason in item.reasons],
        "values": _pairs(item.values),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "field": reason.field,
        "column": reason.column,
        "value": value_words(reason.value),
        "wanted": reason.wanted,
    }


def _pairs(values: Iterable[tuple[str, Value]]) -> list[dict[str, str]]:
    """Field names as values: a key for each would swell the mapping, and one column's values may be
    numbers in one log and texts in the next."""
    return [{"field": field, "value": value_words(value)} for field, value in values]


def _plain(value: Any) -> Any:
    """As `plain`, but keys keep their order."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return plain(value)


def _filled(value: Any) -> Any:
    """Without what is null or empty, at every depth."""
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in _EMPTY}
    if isinstance(value, list):
        return [item for item in map(_filled, value) if item not in _EMPTY]
    return value


_EMPTY: tuple[Any, ...] = (None, "", [], {})
