"""Coverage: which rule covers which behaviour on which system, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.behaviours import SIGN_IN, SYSTEMS, Behaviour
from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.rule import Rule, RuleSet
from molehunt.taxonomy import PRODUCT_PLATFORM

from .manifest import KINDS, Scenario

ALERTS = "covered"
CONTEXT = "context"
GAP = "gap"
BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Covering:
    """A rule or correlation with where it applies and how it is proven.

    `positives` and `near_misses` count recorded rows by kind, as the manifests list them
    (`molehunt test` holds them to it). `alerts` is false for observations and for context.
    """

    rule: Rule | Correlation
    systems: tuple[str, ...]
    positives: Mapping[str, int]
    near_misses: Mapping[str, int]

    @property
    def alerts(self) -> bool:
        """Whether it can make a human look by itself."""
        return self.rule.level >= Level.MEDIUM and not self.rule.meta.context_only

    @property
    def proof(self) -> str:
        """The strongest kind of row on which it must fire; "" if none is recorded."""
        return next((kind for kind in KINDS if self.positives.get(kind)), "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One behaviour on one system. `state` is `covered` (a rule of medium or above), `context`
    (observations only), `gap` (it could be seen, no rule looks) or `blind` (nothing shows it)."""

    state: str
    rules: tuple[Covering, ...] = ()

    @property
    def best(self) -> Covering | None:
        """The rule of the highest level that alerts, or else of the highest level; of those, the
        best proven."""
        if not self.rules:
            return None
        return max(self.rules, key=lambda one: (one.alerts, one.rule.level, _strength(one.proof)))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everything: a cell for each behaviour and system; rules that name no behaviour, or one that
    does not exist."""

    behaviours: tuple[Behaviour, ...]
    cells: Mapping[tuple[str, str], Cell]
    covering: tuple[Covering, ...]
    unplaced: tuple[Covering, ...]
    unknown: tuple[tuple[Covering, str], ...] = field(default=())


def coverage(
    ruleset: RuleSet, catalogue: Sequence[Behaviour], scenarios: Iterable[Scenario]
) -> Coverage:
    """Join rules and behaviours. A correlation that names no behaviour is held against those of its
    rules."""
    listed = list(scenarios)
    by_id = {rule.id: rule for rule in ruleset.both}
    covering = tuple(
        Covering(
            rule,
            tuple(_systems(rule, by_id)),
            _counted(rule.id, listed, "fires"),
            _counted(rule.id, listed, "near_misses"),
        )
        for rule in ruleset.both
    )
    known = {one.id for one in catalogue}
    cells = {
        (behaviour.id, system): _cell(behaviour, system, covering)
        for behaviour in catalogue
        for system in SYSTEMS
    }
    return Coverage(
        tuple(catalogue),
        cells,
        covering,
        tuple(one for one in covering if not one.rule.meta.behaviours),
        tuple(
            (one, name)
            for one in covering
            for name in one.rule.meta.behaviours
            if name not in known
        ),
    )


def _cell(behaviour: Behaviour, system: str, covering: Sequence[Covering]) -> Cell:
    rules = tuple(
        one
        for one in covering
        if behaviour.id in one.rule.meta.behaviours and system in one.systems
    )
    if rules:
        return Cell(ALERTS if any(one.alerts for one in rules) else CONTEXT, rules)
    return Cell(GAP if system in behaviour.sees else BLIND)


def _systems(rule: Rule | Correlation, by_id: Mapping[str, Rule | Correlation]) -> Iterator[str]:
    """The systems of a rule, in the catalogue's order; of a correlation, those of its rules."""
    if rule.meta.platforms:
        found = set(rule.meta.platforms)
    elif isinstance(rule, Correlation):
        found = {
            system
            for name in rule.rules
            if name in by_id
            for system in _systems(by_id[name], by_id)
        }
    elif rule.product in PRODUCT_PLATFORM:
        found = {PRODUCT_PLATFORM[rule.product]}
    elif rule.product in (None, "osquery"):
        found = set(SYSTEMS) - {SIGN_IN}
    else:
        found = {SIGN_IN}
    yield from (system for system in SYSTEMS if system in found)


def _counted(rule: str, scenarios: Sequence[Scenario], which: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for scenario in scenarios:
        expectations = scenario.fires if which == "fires" else scenario.near_misses
        spots = {s for one in expectations if one.rule == rule for s in one.spots}
        for spot in spots:
            kind = scenario.kinds[spot.log]
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def _strength(kind: str) -> int:
    return len(KINDS) - KINDS.index(kind) if kind else 0
