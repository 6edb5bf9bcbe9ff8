"""Why a rule holds, found by the functions of `predicates`: what `Match.evidence` finds by the slow
evaluator, which the tests compare it with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from molehunt.conditions import And, Condition, FieldIs, Keyword, Not, Or
from molehunt.rule import Rule

from ..records import Reason, Record
from .describe import wanted
from .fields import FieldMap
from .predicates import Predicate, compile_condition

Reasons = Callable[[Record], "tuple[Reason, ...]"]
# What counts towards a part of a condition; None if it does not hold.
_Part = Callable[[Record], "Sequence[Reason] | None"]
# Alternatives from which on it is asked first whether any of them holds.
MANY = 4


def compile_reasons(rule: Rule, fields: FieldMap) -> Reasons:
    """A function that gives the comparisons that held and count towards a match, in the rule's
    order, of a record of the query behind `fields`."""
    parts = [_part(condition, fields) for condition in rule.conditions]

    def reasons(record: Record) -> tuple[Reason, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(part(record) or () for part in parts)))

    return reasons


def _part(condition: Condition, fields: FieldMap) -> _Part:
    match condition:
        case And(args=args):
            return _every([_part(child, fields) for child in args])
        case Or(args=args):
            some = _some([_part(child, fields) for child in args])
            return _if(compile_condition(condition, fields), some) if len(args) > MANY else some
        case Not():
            return _if(compile_condition(condition, fields), lambda _: ())
        case FieldIs(field=name, value=value):
            column = fields.places[name].name
            return _if(
                compile_condition(condition, fields),
                lambda record: (Reason(name, column, record.values.get(column), wanted(value)),),
            )
        case Keyword(value=value):
            told = Reason("", "", None, wanted(value))
            return _if(compile_condition(condition, fields), lambda _: (told,))


def _if(holds: Predicate, part: _Part) -> _Part:
    return lambda record: part(record) if holds(record) else None


def _every(parts: Sequence[_Part]) -> _Part:
    def found(record: Record) -> Sequence[Reason] | None:
        reasons: list[Reason] = []
        for part in parts:
            one = part(record)
            if one is None:
                return None
            reasons += one
        return reasons

    return found


def _some(parts: Sequence[_Part]) -> _Part:
    def found(record: Record) -> Sequence[Reason] | None:
        there = [one for part in parts if (one := part(record)) is not None]
        return list(chain.from_iterable(there)) if there else None

    return found
