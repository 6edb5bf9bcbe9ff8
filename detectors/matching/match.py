"""A match, and why it is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from molehunt.rule import Rule

from ..records import Reason, Record, Value
from .evaluate import Step, View, evaluate
from .fields import FieldMap


class Match(NamedTuple):
    """A rule holds for a record.

    `closes` is set for the row that tells of a matched state's end (`removed`): no finding of its
    own, unless the rule asks for removed rows. `why` finds its evidence sooner than the slow
    evaluator.
    """

    rule: Rule
    record: Record
    fields: FieldMap
    closes: bool = False
    why: Callable[[Match], tuple[Reason, ...]] | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The evaluated condition trees of the rule; any one of them holding is enough."""
        view = View(self.record, self.fields)
        return tuple(evaluate(condition, view) for condition in self.rule.conditions)

    @property
    def evidence(self) -> tuple[Reason, ...]:
        """The field comparisons that held and count towards the match, in the rule's order."""
        if self.why is not None:
            return self.why(self)
        found = [
            reason for step in self.steps if step.holds for reason in _reasons(step, self.record)
        ]
        return tuple(dict.fromkeys(found))

    @property
    def identity(self) -> tuple[tuple[str, Value], ...]:
        """The rule's identity fields with their values here."""
        view = View(self.record, self.fields)
        return tuple((name, _one(view.values(name))) for name in self.rule.meta.identity)


def _one(values: tuple[Value, ...]) -> Value:
    if not values:
        return None
    first = values[0]
    return first if len(values) == 1 else values  # type: ignore[return-value]


def _reasons(step: Step, record: Record) -> Iterator[Reason]:
    """What held, leaving out everything below a `not`: a filter that did not match is no reason."""
    if step.kind == "field" and step.holds:
        yield Reason(step.field, step.column, record.values.get(step.column), step.wanted)
    elif step.kind == "keyword" and step.holds:
        yield Reason("", "", None, step.wanted)
    elif step.kind in ("and", "or"):
        for child in step.children:
            if child.holds:
                yield from _reasons(child, record)
