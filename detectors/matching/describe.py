"""A wanted value in words, for reasons and explanations."""

from __future__ import annotations

from collections.abc import Sequence

from molehunt.conditions import (
    AnyOf,
    Cidr,
    Compare,
    Exists,
    Flag,
    Nothing,
    Number,
    Reference,
    Regex,
    Text,
    TimePart,
    Wanted,
    Wild,
)


def wanted(value: Wanted) -> str:
    """What a rule wants of a field, in short: `ends with '/x11vnc'`, `in 10.0.0.0/8`, `is null`."""
    match value:
        case Text():
            return _text(value) + (" (case matters)" if value.cased else "")
        case AnyOf():
            return " or ".join(dict.fromkeys(wanted(item) for item in value.values))
        case Nothing():
            return "is null"
        case Exists():
            return "exists" if value.exists else "does not exist"
        case Regex():
            return f"matches /{value.pattern}/{value.flags}"
        case Cidr():
            return f"in {value.network}"
        case Compare():
            return f"{value.operator} {value.number}"
        case Reference():
            return f"{_relation(value.starts, value.ends)} the field {value.field}"
        case TimePart():
            return f"has {value.part} {value.number}"
        case Number():
            return f"is {value.number}"
        case Flag():
            return "is true" if value.boolean else "is false"


def _text(value: Text) -> str:
    parts = value.parts
    open_end = bool(parts) and parts[-1] is Wild.ANY
    open_start = bool(parts) and parts[0] is Wild.ANY
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


def _quoted(parts: Sequence[str | Wild]) -> str:
    marks = {Wild.ANY: "*", Wild.ONE: "?"}
    return "'" + "".join(marks[part] if isinstance(part, Wild) else part for part in parts) + "'"
