"""Plans that the scenarios of a proof share: most are read with the same schedule and inputs."""

from __future__ import annotations

from collections.abc import Sequence

from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import Inputs
from ..matching.plan import FastPlan, compile_plan
from ..schedule.binding import Binder
from .evaluator import Evaluator
from .manifest import Scenario


class Plans:
    """One plan, without the raw scan, for each configuration and each kind of inputs.

    To compile hundreds of rules for a query takes longer than to read most recordings.
    """

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy) -> None:
        self.rules = tuple(rules)
        self.taxonomy = taxonomy
        self.evaluator = Evaluator()
        self._made: dict[tuple[tuple[str, ...], frozenset[str]], FastPlan] = {}

    def plan(self, scenario: Scenario, binder: Binder, inputs: Inputs) -> FastPlan:
        """The rules over a scenario, whose configuration the binder has. It serves until the next
        is asked for."""
        key = (tuple(scenario.config), inputs.names)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = compile_plan(self.rules, self.taxonomy, binder, scan="")
        found.restart(inputs)
        return found
