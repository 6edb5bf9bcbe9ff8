"""Proofs as test cases: one for each rule and recording, one for each rule, one for each recording.

The pytest plugin and the JUnit and JSON reports show the same cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.problems import Problem
from molehunt.rule import Rule

from .manifest import Scenario
from .prove import Observed, RuleProof, concerned, held, lacking, unsound


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that must hold. `rule` is None where a whole recording is meant, `scenario` empty
    where a whole rule is. It holds if there are no problems."""

    name: str
    rule: Rule | Correlation | Join | None
    scenario: str
    path: str
    problems: tuple[Problem, ...]


def cases(
    rules: Sequence[Rule],
    observed: Sequence[tuple[Scenario, Observed]],
    proofs: Sequence[RuleProof],
    known: Mapping[str, Rule | Correlation | Join],
) -> Iterator[Case]:
    """All cases of `rules`; `proofs` are theirs over all of `observed`."""
    for scenario, seen in observed:
        path = scenario.path("manifest.yml")
        yield Case(
            f"{scenario.name} is sound",
            None,
            scenario.name,
            path,
            tuple(unsound(scenario, seen, known)),
        )
        for rule in concerned(scenario, seen, rules):
            problems = tuple(held(rule, scenario, seen).problems)
            yield Case(f"{rule.title} [{scenario.name}]", rule, scenario.name, path, problems)
    for proof in proofs:
        counted = replace(proof, problems=[])
        yield Case(
            f"{proof.rule.title} is proven",
            proof.rule,
            "",
            proof.rule.path,
            tuple(lacking(counted)),
        )
