"""`molehunt test --mutate`: the conditions of the rules that no recording needs."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.proof.mutate import Mutation, far_problems, mutate, read_rows
from molehunt.detectors.proof.survivors import Reasons, load_survivors, stale
from molehunt.detectors.report.mutation import mutation_json, mutation_lines

from ..exits import Exit
from ..levels import Level
from ..problems import Problem, UsageError
from ..rule import Rule
from ..rulecache import cached_rules
from ..ruleset import load_rules
from ..taxonomy import taxonomy
from .common import choose, inputs_of, make_binder, named, put, show


def run(options: Namespace) -> Exit:
    """Mutate the named rules, or all; BAD_INPUT if a survivor of a high or critical rule has no
    reason, or a near miss kills nothing."""
    if options.format == "junit":
        raise UsageError("--mutate has no JUnit form; take --format json")
    kept, _ = cached_rules(named(options.rules))
    chosen = choose(list(kept.rules), options.only)
    # Mutants are made from the source, which kept rules do not have.
    sources = load_rules(sorted({rule.path for rule in chosen}))
    wanted = {rule.id for rule in chosen}
    scenarios, problems = load_scenarios(options.recordings)
    problems += kept.problems
    recorded = [
        seen
        for scenario in scenarios
        for seen in read_rows(
            scenario, taxonomy(), make_binder(scenario.config, []), inputs_of(scenario, [])
        )
    ]
    found = [
        mutate(rule, recorded, scenarios, taxonomy())
        for rule in _told(sources.rules, options)
        if rule.id in wanted
    ]
    path, reasons, wrong = load_survivors(options.recordings)
    problems += [*wrong, *stale(path, reasons, found, (rule.id for rule in kept.rules))]
    for one in found:
        problems += [*one.problems, *far_problems(one), *_unexplained(one, reasons)]
    if options.format == "json":
        put(options.output, _json(mutation_json(found, reasons)))
    else:
        put(options.output, "\n".join(mutation_lines(found, reasons)) + "\n")
    return show(problems)


def _told(rules: Sequence[Rule], options: Namespace) -> Iterator[Rule]:
    """The rules, with a word on the terminal now and then: hundreds take a minute."""
    for number, rule in enumerate(rules, 1):
        yield rule
        if sys.stderr.isatty() and not options.output:
            end = "\r" if number < len(rules) else "\r\x1b[K"
            print(f"{number} of {len(rules)} rules", end=end, file=sys.stderr)


def _unexplained(found: Mutation, reasons: Reasons) -> Iterator[Problem]:
    """One problem for all survivors of a high or critical rule that have no reason."""
    rule = found.rule
    left = [mutant for mutant in found.survivors if (rule.id, mutant.name) not in reasons]
    if rule.level >= Level.HIGH and left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        yield Problem(
            f"mutant survives: {left[0].name}{more}",
            rule.path,
            left[0].line,
            rule.id,
            "record rows that tell them from the rule, or write the reason in survivors.yml",
        )


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
