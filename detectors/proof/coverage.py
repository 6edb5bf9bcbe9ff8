"""Coverage: which rule covers which behaviour on which system, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.behaviours import SIGN_IN, SYSTEMS, Behaviour
from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.rule import Rule, RuleSet
from molehunt.taxonomy import PRODUCT_PLATFORM

from .manifest import KINDS, Scenario, Spot
from .mutate import Seen

ALERTS = "covered"
CONTEXT = "context"
GAP = "gap"
BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Covering:
    """A rule or correlation with where it applies and how it is proven.

    `positives` and `near_misses` count recorded rows by kind, as the manifests list them
    (`molehunt test` holds them to it); `on` has the kinds of the positives by system.
    """

    rule: Rule | Correlation
    systems: tuple[str, ...]
    positives: Mapping[str, int]
    near_misses: Mapping[str, int]
    on: Mapping[str, frozenset[str]]

    @property
    def alerts(self) -> bool:
        """Whether it can make a human look by itself."""
        return self.rule.level >= Level.MEDIUM and not self.rule.meta.context_only

    @property
    def proof(self) -> str:
        """The strongest kind of row on which it must fire; "" if none is recorded."""
        return next((kind for kind in KINDS if self.positives.get(kind)), "")

    def proof_on(self, system: str) -> str:
        """The same for the rows of one system."""
        return next((kind for kind in KINDS if kind in self.on.get(system, ())), "")


@dataclass(frozen=True, slots=True)
class Cell:
    """One behaviour on one system. `state` is `covered` (a rule of medium or above), `context`
    (observations only), `gap` (it could be seen, no rule looks) or `blind` (nothing shows it)."""

    state: str
    system: str
    rules: tuple[Covering, ...] = ()

    @property
    def best(self) -> Covering | None:
        """The rule of the highest level that alerts, or else of the highest level; of those, the
        best proven."""
        if not self.rules:
            return None
        return max(
            self.rules,
            key=lambda one: (one.alerts, one.rule.level, _strength(one.proof_on(self.system))),
        )

    @property
    def proof(self) -> str:
        """How the best rule is proven on this system; "" if it is not."""
        return self.best.proof_on(self.system) if self.best else ""


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
    ruleset: RuleSet,
    catalogue: Sequence[Behaviour],
    scenarios: Iterable[Scenario],
    recorded: Iterable[Seen],
) -> Coverage:
    """Join rules and behaviours. `recorded` are the rows of the scenarios: they tell systems."""
    listed = list(scenarios)
    places = _places(recorded)
    by_id = {rule.id: rule for rule in ruleset.both}
    covering = tuple(
        Covering(
            rule,
            tuple(_systems(rule, by_id)),
            _counted(rule.id, listed, "fires"),
            _counted(rule.id, listed, "near_misses"),
            _on(rule.id, listed, places),
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
        return Cell(ALERTS if any(one.alerts for one in rules) else CONTEXT, system, rules)
    return Cell(GAP if system in behaviour.sees else BLIND, system)


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


def _places(recorded: Iterable[Seen]) -> dict[tuple[str, Spot], str]:
    """The system of each row: that of its query, or else the only one of its scenario."""
    places: dict[tuple[str, Spot], str] = {}
    unsure: list[tuple[str, Spot]] = []
    found: dict[str, set[str]] = {}
    for seen in recorded:
        key = (seen.scenario.folder, seen.spot)
        platforms = seen.bound.binding.platforms
        if seen.bound.binding.how == "source":
            places[key] = SIGN_IN
        elif len(platforms) == 1:
            places[key] = next(iter(platforms))
            found.setdefault(key[0], set()).add(places[key])
        else:
            unsure.append(key)
    for folder, spot in unsure:
        if len(found.get(folder, ())) == 1:
            places[folder, spot] = next(iter(found[folder]))
    return places


def _on(
    rule: str, scenarios: Sequence[Scenario], places: Mapping[tuple[str, Spot], str]
) -> dict[str, frozenset[str]]:
    kinds: dict[str, set[str]] = {}
    for scenario in scenarios:
        for spot in {s for one in scenario.fires if one.rule == rule for s in one.spots}:
            system = places.get((scenario.folder, spot))
            if system is not None:
                kinds.setdefault(system, set()).add(scenario.kinds[spot.log])
    return {system: frozenset(found) for system, found in kinds.items()}


def _strength(kind: str) -> int:
    return len(KINDS) - KINDS.index(kind) if kind else 0
