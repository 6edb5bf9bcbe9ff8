"""`molehunt test`: prove rules on their recordings."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from molehunt.detectors.proof.cases import Case, cases
from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.prove import Observed, RuleProof, observe, prove
from molehunt.detectors.report.proofs import manifest_yaml, proof_lines, proofs_json, proofs_junit

from ..exits import Exit
from ..problems import Problem, Severity, UsageError
from ..rule import Rule
from ..taxonomy import taxonomy
from .common import choose, load, make_binder, put, show


def run(options: Namespace) -> Exit:
    """Prove the named rules, or all; exit with BAD_INPUT if any proof fails."""
    if options.mutate:
        from . import mutate

        return mutate.run(options)
    ruleset = load(options.rules)
    problems: list[Problem] = list(ruleset.problems)
    scenarios, found = load_scenarios(options.recordings)
    problems += found
    rules = list(ruleset.rules)
    chosen = choose(rules, options.only)
    if options.show:
        return _show_scenario(options.show, scenarios, rules)
    observed = [(scenario, _observe(scenario, rules, problems)) for scenario in scenarios]
    proofs, others = prove(chosen, observed, {rule.id: rule for rule in rules})
    if options.format == "table":
        put(options.output, "\n".join(proof_lines(proofs)) + "\n")
    else:
        loading = Case("rules and manifests load", None, "", options.recordings, tuple(problems))
        known = {rule.id: rule for rule in rules}
        listed = [loading, *cases(chosen, observed, proofs, known)]
        put(options.output, _written(options.format, proofs, listed))
    problems += others
    problems += [problem for proof in proofs for problem in proof.problems]
    if not proofs:
        problems.append(Problem("no rules to prove"))
    return show(problems)


def _written(kind: str, proofs: list[RuleProof], listed: list[Case]) -> str:
    if kind == "junit":
        return proofs_junit(listed)
    return json.dumps(proofs_json(proofs, listed), indent=2) + "\n"


def _observe(scenario: Scenario, rules: list[Rule], problems: list[Problem]) -> Observed:
    found: list[Problem] = []
    binder = make_binder(scenario.config, found)
    # A warning about the recording's own configuration is no defect of a rule.
    problems += [problem for problem in found if problem.severity is Severity.ERROR]
    return observe(scenario, rules, taxonomy(), binder)


def _show_scenario(name: str, scenarios: list[Scenario], rules: list[Rule]) -> Exit:
    for scenario in scenarios:
        if name in (scenario.name, scenario.folder):
            problems: list[Problem] = []
            seen = _observe(scenario, rules, problems)
            for line in manifest_yaml(seen.fired, rules):
                print(line)
            return show([*problems, *seen.problems])
    print(f"scenarios: {', '.join(scenario.name for scenario in scenarios)}", file=sys.stderr)
    raise UsageError(f"no scenario '{name}'")
