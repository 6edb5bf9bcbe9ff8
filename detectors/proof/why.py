"""Why a rule does or does not fire on one row, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..matching.base import Bound
from ..matching.evaluate import View, belongs, evaluate
from ..matching.fields import resolve, why_not
from ..matching.system import other_system
from ..records import Row
from ..report.explanation import explanation
from ..report.safe import printable
from ..tying import record_of


def why(rule: Rule, row: Row, bound: Bound, taxonomy: Taxonomy) -> Iterator[str]:
    """The condition tree with the values found, or why the rule does not look at the row."""
    binding = bound.binding
    record = record_of(row, binding, bound.tie)
    fields = resolve(rule, binding, taxonomy)
    if fields is None:
        reason = why_not(rule, [binding], taxonomy) or "the query runs on another system"
        if binding.shape is None:
            reason = f"the query is bound to no table: {binding.note}"
        yield printable(f"{record.locator}  {row.query}  not looked at: {reason}")
        return
    other = other_system(rule, binding)
    if other is not None and other(row):
        reason = "its paths are those of another system"
        yield printable(f"{record.locator}  {row.query}  not looked at: {reason}")
        return
    view = View(record, fields)
    steps = [evaluate(condition, view) for condition in rule.conditions]
    yield from explanation(rule, view, belongs(view), steps)
