"""What compiled queries are proven on: all recorded rows, and which of them each rule matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from molehunt.detectors.enriching.inputs import Inputs
from molehunt.detectors.matching.match import Match
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

    `groups` has for each correlation the groups in which it holds (`read_recordings`).
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
    tell: Callable[[Match], None] | None = None,
) -> Corpus:
    """All rows of all recordings, judged by the evaluator's meaning of each rule.

    What an organisation alone has (people, databases of addresses) is left out: a store of logs
    does not hold it. What a log states itself counts. Broken lines are skipped; `molehunt test`
    tells of them. `tell` is given each match, those that close one among them.
    """
    binder = Binder([("pack", pack_schedule(manifest))], tables())
    plan = compile_plan(rules, taxonomy.for_compiling(), binder, scan="")
    plan.tells = False
    plan.inputs = Inputs(stores=taxonomy.stores)
    removed = {rule.id for rule in rules if asks_removed(rule)}
    records: list[Record] = []
    matched: dict[str, set[int]] = {rule.id: set() for rule in rules}
    for scenario in scenarios:
        for log in scenario.kinds:
            for row in plan.rows(blocks(scenario.path(log), _ignore), _ignore):
                bound = plan.bound(row)
                if bound.binding.how == "event":
                    continue  # read out of another row, and no store has it
                record = record_of(row, bound.binding, bound.tie)
                if bound.binding.how in ("pack", "source"):
                    for rule, fields, holds in plan.asking(bound):
                        if not holds(row):
                            continue
                        closes = row.action == "removed" and rule.id not in removed
                        if not closes:
                            matched[rule.id].add(len(records))
                        if tell:
                            tell(Match(rule, record, fields, closes))
                records.append(record)
    return Corpus(tuple(records), {rule: frozenset(found) for rule, found in matched.items()})


def read_recordings(
    scenarios: Iterable[Scenario],
    ruleset: RuleSet,
    manifest: Mapping[str, Any],
    taxonomy: Taxonomy,
) -> Corpus:
    """`read_corpus` with the groups in which each correlation holds over all recordings as one log,
    their values case folded."""
    from molehunt.detectors.correlating.correlator import Correlator
    from molehunt.detectors.values import fold

    found: dict[str, set[tuple[str, ...]]] = {one.id: set() for one in ruleset.correlations}
    with Correlator(ruleset) as correlator:
        # Both in one go: asking every rule of every row is what takes time.
        corpus = read_corpus(scenarios, ruleset.rules, manifest, taxonomy, correlator.add)
        for one in correlator.results():
            found[one.correlation.id].add(tuple(map(fold, one.group)))
    groups = {rule: frozenset(groups) for rule, groups in found.items()}
    return replace(corpus, groups=groups)


def _ignore(_: object) -> None:
    pass
