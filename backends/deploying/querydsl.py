"""Query DSL as OpenSearch says it back, in the one spelling that this project compares and sends.

OpenSearch reads a query into objects and writes those: short forms become long, defaults appear,
`gte` becomes `from` with `include_lower` (`AbstractQueryBuilder.doXContent` and its subclasses).
So a monitor never comes back as it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LISTS = ("filter", "must", "must_not", "should")
_FLAGS = {0: "NONE", 1: "INTERSECTION"}  # org.apache.lucene.util.automaton.RegExp


def canonical(query: Mapping[str, Any]) -> dict[str, Any]:
    """The same query in long form without defaults. What is not known here stays as it is."""
    if len(query) != 1:
        return dict(query)
    ((kind, inside),) = query.items()
    if not isinstance(inside, Mapping):
        return dict(query)
    plain = _without_defaults(inside)
    if kind == "bool":
        return {kind: _bool(plain)}
    if kind in ("term", "wildcard", "regexp", "range") and len(plain) == 1:
        ((field, wanted),) = plain.items()
        return {kind: {field: _leaf(kind, wanted)}}
    return {kind: plain}


def _without_defaults(inside: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in inside.items()
        if not (name == "boost" and value == 1)
        and not (name == "adjust_pure_negative" and value is True)
        and not (name == "value_type" and value == "default")
    }


def _bool(inside: dict[str, Any]) -> dict[str, Any]:
    for name in _LISTS:
        if name in inside:
            parts = inside[name] if isinstance(inside[name], list) else [inside[name]]
            inside[name] = [canonical(one) for one in parts]
    least = inside.get("minimum_should_match")
    if isinstance(least, str) and least.isdigit():
        inside["minimum_should_match"] = int(least)
    return inside


def _leaf(kind: str, wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, Mapping):
        return {"value": wanted}
    inside = _without_defaults(wanted)
    if inside.get("case_insensitive") is False:
        del inside["case_insensitive"]
    if "wildcard" in inside:
        inside["value"] = inside.pop("wildcard")
    if kind == "regexp" and "flags_value" in inside:
        number = inside.pop("flags_value")
        inside["flags"] = _FLAGS.get(number, number)
    if kind == "range":
        return _range(inside)
    return inside


def _range(inside: dict[str, Any]) -> dict[str, Any]:
    lower, upper = inside.pop("include_lower", True), inside.pop("include_upper", True)
    for name, kept, strict in (("from", lower, "gt"), ("to", upper, "lt")):
        value = inside.pop(name, None)
        if value is not None:
            inside[strict + ("e" if kept else "")] = value
    return inside
