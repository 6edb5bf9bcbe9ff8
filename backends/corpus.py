"""What compiled queries are proven on: all recorded rows, and which of them each rule matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.proof.manifest import Scenario
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.records import Record
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.detectors.tying import record_of
from molehunt.rule import Rule, RuleSet, asks_removed
from molehunt.schema import tables
from molehunt.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Corpus:
    """`matched` has for each rule the places in `records` of those it matches.

    `groups` has for each correlation the groups in which it holds (`read_groups`).
    Only rows that the pack collected, or that a log of a fixed shape holds, can be expected of a
    compiled rule; rows of other schedules are there too, and must not be found.
    """

    records: tuple[Record, ...]
    matched: Mapping[str, frozenset[int]]
    groups: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)


def read_corpus(
    scenarios: Iterable[Scenario],
    rules: Sequence[Rule],
    manifest: Mapping[str, Any],
    taxonomy: Taxonomy,
) -> Corpus:
    """All rows of all recordings, judged by the evaluator's meaning of each rule.

    What an organisation alone has (people, places of addresses) is left out: a store of logs does
    not hold it. Broken lines are skipped; `molehunt test` tells of them.
    """
    binder = Binder([("pack", pack_schedule(manifest))], tables())
    plan = compile_plan(rules, taxonomy, binder, scan="")
    plan.tells = False
    records: list[Record] = []
    matched: dict[str, set[int]] = {rule.id: set() for rule in rules}
    for scenario in scenarios:
        for log in scenario.kinds:
            for row in plan.rows(blocks(scenario.path(log), _ignore), _ignore):
                bound = plan.bound(row)
                if bound.binding.how in ("pack", "source"):
                    for rule, _, holds in plan.asking(bound):
                        if (row.action != "removed" or asks_removed(rule)) and holds(row):
                            matched[rule.id].add(len(records))
                records.append(record_of(row, bound.binding, bound.tie))
    return Corpus(tuple(records), {rule: frozenset(found) for rule, found in matched.items()})


def read_groups(
    scenarios: Iterable[Scenario],
    ruleset: RuleSet,
    manifest: Mapping[str, Any],
    taxonomy: Taxonomy,
) -> dict[str, frozenset[tuple[str, ...]]]:
    """For each correlation the groups in which it holds over all recordings as one log, their
    values case folded. Over the same rows as `read_corpus`."""
    from molehunt.detectors.correlating.correlator import Correlator
    from molehunt.detectors.values import fold

    binder = Binder([("pack", pack_schedule(manifest))], tables())
    plan = compile_plan(ruleset.rules, taxonomy, binder, scan="")
    plan.tells = False
    found: dict[str, set[tuple[str, ...]]] = {one.id: set() for one in ruleset.correlations}
    with Correlator(ruleset) as correlator:
        for scenario in scenarios:
            for log in scenario.kinds:
                for match in plan.matches(blocks(scenario.path(log), _ignore), _ignore):
                    if match.record.binding.how in ("pack", "source"):
                        correlator.add(match)
        for one in correlator.results():
            found[one.correlation.id].add(tuple(map(fold, one.group)))
    return {rule: frozenset(groups) for rule, groups in found.items()}


def _ignore(_: object) -> None:
    pass
