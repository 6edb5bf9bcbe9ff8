"""Mutation: which conditions of a rule some recording needs, and which none does.

A mutant is killed if its verdict on any recorded row differs from the rule's, since the manifests
say of every row whether the rule fires on it. Rows are parsed once and shared by all rules; rows
that a rule cannot tell apart are looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from molehunt.conditions import Keyword, Text, Wild
from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.levels import Level
from molehunt.problems import Problem, Severity
from molehunt.rule import Rule, asks_removed
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import NO_INPUTS, Inputs
from ..matching.base import Bound
from ..matching.fields import FieldMap, resolve
from ..matching.plan import compile_plan
from ..matching.predicates import Predicate, compile_condition, compile_where
from ..matching.system import other_system
from ..reading.inputs import blocks
from ..records import Binding, Row
from ..schedule.binding import Binder
from .loose import loosened
from .manifest import Expectation, Scenario, Spot
from .mutants import conditions_of, mutants, with_conditions


@dataclass(frozen=True, slots=True)
class Seen:
    """One row of a recording, with what is known of its query."""

    scenario: Scenario
    spot: Spot
    row: Row
    bound: Bound


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: its name, the line of what was changed (None if it is not known),
    and what kills it: the first such recorded row or, of a correlation, manifest; None if it
    survived."""

    name: str
    line: int | None
    killed_by: str | None


@dataclass(slots=True)
class Mutation:
    """All mutants of one rule, correlation or join, the near misses that no change lets in, and
    what was wrong. `level` is that at which they matter: of one that only serves others, the
    highest of these."""

    rule: Rule | Correlation | Join
    level: Level
    verdicts: list[Verdict] = field(default_factory=list)
    far_misses: list[tuple[str, Expectation]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many mutants a recording kills."""
        return sum(verdict.killed_by is not None for verdict in self.verdicts)

    @property
    def survivors(self) -> list[Verdict]:
        """The mutants that no recording kills."""
        return [verdict for verdict in self.verdicts if verdict.killed_by is None]


def read_rows(
    scenario: Scenario, taxonomy: Taxonomy, binder: Binder, inputs: Inputs = NO_INPUTS
) -> tuple[Seen, ...]:
    """Every row of a scenario. Broken lines are left out: `prove` tells of them."""
    plan = compile_plan((), taxonomy, binder, scan="")
    plan.inputs = inputs
    problems: list[Problem] = []
    return tuple(
        Seen(scenario, Spot(log, row.locator.line, row.locator.row), row, plan.bound(row))
        for log in scenario.kinds
        for row in plan.rows(blocks(scenario.path(log), problems.append), problems.append)
    )


def mutate(
    rule: Rule, recorded: Sequence[Seen], scenarios: Sequence[Scenario], taxonomy: Taxonomy
) -> Mutation:
    """Try every mutant of one rule on all recorded rows.

    A rule that does not do what the manifests say is not mutated: that would measure nothing.
    """
    found = Mutation(rule, rule.level)
    conditions = conditions_of(rule.raw.get("detection") or {})
    if conditions is None:
        return found
    rule = with_conditions(rule, conditions)
    judge = _Judge(rule, taxonomy)
    rows = [seen for seen in recorded if judge.concerns(seen)]
    fired = {id(seen) for seen in rows if judge.holds(rule, seen)}
    wanted = {
        (scenario.folder, spot)
        for scenario in scenarios
        for expectation in scenario.fires
        if expectation.rule == rule.id
        for spot in expectation.spots
    }
    if {_key(seen) for seen in rows if id(seen) in fired} != wanted:
        what = "does not do what the manifests say, so it was not mutated"
        found.problems.append(
            Problem(what, rule.path, rule=rule.id, hint="run molehunt test without --mutate")
        )
        return found
    misses = _misses(rule, scenarios)
    near = {spot for _, spots in misses for spot in spots}
    cases = _apart(judge, rows, fired, near)
    let_in: set[tuple[str, Spot]] = set()
    near_rows = [seen for seen in rows if _key(seen) in near]
    for mutant in mutants(rule):
        killer = next(
            (seen for seen in cases if judge.holds(mutant.rule, seen) != (id(seen) in fired)), None
        )
        where = None if killer is None else killer.scenario.path(killer.spot.log)
        place = None if killer is None else f"{where}:{killer.spot.line}"
        found.verdicts.append(Verdict(mutant.name, mutant.line, place))
        if mutant.near:
            let_in |= {_key(seen) for seen in near_rows if judge.holds(mutant.rule, seen)}
    for _, looser in loosened(conditions) if near - let_in else ():
        loose = with_conditions(rule, looser)
        let_in |= {_key(seen) for seen in near_rows if judge.holds(loose, seen)}
    found.far_misses = [
        (scenario_file, expectation)
        for (scenario_file, expectation), spots in misses
        if not spots & let_in
    ]
    return found


_Key = tuple[str, Spot]


def _key(seen: Seen) -> _Key:
    return seen.scenario.folder, seen.spot


def _misses(
    rule: Rule, scenarios: Iterable[Scenario]
) -> list[tuple[tuple[str, Expectation], set[_Key]]]:
    return [
        (
            (scenario.path("manifest.yml"), expectation),
            {(scenario.folder, spot) for spot in expectation.spots},
        )
        for scenario in scenarios
        for expectation in scenario.near_misses
        if expectation.rule == rule.id
    ]


def _apart(judge: _Judge, rows: list[Seen], fired: set[int], near: set[_Key]) -> list[Seen]:
    """The rows that the rule can tell apart, those first that are most likely to kill."""
    ordered = sorted(rows, key=lambda seen: (id(seen) not in fired, _key(seen) not in near))
    return list({judge.look(seen): seen for seen in reversed(ordered)}.values())[::-1]


class _Judge:
    """Verdicts of a rule and its mutants; remembers how each reads the rows of each query."""

    def __init__(self, rule: Rule, taxonomy: Taxonomy) -> None:
        self._rule = rule
        self._taxonomy = taxonomy
        self._removed = asks_removed(rule)
        # Asks for nothing in particular: whether a query is of the log source at all.
        anything = Keyword(Text((Wild.ANY,)))
        self._open = replace(rule, conditions=(anything,), fields=())
        self._concerned: dict[int, Callable[[Row], bool]] = {}
        self._maps: dict[tuple[int, tuple[str, ...]], FieldMap | None] = {}
        self._last: tuple[Rule, dict[int, Predicate | None]] = (rule, {})
        self._keywords = any(_has_keyword(node) for node in rule.conditions)

    def concerns(self, seen: Seen) -> bool:
        """Whether the row is of the rule's log source."""
        if seen.row.action == "removed" and not self._removed:
            return False
        key = id(seen.bound)
        if key not in self._concerned:
            self._concerned[key] = self._of_its_source(seen.bound.binding)
        return self._concerned[key](seen.row)

    def _of_its_source(self, binding: Binding) -> Callable[[Row], bool]:
        if resolve(self._open, binding, self._taxonomy) is None:
            return lambda _: False
        other = other_system(self._rule, binding)
        return lambda row: other is None or not other(row)

    def look(self, seen: Seen) -> tuple[object, ...]:
        """What the rule can see of a row; two rows that look alike are judged alike."""
        row = seen.row
        columns: Iterable[str] = row.values
        fields = self._fields(self._rule, seen.bound)
        if not self._keywords and fields is not None:
            columns = [
                *(place.name for place in fields.places.values() if place.kind == "column"),
                *(name for name, _ in fields.where),
            ]
        values = tuple((name, row.values.get(name)) for name in columns)
        envelope = (row.action, row.query, row.host, row.counter)
        asks = any(name.startswith(("osquery.", "decorations.")) for name in self._rule.fields)
        return (
            id(seen.bound),
            repr(values),
            envelope if asks else row.action,
            repr(sorted(row.decorations.items())) if asks else "",
        )

    def holds(self, rule: Rule, seen: Seen) -> bool:
        """Whether a rule (this one or a mutant of it) fires on a row that concerns it."""
        if self._last[0] is not rule:
            self._last = (rule, {})
        tests = self._last[1]
        key = id(seen.bound)
        if key not in tests:
            fields = self._fields(rule, seen.bound)
            tests[key] = None if fields is None else _test(rule, fields)
        test = tests[key]
        return test is not None and test(seen.row)

    def _fields(self, rule: Rule, bound: Bound) -> FieldMap | None:
        # Whether a query supplies enough depends on the condition, so only texts may differ here.
        same = rule.fields == self._rule.fields and rule is not self._rule
        key = (id(bound), () if rule is self._rule or same else ("changed", *rule.fields))
        if key[1]:
            return resolve(rule, bound.binding, self._taxonomy)
        if key not in self._maps:
            self._maps[key] = resolve(self._rule, bound.binding, self._taxonomy)
        found = self._maps[key]
        # A query that lacks a field may be enough for the mutant.
        lacking = found is None or any(p.kind == "absent" for p in found.places.values())
        return resolve(rule, bound.binding, self._taxonomy) if same and lacking else found


def _test(rule: Rule, fields: FieldMap) -> Predicate:
    conditions = [compile_condition(condition, fields) for condition in rule.conditions]
    where = compile_where(fields)
    return lambda row: (where is None or where(row)) and any(c(row) for c in conditions)


def _has_keyword(node: object) -> bool:
    if isinstance(node, Keyword):
        return True
    children = getattr(node, "args", ()) or ((node.arg,) if hasattr(node, "arg") else ())
    return any(_has_keyword(child) for child in children)


def far_problems(found: Mutation) -> Iterator[Problem]:
    """A problem for each near miss that no change of the rule lets in."""
    for path, expectation in found.far_misses:
        spot = expectation.spots[0]
        yield Problem(
            f"near miss {spot.log}:{spot.line} kills nothing: no one change lets it in",
            path,
            rule=found.rule.id,
            hint="let it differ from the positive in the one thing that the rule is about",
            severity=Severity.WARNING,
        )
