"""What a rule asks of osquery's rows, as text in the language of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from molehunt.conditions import Condition
from molehunt.detectors.matching.fields import FieldMap
from molehunt.rule import Rule

from .model import Profile
from .remembered import remembered


class Where(Protocol):
    """Says conditions in the language."""

    differences: set[str]

    def condition(self, node: Condition) -> str:
        """The condition."""

    def belongs(self) -> str:
        """That a row is of the rule's log source."""


class Asked(NamedTuple):
    """What a rule asks of osquery's rows that it reads in one way: that they are of its log source,
    and its condition. `read` has the names that both need, with how they are made."""

    belongs: str
    test: str
    read: Mapping[str, str]
    differences: frozenset[str]


def asked(
    rule: Rule,
    fields: FieldMap,
    profile: Profile,
    language: Callable[[dict[str, str]], Where],
    either: Callable[[list[str]], str],
) -> Asked:
    """The same each time: a correlation asks again what its members ask.

    `language` gives what says conditions and collects the names they need, `either` puts
    alternatives together.
    """

    def made() -> Asked:
        read: dict[str, str] = {}
        where = language(read)
        test = either([where.condition(one) for one in rule.conditions])
        return Asked(where.belongs(), test, read, frozenset(where.differences))

    return remembered(made, "asked", rule, fields, profile)
