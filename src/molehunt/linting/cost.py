"""What a rule costs to run: MH701."""

from __future__ import annotations

from collections.abc import Iterator

from ..taxonomy import taxonomy
from .model import Finding
from .subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    """A rule without a literal that a line must hold looks at every row of its log source."""
    rule = subject.rule
    if rule is None or not taxonomy().maps(rule.category, rule.product, rule.service):
        return
    from molehunt.detectors.matching.necessary import rule_clauses

    clauses = rule_clauses(rule, taxonomy(), {})
    if clauses is not None and not any(not clause.key for clause in clauses):
        message = "no literal that a line must hold: every row of the log source is looked at"
        hint = "add a value of two or more letters that every match has"
        yield subject.finding("MH701", subject.key(subject.section), message, hint)
