"""What was read, how queries were bound, which rules cannot fire and which queries no rule uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from molehunt.rule import RuleSet
from molehunt.taxonomy import Taxonomy

from ..correlating.blind import blind_correlations
from ..enriching.inputs import Inputs, lacking
from ..matching.fields import resolve, why_not
from ..matching.plan import Plan
from ..records import Binding
from ..schedule.binding import Binder
from .safe import printable

MAX_LISTED = 200


def write_stats(
    stream: TextIO,
    plan: Plan,
    ruleset: RuleSet,
    binder: Binder,
    configured: bool,
    taxonomy: Taxonomy,
) -> None:
    """Write the statistics as text. `configured` says whether the user gave the schedule."""
    for line in stats_lines(plan, ruleset, binder, configured, taxonomy):
        print(printable(line), file=stream)


def stats_lines(
    plan: Plan, ruleset: RuleSet, binder: Binder, configured: bool, taxonomy: Taxonomy
) -> Iterator[str]:
    """The lines of the statistics."""
    counts = plan.counts
    yield (
        f"read: {counts.lines} lines, {counts.bytes} bytes, {counts.rows} rows; "
        f"{counts.recovered} lines recovered, {counts.broken} broken, "
        f"{counts.unknown} objects of no known log"
    )
    yield f"rules: {len(ruleset.rules)}"
    if ruleset.correlations:
        silent = sum(one.silent for one in ruleset.both)
        yield f"correlations: {len(ruleset.correlations)}; {silent} rules only serve them"
    seen = sorted(binder.seen(), key=lambda binding: (binding.query, binding.how))
    declared = sorted(binder.declared(), key=lambda binding: binding.query)
    yield f"queries in the log: {len(counts.queries)}"
    yield from _limited(_bound_lines(seen, counts.queries))
    yield from _rules_lines(ruleset, seen, declared, configured, taxonomy, plan.inputs)
    if ruleset.correlations:
        yield from _correlation_lines(
            ruleset, [*declared, *seen], configured, taxonomy, plan.inputs
        )
    yield from _unused_lines(ruleset, [*seen, *declared], taxonomy)


def _bound_lines(seen: list[Binding], rows: dict[str, int]) -> Iterator[str]:
    for binding in seen:
        tables = dict.fromkeys(use.table for use in binding.shape.tables) if binding.shape else ()
        bound = f"by {binding.how} to {', '.join(tables)}" if tables else "not bound"
        note = f": {binding.note}" if binding.note else ""
        yield f"  {binding.query}: {rows.get(binding.query, 0)} rows, {bound}{note}"


def _rules_lines(
    ruleset: RuleSet,
    seen: list[Binding],
    declared: list[Binding],
    configured: bool,
    taxonomy: Taxonomy,
    inputs: Inputs,
) -> Iterator[str]:
    pool = [*declared, *seen]
    blind = [(rule, why) for rule in ruleset.rules if (why := lacking(rule, inputs))]
    yield f"rules that cannot fire: no input: {len(blind)} of {len(ruleset.rules)}"
    yield from _limited(f"  {rule.title} [{rule.id}]: {why}" for rule, why in blind)
    reasons = [
        (rule, why_not(rule, pool, taxonomy)) for rule in ruleset.rules if not inputs.lacks(rule)
    ]
    silent = [(rule, why) for rule, why in reasons if why]
    word = "cannot fire on this schedule" if configured else "not seen in this log"
    yield f"rules {word}: {len(silent)} of {len(ruleset.rules)}"
    yield from _limited(f"  {rule.title} [{rule.id}]: {why}" for rule, why in silent)
    degraded = [
        (rule.title, rule.id, fields.missing_filters)
        for rule in ruleset.rules
        for binding in pool[:MAX_LISTED]
        if (fields := resolve(rule, binding, taxonomy)) is not None and fields.missing_filters
    ]
    for title, rule_id, missing in dict.fromkeys(degraded):
        yield f"  {title} [{rule_id}] runs without its filter on {', '.join(missing)}"


def _correlation_lines(
    ruleset: RuleSet, pool: list[Binding], configured: bool, taxonomy: Taxonomy, inputs: Inputs
) -> Iterator[str]:
    blind = blind_correlations(ruleset, pool, taxonomy, inputs)
    word = "cannot fire on this schedule" if configured else "not possible in this log"
    yield f"correlations {word}: {len(blind)} of {len(ruleset.correlations)}"
    yield from _limited(f"  {one.title} [{one.id}]: {why}" for one, why in blind)


def _unused_lines(ruleset: RuleSet, bindings: list[Binding], taxonomy: Taxonomy) -> Iterator[str]:
    unused = sorted(
        {
            binding.query
            for binding in bindings
            if all(resolve(rule, binding, taxonomy) is None for rule in ruleset.rules)
        }
    )
    yield f"queries that no rule uses: {len(unused)}"
    yield from _limited(f"  {query}" for query in unused)


def _limited(lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number >= MAX_LISTED:
            yield "  …"
            return
        yield line
