"""`molehunt test`: prove rules on their recordings."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import NamedTuple

from molehunt.detectors.proof.cases import Case, cases
from molehunt.detectors.proof.correlate import (
    Correlations,
    correlate,
    plans_for,
    prove_correlations,
)
from molehunt.detectors.proof.height import Heights, findings_with, too_high
from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.plans import Plans
from molehunt.detectors.proof.prove import Observed, RuleProof, observe_with, prove
from molehunt.detectors.report.proofs import (
    happened_yaml,
    manifest_yaml,
    proof_lines,
    proofs_json,
    proofs_junit,
)

from ..exits import Exit
from ..joins import Join, load_joins
from ..problems import Problem, Severity, UsageError
from ..processes import mapped
from ..rule import Rule, RuleSet
from ..taxonomy import taxonomy
from .common import (
    choose_all,
    inputs_of,
    load,
    make_binder,
    named,
    organisation_of,
    put,
    show,
)

# From so many scenarios on, processes share them.
SHARED = 8


class Looked(NamedTuple):
    """What came of one scenario: the records that rules fired on, findings that are too high, what
    correlations and joins did, and what is wrong with how it is read."""

    observed: Observed
    wrong: list[Problem]
    high: list[Problem]
    together: Correlations
    wrong_together: list[Problem]


def run(options: Namespace) -> Exit:
    """Prove the named rules and correlations, or all; exit with BAD_INPUT if any proof fails."""
    if options.mutate:
        from . import mutate

        return mutate.run(options)
    ruleset = load(options.rules)
    problems: list[Problem] = list(ruleset.problems)
    scenarios, found = load_scenarios(options.recordings)
    problems += found
    rules = list(ruleset.rules)
    joins, found = load_joins(named(options.rules), rules)
    problems += found
    chosen, correlations = choose_all(ruleset, joins, options.only)
    if options.show:
        return _show_scenario(options.show, scenarios, ruleset, joins)
    look = _looking(ruleset, chosen, joins, bool(correlations))
    seen = mapped(look, scenarios, SHARED)
    observed = [(each, one.observed) for each, one in zip(scenarios, seen, strict=True)]
    problems += [problem for one in seen for problem in one.wrong]
    problems += [problem for one in seen for problem in one.high]
    known = {one.id: one for one in (*ruleset.both, *joins)}
    proofs, others = prove(chosen, observed, known)
    if options.format != "table":
        loading = Case("rules and manifests load", None, "", options.recordings, tuple(problems))
        listed = [loading, *cases(chosen, observed, proofs, known)]
    if correlations:
        together = [(each, one.together) for each, one in zip(scenarios, seen, strict=True)]
        problems += [problem for one in seen for problem in one.wrong_together]
        proofs += prove_correlations(correlations, together)
    if options.format == "table":
        put(options.output, "\n".join(proof_lines(proofs)) + "\n")
    else:
        put(options.output, _written(options.format, proofs, listed))
    problems += others
    problems += [problem for proof in proofs for problem in proof.problems]
    if not proofs:
        problems.append(Problem("no rules to prove"))
    return show(problems)


def _looking(
    ruleset: RuleSet, chosen: list[Rule], joins: list[Join], correlates: bool
) -> Callable[[Scenario], Looked]:
    """What looks at one scenario after the other; what rules make of a query serves them all."""
    plans, heights = Plans(chosen, taxonomy()), Heights(ruleset, taxonomy(), joins)
    plans_together = plans_for(ruleset, taxonomy(), joins)

    def look(scenario: Scenario) -> Looked:
        wrong, wrong_together = list[Problem](), list[Problem]()
        observed = _observe(scenario, plans, wrong)
        together = Correlations({}, {})
        if correlates:
            together = _correlate(scenario, ruleset, joins, plans_together, wrong_together)
        high = _too_high(scenario, heights)
        return Looked(observed, wrong, high, together, wrong_together)

    return look


def _written(kind: str, proofs: list[RuleProof], listed: list[Case]) -> str:
    if kind == "junit":
        return proofs_junit(listed)
    return json.dumps(proofs_json(proofs, listed), indent=2) + "\n"


def _observe(scenario: Scenario, plans: Plans, problems: list[Problem]) -> Observed:
    found: list[Problem] = []
    binder = make_binder(scenario.config, found)
    # A warning about the recording's own configuration is no defect of a rule.
    problems += [problem for problem in found if problem.severity is Severity.ERROR]
    plan = plans.plan(scenario, binder, inputs_of(scenario, problems))
    return observe_with(plan, scenario, plans.evaluator)


def _correlate(
    scenario: Scenario,
    ruleset: RuleSet,
    joins: list[Join],
    plans: Plans,
    problems: list[Problem],
) -> Correlations:
    organisation = organisation_of(scenario, problems)
    # What is wrong with its configuration was told when the rules were proven.
    binder = make_binder(scenario.config, [])
    inputs = inputs_of(scenario, [])
    return correlate(scenario, ruleset, plans, binder, organisation, joins, inputs)


def _too_high(scenario: Scenario, heights: Heights) -> list[Problem]:
    if scenario.at_most is None:
        return []
    # What is wrong with its inputs was told, or will be, where rules and correlations are proven.
    organisation, binder = organisation_of(scenario, []), make_binder(scenario.config, [])
    inputs = inputs_of(scenario, [])
    found = findings_with(heights, scenario, binder, organisation, inputs)
    return list(too_high(scenario, found))


def _show_scenario(
    name: str, scenarios: list[Scenario], ruleset: RuleSet, joins: list[Join]
) -> Exit:
    for scenario in scenarios:
        if name in (scenario.name, scenario.folder):
            problems: list[Problem] = []
            seen = _observe(scenario, Plans(ruleset.rules, taxonomy()), problems)
            plans = plans_for(ruleset, taxonomy(), joins)
            together = _correlate(scenario, ruleset, joins, plans, problems)
            for line in manifest_yaml(seen.fired, ruleset.rules):
                print(line)
            for line in happened_yaml(together.happened, [*ruleset.correlations, *joins]):
                print(line)
            return show([*problems, *seen.problems, *together.problems])
    print(f"scenarios: {', '.join(scenario.name for scenario in scenarios)}", file=sys.stderr)
    raise UsageError(f"no scenario '{name}'")
