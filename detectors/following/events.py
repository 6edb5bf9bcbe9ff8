"""What is told of a finding while following: that it is new, changed, or no longer holds."""

from __future__ import annotations

from typing import Any

from ..findings.model import Finding
from ..report.machine import dumped, to_json_dict
from ..report.safe import printable
from ..report.words import value_words
from .source import digest

NEW, UPDATE, WITHDRAWN = "new", "update", "withdrawn"


def digest_of(finding: Finding) -> str:
    """Differs if anything that is told of the finding does."""
    return digest(dumped(to_json_dict(finding)).encode())


def record(kind: str, sequence: int, finding: Finding) -> str:
    """One line of NDJSON, as event.schema.json has it."""
    told: dict[str, Any] = {"event": kind, "sequence": sequence} | to_json_dict(finding)
    return dumped(told) + "\n"


def withdrawal(sequence: int, key: str) -> str:
    """One line for a finding that later lines have refuted."""
    return dumped({"event": WITHDRAWN, "sequence": sequence, "id": key}) + "\n"


def words(kind: str, finding: Finding) -> str:
    """One line for people: more for what is new than for what changed."""
    found = to_json_dict(finding)
    host = finding.host_name or finding.host
    head = f"{found['last_seen'] or 'time unknown'}  {found['level']:<8}  {host}"
    if kind == UPDATE:
        return _line(f"{head}  again: {finding.title} ×{finding.count}  {finding.id}")
    values = [value_words(value) for _, value in finding.identity]
    shown = " | ".join([finding.title, *filter(None, values), *finding.users])
    return _line(f"{head}  {shown}  {finding.rule[:8]}  {finding.id}")


def withdrawn_words(key: str) -> str:
    """The same for what no longer holds."""
    return _line(f"no longer holds: {key}")


def _line(text: str) -> str:
    return printable(text, 1000) + "\n"
