"""From pySigma's parsed condition to plain values (`conditions`).

`treechecks.check_tree` must have found nothing wrong with the tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from .conditions import (
    And,
    AnyOf,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Keyword,
    Not,
    Nothing,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    TimePart,
    Wanted,
    Wild,
)

_WILD: dict[Any, Wild] = {
    SpecialChars.WILDCARD_MULTI: Wild.ANY,
    SpecialChars.WILDCARD_SINGLE: Wild.ONE,
}
_OPERATORS = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
    CompareOperators.NEQ: "!=",
}


def condition_of(node: Any) -> Condition:
    """The plain form of a pySigma condition tree."""
    if isinstance(node, ConditionAND):
        return And(tuple(condition_of(child) for child in node.args))
    if isinstance(node, ConditionOR):
        return Or(tuple(condition_of(child) for child in node.args))
    if isinstance(node, ConditionNOT):
        return Not(condition_of(node.args[0]))
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return FieldIs(node.field, wanted_of(node.value))
    if isinstance(node, ConditionValueExpression):
        return Keyword(wanted_of(node.value))
    raise TypeError(f"not a Sigma condition: {node!r}")


def wanted_of(value: Any) -> Wanted:
    """The plain form of a pySigma value."""
    if isinstance(value, SigmaString):
        parts = tuple(part if isinstance(part, str) else _WILD[part] for part in value.s)
        return Text(parts, isinstance(value, SigmaCasedString))
    if isinstance(value, SigmaExpansion):
        return AnyOf(tuple(wanted_of(item) for item in value.values))
    # A time part is a number to pySigma, so it is asked first.
    if isinstance(value, SigmaTimestampPart):
        return TimePart(value.timestamp_part.name.lower(), value.number)
    simple = _SIMPLE.get(type(value))
    if simple is None:
        raise TypeError(f"no meaning for {type(value).__name__}")
    return simple(value)


def _regex(value: SigmaRegularExpression) -> Regex:
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return Regex(str(value.regexp), flags)


_SIMPLE: dict[type, Callable[[Any], Wanted]] = {
    SigmaNumber: lambda value: Number(value.number),
    SigmaBool: lambda value: Flag(bool(value.boolean)),
    SigmaNull: lambda _value: Nothing(),
    SigmaExists: lambda value: Exists(bool(value.exists)),
    SigmaRegularExpression: _regex,
    SigmaCIDRExpression: lambda value: Cidr(str(value.cidr)),
    SigmaCompareExpression: lambda value: Compare(_OPERATORS[value.op], value.number.number),
    SigmaFieldReference: lambda value: Reference(
        value.field, bool(value.starts_with), bool(value.ends_with)
    ),
}
