"""Findings of rules that an organisation keeps in shadow: counted, not shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .model import Finding
from .organisation import Organisation

Counts = dict[tuple[str, str], int]


def shown(
    findings: Iterable[Finding], organisation: Organisation | None, subjects: Mapping[str, str]
) -> tuple[tuple[Finding, ...], Counts]:
    """The findings without those in shadow, and how many of these there are by subject (or rule id)
    and owner. `subjects` has the subject of each rule and correlation by id."""
    if organisation is None or not organisation.shadows:
        return tuple(findings), {}
    kept: list[Finding] = []
    counts: Counts = {}
    for finding in findings:
        subject = subjects.get(finding.rule, "")
        shadow = organisation.shadow(subject or None, finding.rule, finding.last_seen)
        if shadow is None:
            kept.append(finding)
        else:
            key = (subject or finding.rule, shadow.owner)
            counts[key] = counts.get(key, 0) + 1
    return tuple(kept), counts
