"""What compiled queries are proven on: all recorded rows, and which of them each rule matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molehunt.detectors.matching.plan import asks_removed, compile_plan
from molehunt.detectors.proof.manifest import Scenario
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.records import Record
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.detectors.tying import record_of
from molehunt.rule import Rule
from molehunt.schema import tables
from molehunt.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Corpus:
    """`matched` has for each rule the places in `records` of those it matches.

    Only rows that the pack collected, or that a log of a fixed shape holds, can be expected of a
    compiled rule; rows of other schedules are there too, and must not be found.
    """

    records: tuple[Record, ...]
    matched: Mapping[str, frozenset[int]]


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


def _ignore(_: object) -> None:
    pass
