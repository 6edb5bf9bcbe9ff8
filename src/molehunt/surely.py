"""Rules that surely load: most of any folder. The loader's own answer takes much longer, and is the
same, which tests/test_lint_surely.py compares.

What is allowed here is less than what Sigma allows. Anything else is for the loader to say.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from ipaddress import ip_network
from typing import Any

from .correlation import OPERATORS, VALUED
from .installed import release
from .names import Both, Either, Name, Negated, Some, Tree, meant, parse_condition
from .yamlfile import Document

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEVELS = frozenset(("informational", "low", "medium", "high", "critical"))
_STATUSES = frozenset(("unsupported", "deprecated", "experimental", "test", "stable"))
_RELATED = frozenset(("derived", "merged", "obsolete", "renamed", "similar"))
_TEXTS = frozenset(
    f"{around}{more}"
    for around in ("contains", "startswith", "endswith")
    for more in ("", "|all", "|cased", "|cased|all")
) | {"cased"}
_NUMBERS = frozenset(("lt", "lte", "gt", "gte"))
# Python may warn of these in a pattern, and RE2 does not.
_WARNED = re.compile(r"\[\[|--|&&|\|\||~~")
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+/[0-9]+")
_DASH = re.compile(r"\B[-/]\b")
# Lower case only, since the loader reads `AND` as a name.
_CONDITION = re.compile(r"[A-Za-z0-9_*() -]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_*]*")
_RESERVED = frozenset(("and", "or", "not", "of", "any", "all", "them"))
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPAN = re.compile(r"0*[1-9][0-9]{0,8}[smhdw]", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TYPES = VALUED | {"event_count", "temporal", "temporal_ordered"}
_LIMITS = frozenset((*OPERATORS, "field"))
_MOST_VALUES = 5_000
_MOST_LETTERS = 500
# Beyond, a number is not the same as a float.
_BIG = 2**53


def surely_loads(document: Document) -> bool:
    """Whether a document without a problem of shape is a rule that the loader takes as it is, and
    whose condition `usual` can make."""
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


def surely_correlates(document: Document) -> bool:
    """The same of a correlation, of which `read_correlation` may have more to say."""
    data = document.data
    title, section = data.get("title"), data.get("correlation")
    if document.size > _MOST_VALUES or {"action", "detection", "filter", "logsource"} & data.keys():
        return False
    return (
        isinstance(title, str)
        and len(title) <= 256
        and _texts_are_good(data)
        and _lists_are_good(data)
        and isinstance(section, dict)
        and _section_is_good(section)
    )


def _section_is_good(section: Mapping[str, Any]) -> bool:
    get = section.get
    kind: Any = get("type")
    by, span, aliases = get("group-by"), get("timespan"), get("aliases")
    return (
        _is_one_of(kind, _TYPES)
        and _are_texts(get("rules"))
        and type(get("generate", False)) is bool
        and (_are_texts(by) or (isinstance(by, str) and by != ""))
        and isinstance(span, str)
        and _SPAN.fullmatch(span) is not None
        and (aliases is None or _aliases_are_good(aliases))
        and _limit_is_good(get("condition"), kind, get("rules"))
    )


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(type(one) is str for one in found)


def _aliases_are_good(aliases: Any) -> bool:
    return isinstance(aliases, dict) and all(
        isinstance(fields, dict)
        and all(type(one) is str for pair in fields.items() for one in pair)
        for fields in aliases.values()
    )


def _limit_is_good(condition: Any, kind: str, rules: Any) -> bool:
    if condition is None or isinstance(condition, str):
        if kind not in ("temporal", "temporal_ordered"):
            return False
        return condition is None or _words_are_good(condition, rules)
    if not isinstance(condition, dict) or not condition.keys() <= _LIMITS:
        return False
    limits = [value for key, value in condition.items() if key != "field"]
    field = condition.get("field")
    fits = type(field) is str and field != "" if kind in VALUED else "field" not in condition
    return fits and bool(limits) and all(map(_is_number, limits))


def _words_are_good(text: str, rules: Sequence[str]) -> bool:
    """Whether a condition names all rules and no others."""
    names = [word for word in _words(text) if word not in ("and", "or", "not")]
    if (
        len(text) > _MOST_LETTERS
        or not all(_WORD.fullmatch(name) and name.lower() not in _RESERVED for name in names)
        or set(names) != set(rules)
        or _is_doubled(text)
    ):
        return False
    tree = parse_condition(text)
    return tree is not None and _tree_is_good(tree, frozenset(names))


def seconds_of(span: str) -> int:
    """How long a span is that `surely_correlates` has accepted."""
    return int(span[:-1]) * _SECONDS[span[-1]]


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
        # pySigma before 2 reads `notepad` as `not epad`.
        and not any(name.lower() in _RESERVED or name.startswith("not") for name in names)
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
    values = value if isinstance(value, list) else (value,)
    if not field or not values:
        return False
    if modifiers in _TEXTS:
        for one in values:
            if type(one) is not str:
                return False
        return True
    good = _GOOD.get(modifiers)
    return good is not None and all(map(good, values))


def _is_plain(value: Any) -> bool:
    return type(value) in (str, bool, type(None)) or _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) < _BIG


def _is_regex(value: Any) -> bool:
    """Whether pySigma takes a pattern that RE2 takes."""
    if type(value) is not str or not value:
        return False
    if not _python_is_asked():
        return True
    try:
        if not _WARNED.search(value):
            re.compile(value)
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(value)
    except (re.error, RecursionError, OverflowError, Warning):
        return False
    return True


@cache
def _python_is_asked() -> bool:
    """Before pySigma 2, which asks RE2, it asked Python."""
    return int(release("pysigma").partition(".")[0]) < 2


def _is_network(value: Any) -> bool:
    if type(value) is not str or not _NETWORK.fullmatch(value):
        return False
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _is_name(value: Any) -> bool:
    return type(value) is str and value != "" and not any(one in value for one in "\\*?")


def _has_one_dash(value: Any) -> bool:
    return type(value) is str and len(_DASH.findall(value)) < 2 and "\\" not in value


_GOOD: Mapping[str, Callable[[Any], bool]] = {
    "": _is_plain,
    "re": _is_regex,
    "re|i": _is_regex,
    "cidr": _is_network,
    "exists": lambda value: type(value) is bool,
    "fieldref": _is_name,
    "contains|windash": _has_one_dash,
    **dict.fromkeys(_NUMBERS, _is_number),
}


def _condition_is_good(text: Any, names: Iterable[str]) -> bool:
    if (
        not isinstance(text, str)
        or len(text) > _MOST_LETTERS
        or not _CONDITION.fullmatch(text)
        or _is_doubled(text)
        or any(word != word.lower() and word.lower() in _RESERVED for word in _words(text))
    ):
        return False
    tree = parse_condition(text)
    return tree is not None and _tree_is_good(tree, frozenset(names))


def _is_doubled(text: str) -> bool:
    """Whether a pair of parentheses holds nothing but another, which pySigma trips over."""
    packed = text.replace(" ", "")
    opened: list[int] = []
    inner = (-1, -1)
    for at, letter in enumerate(packed if "((" in packed else ""):
        if letter == "(":
            opened.append(at)
        elif letter == ")":
            if not opened:
                return True
            pair = opened.pop(), at
            if (pair[0] + 1, pair[1] - 1) == inner:
                return True
            inner = pair
    return bool(opened)


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
