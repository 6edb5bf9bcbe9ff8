"""Checks of the condition trees that pySigma makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sigma.conditions import (
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
)

from .problems import Problem
from .yamlfile import Document, KeyPath

_KEYWORD_TYPES = (SigmaString, SigmaNumber, SigmaBool, SigmaRegularExpression, SigmaCIDRExpression)
_FIELD_TYPES = (
    *_KEYWORD_TYPES,
    SigmaNull,
    SigmaExists,
    SigmaCompareExpression,
    SigmaFieldReference,
)


def check_tree(
    conditions: Iterable[Any], document: Document, path: str, rule: str
) -> Iterator[Problem]:
    """Values in the parsed conditions that have no meaning here."""
    for condition in conditions:
        if condition is None:
            line = document.near(("detection", "condition"))
            yield Problem("condition selects nothing", path, line, rule)
        for field, value in _leaves(condition):
            yield from _check_value(field, value, document, path, rule)


def _leaves(node: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(node, ConditionFieldEqualsValueExpression):
        yield node.field, node.value
    elif isinstance(node, ConditionValueExpression):
        yield None, node.value
    elif isinstance(node, ConditionItem):
        for child in node.args:
            yield from _leaves(child)


def _check_value(
    field: str | None, value: Any, document: Document, path: str, rule: str
) -> Iterator[Problem]:
    if isinstance(value, SigmaExpansion):
        for item in value.values:
            yield from _check_value(field, item, document, path, rule)
        return
    regex: Any = value.regexp if isinstance(value, SigmaRegularExpression) else ""
    if not isinstance(regex, (str, SigmaString)):
        yield Problem("a regex is a text", path, document.near(_field_place(field, document)), rule)
    elif isinstance(value, (SigmaString, SigmaRegularExpression)) and value.contains_placeholder():
        hint = "expand it before use; a tool that cannot must reject the rule"
        line = document.near(_field_place(field, document))
        yield Problem("placeholder without a value", path, line, rule, hint)
    elif not isinstance(value, _FIELD_TYPES if field is not None else _KEYWORD_TYPES):
        kind = type(value).__name__.removeprefix("Sigma")
        what = f"{kind} has no meaning {'as a keyword' if field is None else 'here'}"
        yield Problem(what, path, document.near(_field_place(field, document)), rule)


def _field_place(field: str | None, document: Document) -> KeyPath:
    if field is not None:
        for path in document.lines:
            if path[0] == "detection" and str(path[-1]).split("|")[0] == field:
                return path
    return ("detection",)
