"""Rules of the usual shape, which most are, made into values without pySigma: it takes longer to
import and to ask than all else that loading does. They are the same that come from its objects
(`sigmaload`), which tests/test_usual.py compares; what `surely` does not know is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    Wanted,
    Wild,
    fields_of,
)
from .correlation import Said, techniques_of
from .ids import content_id
from .levels import Level
from .metadata import BLOCK, Metadata, parse_metadata
from .names import Both, Name, Negated, Some, Tree, meant, parse_condition
from .rule import Rule
from .surely import seconds_of, surely_correlates, surely_loads
from .yamlfile import Document

# A backslash stands for itself unless a wildcard or another backslash follows.
_PART = re.compile(r"\\([\\*?])|([*?])|([^\\*?]+|\\)")
_DASH = re.compile(r"\B[-/]\b")
# What `windash` reads a dash as, in pySigma's order.
_DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")
_Parts = tuple[str | Wild, ...]


def usual_rule(document: Document, path: str, name: str) -> Rule | None:
    """The rule of a document in whose shape nothing is wrong (`shape`), if it is of the usual
    kind; None if pySigma has to be asked."""
    if not surely_loads(document):
        return None
    data = document.data
    get = data.get
    source, block, level = data["logsource"], get(BLOCK), get("level")
    condition = condition_of(data["detection"])
    tags = tuple(get("tags") or ())
    return Rule(
        id=get("id").lower() if get("id") else content_id(data),
        title=data["title"],
        called=get("name") or "",
        description=get("description") or "",
        status=get("status") or "",
        level=Level[level.upper()] if level else Level.MEDIUM,
        category=source.get("category"),
        product=source.get("product"),
        service=source.get("service"),
        conditions=(condition,),
        fields=tuple(sorted(set(fields_of(condition)))),
        tags=tags,
        techniques=tuple(techniques_of(tags)),
        references=tuple(map(str, get("references") or ())),
        false_positives=tuple(map(str, get("falsepositives") or ())),
        path=path,
        name=name,
        lines=document.lines,
        meta=parse_metadata(block) if isinstance(block, dict) else Metadata(),
        raw=data,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a correlation, with the document that it came from."""

    said: Said
    document: Document
    path: str
    name: str


def usual_correlation(document: Document, path: str, name: str) -> Told | None:
    """The same of a correlation."""
    if not surely_correlates(document):
        return None
    data = document.data
    get, section = data.get, data["correlation"]
    level, condition, by = get("level"), section.get("condition"), section["group-by"]
    said = Said(
        id=get("id").lower() if get("id") else content_id(data),
        title=data["title"],
        called=get("name") or "",
        description=get("description") or "",
        status=get("status") or "",
        level=Level[level.upper()] if level else Level.MEDIUM,
        type=section["type"],
        refers=tuple(section["rules"]),
        timespan=seconds_of(section["timespan"]),
        group_by=(by,) if isinstance(by, str) else tuple(by),
        words=parse_condition(condition) if isinstance(condition, str) else None,
        generate=bool(section.get("generate")),
        tags=tuple(get("tags") or ()),
        references=tuple(map(str, get("references") or ())),
        false_positives=tuple(map(str, get("falsepositives") or ())),
    )
    return Told(said, document, path, name)


def condition_of(detection: Mapping[str, Any]) -> Condition:
    """The condition of a detection section that `surely_loads` has accepted."""
    parts = {name: _part(found) for name, found in detection.items() if name != "condition"}
    tree = parse_condition(detection["condition"])
    assert tree is not None
    return _node(tree, parts)


def _node(tree: Tree, parts: Mapping[str, Condition]) -> Condition:
    if isinstance(tree, Name):
        return parts[tree.name]
    if isinstance(tree, Some):
        return _all_or_any([parts[name] for name in meant(tree.pattern, parts)], tree.every)
    if isinstance(tree, Negated):
        return Not(_node(tree.arg, parts))
    made = tuple(_node(arg, parts) for arg in tree.args)
    return And(made) if isinstance(tree, Both) else Or(made)


def _all_or_any(found: list[Condition], every: bool) -> Condition:
    if len(found) == 1:
        return found[0]
    return And(tuple(found)) if every else Or(tuple(found))


def _part(found: Any) -> Condition:
    if isinstance(found, dict):
        return _all_or_any([_item(key, value) for key, value in found.items()], every=True)
    if isinstance(found[0], dict):
        return _all_or_any([_part(one) for one in found], every=False)
    return _all_or_any([Keyword(Text(parts_of(one))) for one in found], every=False)


def _item(key: str, value: Any) -> Condition:
    field, _, modifiers = key.partition("|")
    values = value if isinstance(value, list) else [value]
    make = _MADE.get(modifiers) or _of_modifiers(modifiers)
    found: list[Condition] = [FieldIs(field, make(one)) for one in values]
    return _all_or_any(found, every=modifiers.endswith("|all"))


def parts_of(text: str) -> _Parts:
    """A text of Sigma with its wildcards."""
    if not _is_special(text):
        return (text,) if text else ()
    found: list[str | Wild] = []
    plain = ""
    for escaped, wild, rest in _PART.findall(text):
        if wild:
            found += [plain] if plain else []
            found.append(Wild.ANY if wild == "*" else Wild.ONE)
            plain = ""
        else:
            plain += escaped or rest
    return (*found, plain) if plain else tuple(found)


def _is_special(text: str) -> bool:
    return "*" in text or "?" in text or "\\" in text


def _plain(value: Any) -> Wanted:
    if value is None:
        return Nothing()
    if isinstance(value, str):
        return Text(parts_of(value))
    return Flag(value) if isinstance(value, bool) else Number(value)


def _windash(value: str, around: Callable[[_Parts], _Parts]) -> Wanted:
    """`surely` lets one dash through at most."""
    parts = parts_of(value)
    for at, part in enumerate(parts):
        found = _DASH.search(part) if isinstance(part, str) else None
        if found is not None and isinstance(part, str):
            before, after = part[: found.start()], part[found.end() :]
            spelt = [(*parts[:at], f"{before}{dash}{after}", *parts[at + 1 :]) for dash in _DASHES]
            return AnyOf(tuple(Text(around(one)) for one in spelt))
    return AnyOf((Text(around(parts)),))


def _contains(parts: _Parts) -> _Parts:
    return _ends_with(_starts_with(parts))


def _starts_with(parts: _Parts) -> _Parts:
    return parts if parts and parts[-1] is Wild.ANY else (*parts, Wild.ANY)


def _ends_with(parts: _Parts) -> _Parts:
    return parts if parts and parts[0] is Wild.ANY else (Wild.ANY, *parts)


_AROUND: Mapping[str, Callable[[_Parts], _Parts]] = {
    "contains": _contains,
    "startswith": _starts_with,
    "endswith": _ends_with,
}
_MADE: dict[str, Callable[[Any], Wanted]] = {
    "": _plain,
    "re": Regex,
    "re|i": lambda value: Regex(value, "i"),
    "cidr": Cidr,
    "exists": Exists,
    "lt": lambda value: Compare("<", value),
    "lte": lambda value: Compare("<=", value),
    "gt": lambda value: Compare(">", value),
    "gte": lambda value: Compare(">=", value),
    "fieldref": Reference,
    "cased": lambda value: Text(parts_of(value), cased=True),
}


def _of_modifiers(modifiers: str) -> Callable[[Any], Wanted]:
    """How a text with wildcards around it is made: `contains`, then what else is said."""
    first, *more = modifiers.split("|")
    around, cased = _AROUND[first], "cased" in more
    if "windash" in more:
        return lambda value: _windash(value, around)
    return lambda value: Text(around(parts_of(value)), cased)
