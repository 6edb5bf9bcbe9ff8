"""A rule and a set of rules as plain values; `ruleset` loads them from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .conditions import Condition
from .correlation import Correlation
from .late import Late
from .levels import Level
from .metadata import Metadata
from .problems import Problem


@dataclass(frozen=True, slots=True)
class Rule(Late):
    """One rule, ready to match. `conditions` are linked with OR, `fields` the names in them.

    `path` is the file as found, `name` its path below the folder that was named. A rule without a
    level counts as medium. `called` is Sigma's `name`, which correlations use. `asked` are fields
    that correlations ask for; `silent` says that the rule only serves correlations and makes no
    finding of its own.
    """

    id: str
    title: str
    called: str
    description: str
    status: str
    level: Level
    category: str | None
    product: str | None
    service: str | None
    conditions: Sequence[Condition]
    fields: tuple[str, ...]
    tags: tuple[str, ...]
    techniques: tuple[str, ...]
    references: tuple[str, ...]
    false_positives: tuple[str, ...]
    path: str
    name: str
    lines: Mapping[tuple[str | int, ...], int]
    meta: Metadata
    raw: Mapping[str, Any]
    asked: tuple[str, ...] = ()
    silent: bool = False


def asks_removed(rule: Rule) -> bool:
    """Whether a rule wants rows that tell of an end: it says so, or tests the action."""
    return rule.meta.removed or "osquery.action" in rule.fields


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All that was loaded. `ignored` are YAML files found in folders that hold no rule; `filtered`
    says that some files change rules of others.

    Correlations stand after those they refer to.
    """

    rules: tuple[Rule, ...]
    correlations: tuple[Correlation, ...] = ()
    problems: tuple[Problem, ...] = ()
    ignored: tuple[str, ...] = ()
    filtered: bool = False

    @property
    def both(self) -> tuple[Rule | Correlation, ...]:
        """Rules and correlations."""
        return (*self.rules, *self.correlations)
