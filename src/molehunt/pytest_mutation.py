"""The part of the pytest plugin that mutates, and that proves correlations and joins.

All of it is asked for by items, so that nothing is measured of what pytest does not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molehunt.correlation import Correlation
    from molehunt.detectors.enriching.inputs import Inputs
    from molehunt.detectors.findings.organisation import Organisation
    from molehunt.detectors.proof.correlate import Gathered
    from molehunt.detectors.proof.manifest import Scenario
    from molehunt.detectors.proof.mutate import Mutation, Seen
    from molehunt.detectors.proof.mutate_joint import Outcome
    from molehunt.detectors.proof.survivors import Reasons
    from molehunt.detectors.schedule.binding import Binder
    from molehunt.joins import Join
    from molehunt.problems import Problem
    from molehunt.rule import Rule, RuleSet

    Around = tuple[Binder, Organisation | None, Inputs]


class Measuring:
    """What the items share: recordings read once, matches gathered once, reasons. `folder` is that
    of the recordings."""

    def __init__(
        self, ruleset: RuleSet, joins: Sequence[Join], scenarios: Sequence[Scenario], folder: str
    ) -> None:
        self._ruleset, self._joins = ruleset, tuple(joins)
        self._scenarios, self._folder = list(scenarios), folder

    def mutated(self, one: Rule | Correlation | Join) -> Iterator[Problem]:
        """What is wrong with the mutants of a rule, correlation or join: survivors that must have a
        reason, reasons that are not true, and, as warnings, near misses that kill nothing."""
        from molehunt.detectors.proof.mutate import far_problems
        from molehunt.detectors.proof.survivors import stale, unexplained

        found = self._mutation(one)
        path, reasons, _ = self._survivors
        mine = {key: value for key, value in reasons.items() if key[0] == one.id}
        yield from found.problems
        yield from far_problems(found)
        yield from unexplained(found, mine)
        yield from stale(path, mine, [found], [one.id])

    def reasons(self) -> Iterator[Problem]:
        """What is wrong with survivors.yml itself."""
        from molehunt.detectors.proof.survivors import stale

        path, reasons, problems = self._survivors
        yield from problems
        known = [one.id for one in (*self._ruleset.both, *self._joins)]
        yield from stale(path, reasons, [], known)

    @cached_property
    def proven(self) -> Mapping[str, list[Problem]]:
        """What is wrong with each correlation and join over all recordings, by id. Those that only
        serve others are not among them."""
        from molehunt.detectors.proof.correlate import correlate, plans_for, prove_correlations
        from molehunt.taxonomy import taxonomy

        plans = plans_for(self._ruleset, taxonomy(), self._joins)
        seen = []
        for one in self._scenarios:
            binder, organisation, inputs = self._around(one)
            found = correlate(one, self._ruleset, plans, binder, organisation, self._joins, inputs)
            seen.append((one, found))
        ones: list[Correlation | Join] = [*self._ruleset.correlations, *self._joins]
        return {proof.rule.id: proof.problems for proof in prove_correlations(ones, seen)}

    def _mutation(self, one: Rule | Correlation | Join) -> Mutation:
        from molehunt.detectors.proof.mutate import mutate
        from molehunt.detectors.proof.mutate_joint import mutate_joint
        from molehunt.rule import Rule
        from molehunt.taxonomy import taxonomy

        if isinstance(one, Rule):
            return mutate(one, self._rows, self._scenarios, taxonomy())
        recorded, before = self._gathered, self._outcomes
        (found,) = mutate_joint([one], self._wide, self._joins, recorded, before)
        return found

    @cached_property
    def _survivors(self) -> tuple[str, Reasons, list[Problem]]:
        from molehunt.detectors.proof.survivors import load_survivors

        return load_survivors(self._folder)

    @cached_property
    def _rows(self) -> list[Seen]:
        from molehunt.commands.common import inputs_of, make_binder
        from molehunt.detectors.proof.mutate import read_rows
        from molehunt.taxonomy import taxonomy

        return [
            seen
            for scenario in self._scenarios
            for seen in read_rows(
                scenario, taxonomy(), make_binder(scenario.config, []), inputs_of(scenario, [])
            )
        ]

    @cached_property
    def _wide(self) -> RuleSet:
        from molehunt.detectors.proof.mutate_joint import widened

        return widened(self._ruleset)

    @cached_property
    def _gathered(self) -> list[Gathered]:
        from molehunt.detectors.proof.correlate import gather, plans_for
        from molehunt.taxonomy import taxonomy

        plans = plans_for(self._wide, taxonomy(), self._joins)
        return [gather(one, plans, *self._around(one)) for one in self._scenarios]

    def _around(self, scenario: Scenario) -> Around:
        """What a recording is read with, beside the rules."""
        from molehunt.commands.common import inputs_of, make_binder, organisation_of

        binder, organisation = make_binder(scenario.config, []), organisation_of(scenario, [])
        return binder, organisation, inputs_of(scenario, [])

    @cached_property
    def _outcomes(self) -> Mapping[str, Outcome]:
        from molehunt.detectors.proof.mutate_joint import outcomes

        return outcomes(self._wide, self._joins, self._gathered)
