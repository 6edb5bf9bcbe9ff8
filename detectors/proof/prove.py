"""Prove rules on their recordings: they fire where they must, and nowhere else.

Every verdict is taken twice, by the engine and by the slow evaluator; they must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.problems import Problem
from molehunt.rule import Rule, asks_removed
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import NO_INPUTS, Inputs
from ..matching.evaluate import View
from ..matching.plan import FastPlan
from ..matching.system import other_system
from ..reading.inputs import blocks
from ..schedule.binding import Binder
from ..tying import record_of
from .evaluator import Evaluator
from .manifest import KINDS, Expectation, Scenario, Spot
from .plans import Plans

Fired = dict[str, set[Spot]]


@dataclass(slots=True)
class RuleProof:
    """What stands behind a rule or correlation: recorded positives and near misses by kind."""

    rule: Rule | Correlation | Join
    positives: dict[str, int] = field(default_factory=dict)
    near_misses: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def best(self) -> str:
        """The strongest kind of row that the rule was seen to fire on; "" if none."""
        return next((kind for kind in KINDS if self.positives.get(kind)), "")


@dataclass(frozen=True, slots=True)
class Observed:
    """What happened in one scenario: the records each rule fired on, and those it looked at."""

    fired: Fired
    considered: Fired
    problems: tuple[Problem, ...]


def observe(
    scenario: Scenario,
    rules: Sequence[Rule],
    taxonomy: Taxonomy,
    binder: Binder,
    inputs: Inputs = NO_INPUTS,
) -> Observed:
    """Run the rules over one scenario. Broken log lines are problems there like anywhere."""
    plan = Plans(rules, taxonomy).plan(scenario, binder, inputs)
    return observe_with(plan, scenario, Evaluator())


def observe_with(plan: FastPlan, scenario: Scenario, evaluator: Evaluator) -> Observed:
    """The same with a plan over the rules, and an evaluator that may have seen other scenarios."""
    fired: Fired = {}
    considered: Fired = {}
    problems: list[Problem] = []
    for log in scenario.kinds:
        for row in plan.rows(blocks(scenario.path(log), problems.append), problems.append):
            bound = plan.bound(row)
            spot = Spot(log, row.locator.line, row.locator.row)
            record = record_of(row, bound.binding, bound.tie)
            for rule, fields, holds in plan.asking(bound):
                if row.action == "removed" and not asks_removed(rule):
                    continue
                slow = evaluator.holds(rule, View(record, fields))
                if slow and (other := other_system(rule, bound.binding)) is not None:
                    slow = not other(row)
                if slow != holds(row):
                    what = "engine and evaluator disagree: report this as a bug of molehunt"
                    problems.append(Problem(what, scenario.path(log), spot.line, rule.id))
                considered.setdefault(rule.id, set()).add(spot)
                if slow:
                    fired.setdefault(rule.id, set()).add(spot)
    return Observed(fired, considered, tuple(problems))


def prove(
    rules: Sequence[Rule],
    observed: Sequence[tuple[Scenario, Observed]],
    known: Mapping[str, Rule | Correlation | Join],
) -> tuple[list[RuleProof], list[Problem]]:
    """Hold what happened against what the manifests say.

    `rules` are to be proven, `known` are all rules and correlations by id. Problems that belong to
    no proven rule come separately.
    """
    proofs = {rule.id: RuleProof(rule) for rule in rules}
    others: list[Problem] = []
    for scenario, seen in observed:
        others += [p for p in seen.problems if p.rule is None]
        for problem in (p for p in seen.problems if p.rule in proofs):
            proofs[str(problem.rule)].problems.append(problem)
        others += _unknown(scenario, known)
        for proof in proofs.values():
            _hold(proof, scenario, seen)
    for proof in proofs.values():
        proof.problems += lacking(proof)
    return list(proofs.values()), others


def _unknown(
    scenario: Scenario, known: Mapping[str, Rule | Correlation | Join]
) -> Iterator[Problem]:
    for expectation in (*scenario.fires, *scenario.near_misses):
        if expectation.rule not in known:
            yield Problem(
                f"names a rule that does not exist: {expectation.rule}",
                scenario.path("manifest.yml"),
                hint="correct the id or delete the entry",
            )


def _hold(proof: RuleProof, scenario: Scenario, seen: Observed) -> None:
    rule, path = proof.rule.id, scenario.path("manifest.yml")
    wanted = set(_spots(scenario.fires, rule))
    fired = seen.fired.get(rule, set())
    for spot in sorted(wanted - fired):
        what = f"should fire on {place(scenario, spot)}" + _looked(seen, rule, spot)
        proof.problems.append(Problem(what, path, rule=rule, hint="molehunt explain shows why"))
    for spot in sorted(fired - wanted):
        what = f"fires on {place(scenario, spot)}, which the manifest does not list"
        proof.problems.append(Problem(what, path, rule=rule))
    for spot in wanted & fired:
        kind = scenario.kinds[spot.log]
        proof.positives[kind] = proof.positives.get(kind, 0) + 1
    for spot in sorted(set(_spots(scenario.near_misses, rule))):
        if spot in fired:
            what = f"near miss {place(scenario, spot)} fires"
        elif spot not in seen.considered.get(rule, set()):
            what = f"near miss {place(scenario, spot)} is not of the rule's log source"
        else:
            kind = scenario.kinds[spot.log]
            proof.near_misses[kind] = proof.near_misses.get(kind, 0) + 1
            continue
        proof.problems.append(Problem(what, path, rule=rule))


def _spots(expectations: Sequence[Expectation], rule: str) -> Iterator[Spot]:
    for expectation in expectations:
        if expectation.rule == rule:
            yield from expectation.spots


def place(scenario: Scenario, spot: Spot) -> str:
    """Where a record stands, for people."""
    return f"{scenario.path(spot.log)}:{spot.line}" + (f":{spot.row}" if spot.row else "")


def _looked(seen: Observed, rule: str, spot: Spot) -> str:
    if spot in seen.considered.get(rule, set()):
        return " but does not"
    return " but never looks at it (another log source, or columns are missing)"


def lacking(proof: RuleProof) -> Iterator[Problem]:
    """What a rule or correlation has no recording of."""
    rule = proof.rule
    missing = ["no recording on which it must fire"] if not sum(proof.positives.values()) else []
    if not sum(proof.near_misses.values()):
        missing.append("no recorded near miss")
    for what in missing:
        # Lines are found by reading the file again: only where there is something to tell.
        yield Problem(what, rule.path, rule.lines.get(("title",)), rule.id)
    if proof.best == "invented" and rule.status != "experimental":
        what = f"proven on invented rows only, so its status is experimental, not {rule.status}"
        yield Problem(what, rule.path, rule.lines.get(("status",)), rule.id)


def held(rule: Rule, scenario: Scenario, seen: Observed) -> RuleProof:
    """One rule held against one scenario, whatever the others say."""
    proof = RuleProof(rule, problems=[p for p in seen.problems if p.rule == rule.id])
    _hold(proof, scenario, seen)
    return proof


def unsound(
    scenario: Scenario, seen: Observed, known: Mapping[str, Rule | Correlation | Join]
) -> list[Problem]:
    """What is wrong with a scenario itself: broken lines, rules that do not exist."""
    return [*(p for p in seen.problems if p.rule is None), *_unknown(scenario, known)]


def concerned(scenario: Scenario, seen: Observed, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that a scenario names, or that fired in it all the same."""
    named = {one.rule for one in (*scenario.fires, *scenario.near_misses)}
    return [rule for rule in rules if rule.id in named or seen.fired.get(rule.id)]
