"""`molehunt test`: prove rules on their recordings."""

from __future__ import annotations

import sys
from argparse import Namespace

from molehunt.detectors.enriching.inputs import Inputs, load_inputs
from molehunt.detectors.findings.organisation import load_organisation
from molehunt.detectors.proof.correlate import Correlations, correlate, prove_correlations
from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.prove import Observed, observe, prove
from molehunt.detectors.report.proofs import happened_yaml, manifest_yaml, proof_lines

from ..correlation import Correlation
from ..exits import Exit
from ..problems import Problem, Severity, UsageError
from ..rule import Rule, RuleSet
from ..taxonomy import taxonomy
from .common import load, make_binder, pick, pick_correlations, show


def run(options: Namespace) -> Exit:
    """Prove the named rules and correlations, or all; exit with BAD_INPUT if any proof fails."""
    ruleset = load(options.rules)
    problems: list[Problem] = list(ruleset.problems)
    scenarios, found = load_scenarios(options.recordings)
    problems += found
    rules = list(ruleset.rules)
    chosen, correlations = _chosen(ruleset, options.only)
    if options.show:
        return _show_scenario(options.show, scenarios, ruleset)
    observed = [(scenario, _observe(scenario, rules, problems)) for scenario in scenarios]
    proofs, others = prove(chosen, observed, {one.id: one for one in ruleset.both})
    if correlations:
        together = [(each, _correlate(each, ruleset, problems)) for each in scenarios]
        proofs += prove_correlations(correlations, together)
    for line in proof_lines(proofs):
        print(line)
    problems += others
    problems += [problem for proof in proofs for problem in proof.problems]
    if not proofs:
        problems.append(Problem("no rules to prove"))
    return show(problems)


def _chosen(ruleset: RuleSet, wanted: list[str]) -> tuple[list[Rule], list[Correlation]]:
    if not wanted:
        return list(ruleset.rules), list(ruleset.correlations)
    rules: dict[str, Rule] = {}
    correlations: dict[str, Correlation] = {}
    for word in wanted:
        found, others = pick(ruleset.rules, word), pick_correlations(ruleset.correlations, word)
        if not found and not others:
            raise UsageError(f"no rule with id, title or file '{word}'")
        rules |= {rule.id: rule for rule in found}
        correlations |= {one.id: one for one in others}
    return list(rules.values()), list(correlations.values())


def _observe(scenario: Scenario, rules: list[Rule], problems: list[Problem]) -> Observed:
    found: list[Problem] = []
    binder = make_binder(scenario.config, found)
    # A warning about the recording's own configuration is no defect of a rule.
    problems += [problem for problem in found if problem.severity is Severity.ERROR]
    return observe(scenario, rules, taxonomy(), binder, _inputs(scenario, problems))


def _inputs(scenario: Scenario, problems: list[Problem]) -> Inputs:
    return load_inputs(scenario.entities, scenario.mmdb, taxonomy().stores, problems)


def _correlate(scenario: Scenario, ruleset: RuleSet, problems: list[Problem]) -> Correlations:
    organisation = None
    if scenario.organisation:
        organisation, found = load_organisation(scenario.organisation)
        problems += [problem for problem in found if problem.severity is Severity.ERROR]
    # What is wrong with its configuration was told when the rules were proven.
    binder = make_binder(scenario.config, [])
    return correlate(scenario, ruleset, taxonomy(), binder, organisation, _inputs(scenario, []))


def _show_scenario(name: str, scenarios: list[Scenario], ruleset: RuleSet) -> Exit:
    for scenario in scenarios:
        if name in (scenario.name, scenario.folder):
            problems: list[Problem] = []
            seen = _observe(scenario, list(ruleset.rules), problems)
            together = _correlate(scenario, ruleset, problems)
            for line in manifest_yaml(seen.fired, ruleset.rules):
                print(line)
            for line in happened_yaml(together.happened, ruleset.correlations):
                print(line)
            return show([*problems, *seen.problems, *together.problems])
    print(f"scenarios: {', '.join(scenario.name for scenario in scenarios)}", file=sys.stderr)
    raise UsageError(f"no scenario '{name}'")
