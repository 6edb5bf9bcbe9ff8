"""The finding: one model for every output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from molehunt.levels import Level

from ..records import Locator, Reason, Value


class Technique(NamedTuple):
    """An ATT&CK technique with its tactics, by MITRE's names."""

    id: str
    name: str
    tactics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record that matched.

    `basis` is `event` (an event said so), `new` (the row appeared), `present` (it was there when
    osquery first looked, or in a snapshot) or `gone` (a rule on removed rows). `at` and `until` are
    seconds since 1970 UTC; `until` is set where the row was seen to go away. `host` is the
    identifier of its host, `rule` the id of the rule that it matched.
    """

    where: Locator
    query: str
    at: float | None
    until: float | None
    basis: str
    reasons: tuple[Reason, ...]
    values: tuple[tuple[str, Value], ...]
    host: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Raise:
    """A context-only rule that lifted this finding: which rule, how often, where first."""

    rule: str
    title: str
    count: int
    where: Locator


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found on one entity or, by a correlation, in one group.

    `id` hashes the rule id, the entity and the rule's identity fields, never a time or a path: the
    same thing again is the same finding. `level` is what counts; `rule_level` is the rule's own,
    lower where `raised_by` says so. `count` is exact; `evidence` is the earliest few. `hosts` are
    identifier and name of all its hosts, sorted; `host` is the first of them.
    """

    id: str
    rule: str
    title: str
    description: str
    rule_level: Level
    level: Level
    status: str
    host: str
    host_name: str
    users: tuple[str, ...]
    identity: tuple[tuple[str, Value], ...]
    first_seen: float | None
    last_seen: float | None
    count: int
    evidence: tuple[Evidence, ...]
    techniques: tuple[Technique, ...]
    raised_by: tuple[Raise, ...]
    missing_filters: tuple[str, ...]
    false_positives: tuple[str, ...]
    next_steps: tuple[str, ...]
    references: tuple[str, ...]
    hosts: tuple[tuple[str, str], ...] = ()

    @property
    def all_hosts(self) -> tuple[tuple[str, str], ...]:
        """Identifier and name of every host that the finding is about; at least one."""
        return self.hosts or ((self.host, self.host_name),)


__all__ = ["Evidence", "Finding", "Level", "Raise", "Reason", "Technique"]
