"""Findings for machines: JSON and NDJSON, the same bytes for the same input.

The formats are fixed by finding.schema.json and run.schema.json and explained in docs/findings.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any, TextIO

import orjson

from molehunt.problems import Problem

from ..findings.model import Evidence, Finding, Raise, Reason, Technique
from ..records import Locator
from .order import in_order
from .times import iso_time

FINDING_FORMAT = "molehunt.finding/1"
RUN_FORMAT = "molehunt.run/1"


def to_json_dict(finding: Finding) -> dict[str, Any]:
    """A finding as plain JSON values, keys in the order in which they are written.

    Times become ISO 8601 text in UTC, None where unknown. A number that JSON cannot hold becomes
    the text `NaN`, `Infinity` or `-Infinity`, a lone surrogate U+FFFD.
    """
    return {
        "format": FINDING_FORMAT,
        "id": _text(finding.id),
        "level": str(finding.level),
        "title": _text(finding.title),
        "description": _text(finding.description),
        "rule": {
            "id": _text(finding.rule),
            "level": str(finding.rule_level),
            "status": _text(finding.status),
        },
        "host": {"id": _text(finding.host), "name": _text(finding.host_name)},
        "hosts": [{"id": _text(host), "name": _text(name)} for host, name in finding.all_hosts],
        "users": plain(finding.users),
        "identity": {_text(field): plain(value) for field, value in finding.identity},
        "first_seen": iso_time(finding.first_seen),
        "last_seen": iso_time(finding.last_seen),
        "count": finding.count,
        "evidence": [_evidence(item) for item in finding.evidence],
        "raised_by": [_raise(item) for item in finding.raised_by],
        "missing_filters": plain(finding.missing_filters),
        "techniques": [_technique(item) for item in finding.techniques],
        "false_positives": plain(finding.false_positives),
        "next_steps": plain(finding.next_steps),
        "references": plain(finding.references),
    }


def write_ndjson(findings: Iterable[Finding], stream: TextIO) -> None:
    """Write one finding a line, in report order; nothing at all if there are none."""
    stream.writelines(dumped(to_json_dict(finding)) + "\n" for finding in in_order(findings))


def write_json(findings: Iterable[Finding], run: Mapping[str, Any], stream: TextIO) -> None:
    """Write one document: what was run, and the findings in report order.

    `run` follows run.schema.json; its keys are written sorted, a `Problem` in it as its parts. It
    must hold no clock time, so that the same input gives the same bytes.
    """
    document = {
        "format": RUN_FORMAT,
        "run": plain(run),
        "findings": [to_json_dict(finding) for finding in in_order(findings)],
    }
    stream.write(_indented(document) + "\n")


def plain(value: Any) -> Any:
    """`value` as `json` writes it without complaint: mappings sorted by key, sequences as lists."""
    if type(value) is str:  # as nearly all are
        return _text(value)
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not isfinite(value):
            return _NOT_FINITE[str(value)]
        return _Exact(value) if "e" in repr(value) else value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Problem):
        return plain(_problem(value))
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a report")


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class _Exact(float):
    """A number that is written with an exponent, which not everybody spells alike."""


def dumped(value: Any) -> str:
    """Plain values as JSON on one line; ASCII only, so that no control or bidirectional character
    reaches a terminal."""
    return _WRITER.encode(value)


_WRITER = json.JSONEncoder(ensure_ascii=True, allow_nan=False)


def _indented(value: Any) -> str:
    """The same on many lines, as `json` writes it, which takes ten times as long."""
    try:
        text = orjson.dumps(value, _spelled, orjson.OPT_INDENT_2).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=2)
    return _OTHER.sub(_escaped, text)


def _spelled(value: Any) -> orjson.Fragment:
    if isinstance(value, _Exact):
        return orjson.Fragment(float.__repr__(value).encode())
    raise TypeError(type(value).__name__)


_OTHER = re.compile(r"[^\n -~]")


def _escaped(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))


def _text(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced.

    What a reader of JSON makes of a lone surrogate cannot be foretold (RFC 8259, section 8.2).
    """
    if type(text) is str and text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return str(text)


def _evidence(item: Evidence) -> dict[str, Any]:
    return {
        "at": iso_time(item.at),
        "until": iso_time(item.until),
        "basis": _text(item.basis),
        "host": _text(item.host),
        "rule": _text(item.rule),
        "query": _text(item.query),
        "where": _where(item.where),
        "reasons": [_reason(reason) for reason in item.reasons],
        "values": {_text(column): plain(value) for column, value in item.values},
    }


def _where(where: Locator) -> dict[str, Any]:
    return {
        "file": _text(where.file),
        "line": where.line,
        "row": where.row,
        "offset": where.offset,
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "field": _text(reason.field),
        "column": _text(reason.column),
        "value": plain(reason.value),
        "wanted": _text(reason.wanted),
    }


def _raise(item: Raise) -> dict[str, Any]:
    return {
        "rule": _text(item.rule),
        "title": _text(item.title),
        "count": item.count,
        "where": _where(item.where),
    }


def _technique(item: Technique) -> dict[str, Any]:
    return {"id": _text(item.id), "name": _text(item.name), "tactics": plain(item.tactics)}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "severity": problem.severity,
        "what": problem.what,
        "path": problem.path,
        "line": problem.line,
        "rule": problem.rule,
        "hint": problem.hint,
    }
