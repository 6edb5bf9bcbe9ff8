"""A rule on a record as a tree of what held and what did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from molehunt.rule import Rule

from ..matching.evaluate import Step, View
from ..values import as_text
from .safe import printable

_YES, _NO = "+", "-"
_WORDS = {"and": "all of", "or": "any of", "not": "not"}


def explanation(rule: Rule, view: View, of_source: bool, steps: Sequence[Step]) -> Iterator[str]:
    """Lines of text: the verdict, where the record stands, and each condition as a tree.

    `+` marks what holds, `-` what does not. Every field shows the column it was read from and the
    value found there.
    """
    record = view.record
    holds = of_source and any(step.holds for step in steps)
    removed = holds and record.action == "removed"
    verdict = "matches" if holds else "does not match"
    yield printable(f"{rule.title} [{rule.id}] {verdict}")
    yield printable(f"  record {record.locator}  query {record.query}  action {record.action}")
    yield printable(f"  bound to {view.fields.table} ({record.binding.how})")
    if removed:
        yield "  the row tells that this ended (removed): it closes a finding and opens none"
    for column, allowed in view.fields.where:
        found = as_text(record.values.get(column))  # type: ignore[arg-type]
        mark = _YES if found in allowed else _NO
        wanted = ", ".join(allowed)
        yield printable(f"  {mark} log source: {column} is one of {wanted}; found '{found}'")
    for step in steps:
        yield from _tree(step, 1, view)
    if view.fields.missing_filters:
        listed = ", ".join(view.fields.missing_filters)
        yield f"  note: the query does not supply {listed}, which only a filter uses"


def _tree(step: Step, depth: int, view: View) -> Iterator[str]:
    indent, mark = "  " * depth, _YES if step.holds else _NO
    if step.kind == "field":
        head = f"{indent}{mark} {printable(step.field)} {printable(step.wanted)}"
        yield f"{head}; {_found(step, view)}"
    elif step.kind == "keyword":
        yield f"{indent}{mark} any value {printable(step.wanted)}"
    else:
        yield f"{indent}{mark} {_WORDS[step.kind]}"
        for child in step.children:
            yield from _tree(child, depth + 1, view)


def _found(step: Step, view: View) -> str:
    place = view.fields.places[step.field]
    if place.kind == "absent":
        return "the query does not supply it"
    if not step.values:
        return f"{printable(place.name)} is empty or missing"
    values = ", ".join(f"'{printable(as_text(value))}'" for value in step.values)
    return f"{printable(place.name)} = {values}"
