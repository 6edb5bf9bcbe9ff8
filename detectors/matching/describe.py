"""A Sigma value in words, for reasons and explanations."""

from __future__ import annotations

from typing import Any

from sigma.types import (
    CompareOperators,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

_OPERATORS = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
    CompareOperators.NEQ: "!=",
}
_MULTI = SpecialChars.WILDCARD_MULTI


def wanted(value: Any) -> str:
    """What a rule wants of a field, in short: `ends with '/x11vnc'`, `in 10.0.0.0/8`, `is null`."""
    if isinstance(value, SigmaString):
        return _string(value) + (" (case matters)" if isinstance(value, SigmaCasedString) else "")
    if isinstance(value, SigmaExpansion):
        return " or ".join(dict.fromkeys(wanted(item) for item in value.values))
    if isinstance(value, SigmaNull):
        return "is null"
    if isinstance(value, SigmaExists):
        return "exists" if value.exists else "does not exist"
    if isinstance(value, SigmaRegularExpression):
        flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
        return f"matches /{value.regexp}/{flags}"
    if isinstance(value, SigmaCIDRExpression):
        return f"in {value.cidr}"
    if isinstance(value, SigmaCompareExpression):
        return f"{_OPERATORS[value.op]} {value.number}"
    if isinstance(value, SigmaFieldReference):
        return f"{_relation(value.starts_with, value.ends_with)} the field {value.field}"
    if isinstance(value, SigmaTimestampPart):
        return f"has {value.timestamp_part.name.lower()} {value.number}"
    return f"is {value}"


def _string(value: SigmaString) -> str:
    parts = list(value.s)
    open_end = bool(parts) and parts[-1] is _MULTI
    open_start = bool(parts) and parts[0] is _MULTI
    inner = parts[open_start : len(parts) - open_end] if len(parts) > 1 else parts
    if any(not isinstance(part, str) for part in inner):
        return f"is like {_quoted(parts)}"
    return f"{_relation(open_end, open_start)} {_quoted(inner)}"


def _relation(open_end: bool, open_start: bool) -> str:
    if open_end and open_start:
        return "contains"
    if open_end:
        return "starts with"
    return "ends with" if open_start else "is"


def _quoted(parts: list[Any]) -> str:
    marks = {_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
    return (
        "'"
        + "".join(part if isinstance(part, str) else marks.get(part, "%") for part in parts)
        + "'"
    )
