"""`molehunt test --mutate`: the conditions of the rules that no recording needs."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence

from molehunt.detectors.proof.correlate import gather, plans_for
from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.mutate import Mutation, far_problems, mutate, read_rows
from molehunt.detectors.proof.mutate_joint import mutate_joint, sourced, widened
from molehunt.detectors.proof.survivors import Reasons, load_survivors, stale, unexplained
from molehunt.detectors.report.mutation import mutation_json, mutation_junit, mutation_lines

from ..correlation import Correlation
from ..exits import Exit
from ..joins import Join, load_joins
from ..problems import Problem
from ..processes import mapped
from ..rule import Rule, RuleSet
from ..rulecache import cached_rules
from ..ruleset import load_rules
from ..taxonomy import taxonomy
from .common import choose_all, inputs_of, make_binder, named, organisation_of, put, show

# From so many rules on, processes share them.
SHARED = 8


def run(options: Namespace) -> Exit:
    """Mutate the named rules, correlations and joins, or all; BAD_INPUT if a survivor of a high or
    critical one has no reason."""
    kept, _ = cached_rules(named(options.rules))
    joins, wrong = load_joins(named(options.rules), kept.rules)
    rules, others = choose_all(kept, joins, options.only)
    scenarios, problems = load_scenarios(options.recordings)
    problems += [*kept.problems, *wrong]
    found = [*_rules(rules, scenarios, problems, options)]
    if others:
        found += _joint(others, kept, joins, scenarios)
    path, reasons, wrong = load_survivors(options.recordings)
    known = [one.id for one in (*kept.both, *joins)]
    problems += [*wrong, *stale(path, reasons, found, known)]
    for one in found:
        problems += [*one.problems, *far_problems(one), *unexplained(one, reasons)]
    put(options.output, _written(options.format, found, reasons))
    return show(problems)


def _rules(
    chosen: Sequence[Rule],
    scenarios: Sequence[Scenario],
    problems: list[Problem],
    options: Namespace,
) -> Iterator[Mutation]:
    if not chosen:
        return
    # Mutants are made from the source, which kept rules do not have.
    sources = load_rules(sorted({rule.path for rule in chosen}))
    wanted = {rule.id for rule in chosen}
    recorded = [
        seen
        for scenario in scenarios
        for seen in read_rows(
            scenario, taxonomy(), make_binder(scenario.config, []), inputs_of(scenario, problems)
        )
    ]
    asked = [rule for rule in sources.rules if rule.id in wanted]
    told = _telling(len(asked), options)

    def mutated(item: tuple[int, Rule]) -> Mutation:
        told(item[0])
        return mutate(item[1], recorded, scenarios, taxonomy())

    yield from mapped(mutated, list(enumerate(asked, 1)), SHARED)


def _joint(
    chosen: Sequence[Correlation | Join],
    kept: RuleSet,
    joins: Sequence[Join],
    scenarios: Sequence[Scenario],
) -> Iterator[Mutation]:
    sources = [sourced(one) if isinstance(one, Correlation) else one for one in chosen]
    wide = widened(kept)
    plans = plans_for(wide, taxonomy(), joins)
    recorded = [
        gather(
            scenario,
            plans,
            make_binder(scenario.config, []),
            organisation_of(scenario, []),
            inputs_of(scenario, []),
        )
        for scenario in scenarios
    ]
    return mutate_joint(sources, wide, joins, recorded)


def _telling(rules: int, options: Namespace) -> Callable[[int], None]:
    """Says on the terminal which rule it is at: hundreds take minutes. Others that share the work
    are silent."""
    process = os.getpid()

    def tell(number: int) -> None:
        if os.getpid() == process and sys.stderr.isatty() and not options.output:
            end = "\r" if number < rules else "\r\x1b[K"
            print(f"{number} of {rules} rules", end=end, file=sys.stderr, flush=True)

    return tell


def _written(kind: str, found: Sequence[Mutation], reasons: Reasons) -> str:
    if kind == "junit":
        return mutation_junit(found, reasons)
    if kind == "json":
        import json

        return json.dumps(mutation_json(found, reasons), indent=2) + "\n"
    return "\n".join(mutation_lines(found, reasons)) + "\n"
