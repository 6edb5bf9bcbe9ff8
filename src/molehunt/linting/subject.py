"""What checks look at: one document of a file, with its places, and what the loader made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..correlation import Correlation
from ..metadata import BLOCK
from ..names import Tree, parse_condition
from ..problems import Problem
from ..rule import Rule
from .items import Detection, Item, child, detections_of, key_of
from .model import Edit, Finding, Span, span_of

# Products whose events carry one value per field: two different texts exclude each other.
_SINGLE = frozenset(("windows", "linux", "macos", "osquery"))


@dataclass(frozen=True)
class Subject:
    """One rule, correlation or filter.

    `made` makes the rule, which few checks need; it is None if the rule could not be loaded, or is
    none; `problems` say why. `name` is the path below the folder that was named. `memo` holds what
    several checks compute alike.
    """

    path: str
    name: str
    text: str
    data: Mapping[str, Any]
    node: Any
    made: Callable[[], Rule] | None = None
    correlation: Correlation | None = None
    problems: tuple[Problem, ...] = ()
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def rule(self) -> Rule | None:
        """The rule as it was loaded, if it was."""
        return None if self.made is None else self.made()

    @cached_property
    def id(self) -> str:
        """The id as written; "" without one."""
        found = self.data.get("id")
        return str(found) if found is not None else ""

    @cached_property
    def kind(self) -> str:
        """`rule`, `correlation` or `filter`."""
        return next((kind for kind in ("correlation", "filter") if kind in self.data), "rule")

    @cached_property
    def ours(self) -> bool:
        """Whether the rule has a `molehunt` block, and so promises what docs/rule_style.md asks."""
        return isinstance(self.data.get(BLOCK), dict)

    @cached_property
    def block(self) -> Mapping[str, Any]:
        """The `molehunt` block; empty without one."""
        found = self.data.get(BLOCK)
        return found if isinstance(found, dict) else {}

    @cached_property
    def logsource(self) -> Mapping[str, str]:
        """`category`, `product` and `service`, as far as they are texts."""
        found = self.data.get("logsource")
        if not isinstance(found, dict):
            return {}
        return {
            key: value
            for key, value in found.items()
            if key in ("category", "product", "service") and isinstance(value, str)
        }

    @cached_property
    def single(self) -> bool:
        """Whether a field has one value at most in these events."""
        return self.logsource.get("product") in _SINGLE

    @cached_property
    def section(self) -> str:
        """The key that holds the detections."""
        return "filter" if self.kind == "filter" else "detection"

    @cached_property
    def detections(self) -> Mapping[str, Detection]:
        """The named detections."""
        return detections_of(self.data, self.node, self.section)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All items of all detections."""
        return tuple(
            item
            for detection in self.detections.values()
            for alternative in detection.alternatives
            for item in alternative
        )

    @cached_property
    def conditions(self) -> tuple[tuple[Tree, Any], ...]:
        """The conditions that parse, each with its node."""
        section = self.data.get(self.section)
        written = section.get("condition") if isinstance(section, dict) else None
        node = child(child(self.node, self.section), "condition")
        pairs = (
            zip(written, node.value, strict=False)
            if isinstance(written, list) and node is not None
            else [(written, node)]
        )
        found = []
        for text, part in pairs:
            tree = parse_condition(text) if isinstance(text, str) else None
            if tree is not None:
                found.append((tree, part))
        return tuple(found)

    def node_at(self, *path: str | int) -> Any:
        """The value node at a path, or that of the longest beginning which is there."""
        node = self.node
        for step in path:
            below = child(node, str(step)) if not isinstance(step, int) else _item(node, step)
            if below is None:
                break
            node = below
        return node

    def key(self, *path: str) -> Any:
        """The key node at a path; the document's first key if it is not there."""
        node = self.node_at(*path[:-1])
        return key_of(node, path[-1]) or self.first

    @cached_property
    def first(self) -> Any:
        """The node of the title, or of the first key: where a rule as a whole is shown."""
        keys = [key for key, _ in self.node.value] if isinstance(self.node.value, list) else []
        title = [key for key in keys if key.value == "title"]
        return next(iter([*title, *keys]), self.node)

    def finding(
        self, check: str, node: Any, message: str, hint: str = "", edits: tuple[Edit, ...] = ()
    ) -> Finding:
        """A finding of this document at a node."""
        span = node if isinstance(node, Span) else span_of(node)
        return Finding(check, message, self.path, span, self.id, hint, edits)

    def raw(self, node: Any) -> str:
        """The source text of a node."""
        return self.text[node.start_mark.index : node.end_mark.index]

    def strings(self) -> Iterator[tuple[Item, Any, str]]:
        """Every text value of the detections: its item, its node, itself."""
        for item in self.items:
            for value, text in item.texts():
                yield item, value.node, text


def _item(node: Any, index: int) -> Any:
    values = getattr(node, "value", None)
    return values[index] if isinstance(values, list) and index < len(values) else None
