"""Mutants of a rule: the rule with one condition or list entry taken out or turned.

They are made on the detection as it is written, so that each has a name that an author recognises
and a line in the file. `conditions_of` gives a changed detection its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from molehunt.conditions import Condition, fields_of
from molehunt.rule import Rule
from molehunt.yamlfile import KeyPath

from .phrase import Name, Phrase, Several, asks, changes, leaves, meant, parse, written

# A modifier and what it is turned into; the empty one is left out.
_TURNED = {
    "endswith": "contains",
    "startswith": "contains",
    "all": "",
    "cased": "",
    "windash": "",
    "gt": "gte",
    "gte": "gt",
    "lt": "lte",
    "lte": "lt",
}
_NOT_DETECTIONS = ("condition", "timeframe")

Changed = tuple[str, KeyPath, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule changed in one thing. `name` says in what; `line` is that of the file, or None. It is
    `near` if it still asks for something, so that what it lets in is near to the rule."""

    name: str
    line: int | None
    rule: Rule
    near: bool


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Every mutant of a rule, in the order of its file; none for a rule without its source.

    A change that leaves no valid rule is no mutant.
    """
    detection = rule.raw.get("detection")
    if not isinstance(detection, dict):
        return
    seen: set[str] = set()
    for name, place, changed in _changed(detection):
        near = not name.startswith("condition: and -> or") and all(map(asks, _phrases(changed)))
        conditions = conditions_of(changed)
        if conditions is None or name in seen:
            continue
        seen.add(name)
        line = _line(rule, ("detection", *place))
        yield Mutant(name, line, with_conditions(rule, conditions), near)


def with_conditions(rule: Rule, conditions: tuple[Condition, ...]) -> Rule:
    """The rule with other conditions."""
    fields = tuple(sorted({name for node in conditions for name in fields_of(node)}))
    return replace(rule, conditions=conditions, fields=fields)


def conditions_of(detection: Mapping[str, Any]) -> tuple[Condition, ...] | None:
    """What a detection means; None if pySigma refuses it."""
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaDetections

    from molehunt.sigmatree import condition_of

    try:
        parsed = SigmaDetections.from_dict(dict(detection)).parsed_condition
        return tuple(condition_of(condition.parsed) for condition in parsed)
    except (SigmaError, AttributeError, TypeError, ValueError, RecursionError):
        return None


def _line(rule: Rule, place: KeyPath) -> int | None:
    while place and place not in rule.lines:
        place = place[:-1]
    return rule.lines.get(place)


def _changed(detection: Mapping[str, Any]) -> Iterator[Changed]:
    """Names, places below `detection` and changed detections."""
    names = [name for name in detection if name not in _NOT_DETECTIONS]
    for name in names:
        for what, place, new in _node(detection[name]):
            yield f"{name}{what}", (name, *place), {**detection, name: new}
    listed = detection.get("condition")
    texts = listed if isinstance(listed, list) else [listed]
    phrases = _phrases(detection)
    for name in _removable(phrases, names):
        left = {key: value for key, value in detection.items() if key != name}
        yield f"{name} removed", (name,), left
    for index, phrase in enumerate(phrases):
        for what, changed in changes(phrase, names) if phrase is not None else ():
            new = [*texts[:index], written(changed), *texts[index + 1 :]]
            condition = new if isinstance(listed, list) else new[0]
            yield f"condition: {what}", ("condition",), {**detection, "condition": condition}


def _phrases(detection: Mapping[str, Any]) -> list[Phrase | None]:
    listed = detection.get("condition")
    texts = listed if isinstance(listed, list) else [listed]
    return [parse(text) if isinstance(text, str) else None for text in texts]


def _removable(phrases: list[Phrase | None], names: list[str]) -> Iterator[str]:
    """Detections that only patterns mean which mean others too, so that one can go."""
    parts = [leaf for phrase in phrases if phrase is not None for leaf in leaves(phrase)]
    named = {leaf.name for leaf in parts if isinstance(leaf, Name)}
    groups = [meant(leaf.pattern, names) for leaf in parts if isinstance(leaf, Several)]
    for name in names:
        mine = [group for group in groups if name in group]
        if name not in named and mine and all(len(group) > 1 for group in mine):
            yield name


def _node(node: Any) -> Iterator[Changed]:
    """Changes below one detection: a mapping, a list of mappings, or a list of keywords."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _item(node, str(key), value)
    elif isinstance(node, list):
        for index, entry in enumerate(node):
            left = [*node[:index], *node[index + 1 :]]
            shown = f"[{index + 1}]" if isinstance(entry, (dict, list)) else f": {entry!r}"
            if left:
                yield f"{shown} removed", (index,), left
            if isinstance(entry, dict):
                for what, place, new in _node(entry):
                    changed = [*node[:index], new, *node[index + 1 :]]
                    yield f"[{index + 1}]{what}", (index, *place), changed


def _item(node: Mapping[str, Any], key: str, value: Any) -> Iterator[Changed]:
    """Changes of one field of a mapping."""
    if len(node) > 1:
        yield f".{key} removed", (key,), {k: v for k, v in node.items() if k != key}
    field, *modifiers = key.split("|")
    for index, modifier in enumerate(modifiers):
        if modifier not in _TURNED or (modifier == "all" and not isinstance(value, list)):
            continue
        turned = _TURNED[modifier]
        kept = [*modifiers[:index], *([turned] if turned else []), *modifiers[index + 1 :]]
        new_key = "|".join([field, *kept])
        if new_key in node:
            continue
        new = {(new_key if k == key else k): v for k, v in node.items()}
        yield f".{key}: {modifier} {'-> ' + turned if turned else 'removed'}", (key,), new
    if isinstance(value, list) and len(value) > 1:
        for index, entry in enumerate(value):
            new = {**node, key: [*value[:index], *value[index + 1 :]]}
            yield f".{key}: {entry!r} removed", (key, index), new
