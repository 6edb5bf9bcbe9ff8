"""The one order in which findings are shown and written."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from ..findings.model import Finding


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Highest level first; then by first seen (unknown last), host, rule and id."""
    return sorted(findings, key=_key)


def _key(finding: Finding) -> tuple[int, float, str, str, str]:
    at = finding.first_seen
    first = at if at is not None and isfinite(at) else inf
    return (-finding.level, first, finding.host, finding.rule, finding.id)
