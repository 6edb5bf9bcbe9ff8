"""The detection section of a rule as items: field, modifiers and values, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from .texts import Glob, fold, modified, parse

# Modifiers under which a text is compared as it stands, wildcards aside.
_PLAIN = frozenset(("contains", "startswith", "endswith", "all", "cased"))


class Value(NamedTuple):
    """One value: what YAML makes of it, and its node."""

    data: Any
    node: Any


@dataclass(frozen=True, slots=True)
class Item:
    """One `field|modifiers: values`. Keywords have no field and no key node.

    `path` leads to the key from the top of the document.
    """

    detection: str
    field: str
    modifiers: tuple[str, ...]
    key: Any
    values: tuple[Value, ...]
    node: Any
    path: tuple[str | int, ...]

    @property
    def plain(self) -> bool:
        """Whether its texts are compared as they stand."""
        return _PLAIN.issuperset(self.modifiers)

    @property
    def equal(self) -> bool:
        """Whether a value must be the whole text of the field."""
        return self.plain and not {"contains", "startswith", "endswith"}.intersection(
            self.modifiers
        )

    def texts(self) -> Iterator[tuple[Value, str]]:
        """The values that are texts."""
        for value in self.values:
            if isinstance(value.data, str):
                yield value, value.data

    def glob(self, value: Value) -> Glob | None:
        """What the value matches, folded; None if it is no plain text comparison."""
        if not self.plain or isinstance(value.data, bool) or value.data is None:
            return None
        if isinstance(value.data, (str, int)):
            return _glob(str(value.data), self.modifiers)
        return None


@lru_cache(maxsize=1 << 16)
def _glob(text: str, modifiers: tuple[str, ...]) -> Glob:
    return fold(modified(parse(text), modifiers))


@dataclass(frozen=True, slots=True)
class Detection:
    """One named part: alternatives (a list of mappings), each items that hold together."""

    name: str
    key: Any
    node: Any
    alternatives: tuple[tuple[Item, ...], ...]


def detections_of(data: Any, node: Any, top: str = "detection") -> dict[str, Detection]:
    """The named parts of the section `top`, the condition aside; empty if its shape is wrong."""
    found: dict[str, Detection] = {}
    section = child(node, top)
    values = data.get(top) if isinstance(data, Mapping) else None
    if not isinstance(section, yaml.MappingNode) or not isinstance(values, dict):
        return found
    for key, part in section.value:
        name = key.value
        if name in ("condition", "timeframe") or name not in values:
            continue
        if top == "filter" and name == "rules":
            continue
        place = (top, name)
        alternatives = tuple(_alternatives(name, values[name], part, place))
        found[name] = Detection(name, key, part, alternatives)
    return found


def child(node: Any, name: str) -> Any:
    """The value node of a key, or None."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return value
    return None


def key_of(node: Any, name: str) -> Any:
    """The node of the key itself, or None."""
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value == name:
                return key
    return None


def _alternatives(
    name: str, data: Any, node: Any, place: tuple[str | int, ...]
) -> Iterator[tuple[Item, ...]]:
    if isinstance(node, yaml.MappingNode):
        yield tuple(_items(name, data, node, place))
    elif isinstance(node, yaml.SequenceNode) and isinstance(data, list):
        words = []
        for index, (value, part) in enumerate(zip(data, node.value, strict=False)):
            if isinstance(part, yaml.MappingNode):
                yield tuple(_items(name, value, part, (*place, index)))
            else:
                words.append(Value(value, part))
        if words:
            yield (Item(name, "", (), None, tuple(words), node, place),)
    elif isinstance(node, yaml.ScalarNode):
        yield (Item(name, "", (), None, (Value(data, node),), node, place),)


def _items(name: str, data: Any, node: Any, place: tuple[str | int, ...]) -> Iterator[Item]:
    for key, part in node.value:
        if not isinstance(data, dict) or key.value not in data:
            continue
        field, *modifiers = key.value.split("|")
        value = data[key.value]
        if isinstance(part, yaml.SequenceNode) and isinstance(value, list):
            values = tuple(map(Value, value, part.value))
        else:
            values = (Value(value, part),)
        yield Item(name, field, tuple(modifiers), key, values, part, (*place, key.value))
