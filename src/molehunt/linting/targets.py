"""Targets that refuse a rule, read from the locked support table: MH702."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .model import Finding
from .summary import Summary


def check(rules: Sequence[Summary]) -> Iterator[Finding]:
    """Rules of the lock that a target refuses, with the reviewed reason."""
    from molehunt.backends.reviewed import load_reviewed
    from molehunt.backends.support import locked

    refused: dict[str, list[tuple[str, str, str]]] = {}
    for one in locked().values():
        if one.evidence is None:
            refused.setdefault(one.rule, []).append((one.target, one.profile, one.engine))
    if not refused:
        return
    reasons = {(one.target, one.code): one.reason for one in load_reviewed()[0]}
    for rule in rules:
        for target, profile, code in sorted(refused.get(rule.id, ())):
            name = target if profile in ("", "-", target) else f"{target}/{profile}"
            message = f"not compiled for {name} ({code})"
            reason = reasons.get((target, code), "")
            yield Finding("MH702", message, rule.path, rule.place, rule.id, reason)
