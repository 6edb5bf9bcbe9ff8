"""Rules that surely load: most of any folder. The loader's own answer takes much longer, and is the
same, which tests/test_lint_surely.py compares.

What is allowed here is less than what Sigma allows. Anything else is for the loader to say.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..yamlfile import Document
from .names import Both, Either, Name, Negated, Some, Tree, meant, parse_condition

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEVELS = frozenset(("informational", "low", "medium", "high", "critical"))
_STATUSES = frozenset(("unsupported", "deprecated", "experimental", "test", "stable"))
_RELATED = frozenset(("derived", "merged", "obsolete", "renamed", "similar"))
_MODIFIERS = frozenset(
    ("contains", "startswith", "endswith", "contains|all", "startswith|all", "endswith|all")
)
# Lower case only, since the loader reads `AND` as a name; no parenthesis directly in another.
_CONDITION = re.compile(r"[A-Za-z0-9_*() -]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")
_RESERVED = frozenset(("and", "or", "not", "of", "any", "all", "them"))
_MOST_VALUES = 5_000
_MOST_LETTERS = 500
# Beyond, a number is not the same as a float.
_BIG = 2**53


def surely_loads(document: Document) -> bool:
    """Whether a document without a problem of shape is a rule that the loader takes as it is."""
    data = document.data
    if document.size > _MOST_VALUES or {"action", "correlation", "filter"} & data.keys():
        return False
    title = data.get("title")
    return (
        isinstance(title, str)
        and len(title) <= 256
        and _texts_are_good(data)
        and _lists_are_good(data)
        and _source_is_good(data.get("logsource"))
        and _detection_is_good(data.get("detection"))
    )


def _texts_are_good(data: Mapping[str, Any]) -> bool:
    get = data.get
    return (
        (get("id") is None or _is_uuid(get("id")))
        and all(
            value is None or isinstance(value, str)
            for value in (get("author"), get("description"), get("license"))
        )
        and all(
            value is None or (isinstance(value, str) and value != "")
            for value in (get("name"), get("taxonomy"))
        )
        and (get("level") is None or _is_one_of(get("level"), _LEVELS))
        and (get("status") is None or _is_one_of(get("status"), _STATUSES))
        and all(
            value is None or isinstance(value, dt.date) for value in (get("date"), get("modified"))
        )
    )


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_one_of(value: Any, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _lists_are_good(data: Mapping[str, Any]) -> bool:
    for key in ("fields", "falsepositives", "references", "scope"):
        value = data.get(key)
        if value is not None and not isinstance(value, list):
            return False
    tags, related = data.get("tags", []), data.get("related", [])
    if not isinstance(tags, list) or not isinstance(related, list):
        return False
    return all(isinstance(tag, str) and "." in tag for tag in tags) and all(
        isinstance(one, dict) and _is_uuid(one.get("id")) and _is_one_of(one.get("type"), _RELATED)
        for one in related
    )


def _source_is_good(source: Any) -> bool:
    return isinstance(source, dict) and any(
        isinstance(source.get(key), str) for key in ("category", "product", "service")
    )


def _detection_is_good(detection: Any) -> bool:
    if not isinstance(detection, dict) or "timeframe" in detection:
        return False
    names = [name for name in detection if name != "condition"]
    return (
        all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
        and not any(name.lower() in _RESERVED for name in names)
        and all(_part_is_good(detection[name]) for name in names)
        and _condition_is_good(detection.get("condition"), names)
    )


def _part_is_good(part: Any) -> bool:
    if isinstance(part, dict):
        return bool(part) and all(_item_is_good(key, value) for key, value in part.items())
    if not isinstance(part, list) or not part:
        return False
    if isinstance(part[0], dict):
        return all(isinstance(one, dict) and _part_is_good(one) for one in part)
    return all(type(one) is str for one in part)


def _item_is_good(key: Any, value: Any) -> bool:
    if not isinstance(key, str):
        return False
    field, _, modifiers = key.partition("|")
    if not field or (modifiers and modifiers not in _MODIFIERS):
        return False
    values = value if isinstance(value, list) else (value,)
    if not values:
        return False
    for one in values:
        if type(one) is not str and (modifiers or type(one) is not int or abs(one) >= _BIG):
            return False
    return True


def _condition_is_good(text: Any, names: Iterable[str]) -> bool:
    if (
        not isinstance(text, str)
        or len(text) > _MOST_LETTERS
        or not _CONDITION.fullmatch(text)
        or "((" in text.replace(" ", "")
        or any(word != word.lower() and word.lower() in _RESERVED for word in _words(text))
    ):
        return False
    tree = parse_condition(text)
    return tree is not None and _tree_is_good(tree, frozenset(names))


def _words(text: str) -> list[str]:
    return text.replace("(", " ").replace(")", " ").split()


def _tree_is_good(tree: Tree, names: frozenset[str]) -> bool:
    if isinstance(tree, Name):
        return tree.name in names
    if isinstance(tree, Some):
        if not _PATTERN.fullmatch(tree.pattern) or tree.pattern.startswith("_"):
            return False
        return any(not name.startswith("_") for name in meant(tree.pattern, names))
    if isinstance(tree, Negated):
        return not isinstance(tree.arg, Negated) and _tree_is_good(tree.arg, names)
    assert isinstance(tree, (Both, Either))
    return all(_tree_is_good(arg, names) for arg in tree.args)
