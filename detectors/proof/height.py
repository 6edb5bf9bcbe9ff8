"""Hold the findings of a recording against the level that its manifest allows at most.

The lists of a manifest say what rules match. What a benign twin has to show is what people are
told: findings after approvals, raised by context, of rules, correlations and joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from molehunt.joins import Join, silenced
from molehunt.problems import Problem
from molehunt.rule import RuleSet
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import NO_INPUTS, Inputs
from ..findings.model import Finding
from ..findings.organisation import Organisation
from ..hunting.merge import Merger
from ..hunting.work import Hunter, Problems, Span
from ..reading.parts import Part
from ..schedule.binding import Binder
from .manifest import Scenario
from .plans import Plans


class Heights:
    """The rules as findings are made of them, with the plans that scenarios share. Where samples
    mean nothing together there are no correlations and joins, and no rule is silent for a join."""

    def __init__(self, ruleset: RuleSet, taxonomy: Taxonomy, joins: Sequence[Join]) -> None:
        together = silenced(ruleset, joins)
        alone = silenced(replace(ruleset, correlations=()), ())
        self._together = together, joins, Plans(together.rules, taxonomy)
        self._alone = alone, (), Plans(alone.rules, taxonomy)

    def of(self, scenario: Scenario) -> tuple[RuleSet, Sequence[Join], Plans]:
        """The rules, joins and plans for a scenario."""
        return self._together if scenario.correlate else self._alone


def findings_of(
    scenario: Scenario,
    ruleset: RuleSet,
    taxonomy: Taxonomy,
    binder: Binder,
    organisation: Organisation | None,
    joins: Sequence[Join] = (),
    inputs: Inputs = NO_INPUTS,
) -> tuple[Finding, ...]:
    """What a hunt through the scenario's logs finds, highest level first."""
    rules = Heights(ruleset, taxonomy, joins)
    return findings_with(rules, scenario, binder, organisation, inputs)


def findings_with(
    rules: Heights,
    scenario: Scenario,
    binder: Binder,
    organisation: Organisation | None,
    inputs: Inputs = NO_INPUTS,
) -> tuple[Finding, ...]:
    """The same with rules that more scenarios share."""
    ruleset, joins, plans = rules.of(scenario)
    plan = plans.plan(scenario, binder, inputs)
    # Broken lines were told when the rules were proven.
    merger = Merger(ruleset, Problems(), organisation, joins)
    hunter = Hunter(plan, ruleset, organisation, Span(), joins)
    for log in scenario.kinds:
        for outcome in hunter.hunt(Part(scenario.path(log))):
            merger.add(outcome)
    return merger.findings()


def too_high(scenario: Scenario, findings: Sequence[Finding]) -> Iterator[Problem]:
    """A problem for each finding above `at_most`, with what made it."""
    limit = scenario.at_most
    for found in findings:
        if limit is not None and found.level > limit:
            first = found.evidence[0].where
            what = f"{found.level} finding '{found.title}' where at most {limit} is allowed"
            yield Problem(
                f"{what}: {first.file}:{first.line}",
                scenario.path("manifest.yml"),
                rule=found.rule,
                hint="mend the rule; change the recording only if it is no honest one",
            )
