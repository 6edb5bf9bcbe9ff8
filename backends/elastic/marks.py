"""What tells of which sources of a plan a row is, written into the row's score.

A mark as `STATS n = COUNT(*) WHERE QSTR(...)` is asked of each page of rows anew, which takes far
longer than to find the rows. But a clause `(+(query)^0 +*:*^4)` adds just 4 to the score of a row
that it finds, so that the one search that finds the rows tells by bits of `_score` what each is.
https://www.elastic.co/docs/reference/query-languages/esql/esql-metadata-fields
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..correlating.plan import Source

FIRST, BITS = 16, 20
"""The first bit and how many there are. A score is a float, which has 24 binary digits. The lowest
four stay free: a filter that comes with a request adds to the score, unless it stands in a `filter`
clause, where Kibana's rules have it."""

Family = Sequence[Source]


@dataclass(frozen=True, slots=True)
class Marks:
    """`families` are queries by name, one of which finds a row; `kinds` are further queries by
    name. `sources` has for each source the names that must all hold."""

    families: Mapping[str, str]
    kinds: Mapping[str, str]
    sources: Sequence[Sequence[str]]


def marks_of(
    sources: Sequence[Source],
    condition: Callable[[Family], str],
    named: Callable[[Sequence[str]], str],
) -> Marks:
    """The marks by which sources are told. `condition` is what any of a family's members ask,
    `named` asks for rows of queries."""
    grouped = _families(sources)
    kinds: dict[str, str] = {}
    told: list[list[str]] = []
    for source in sources:
        number = next(n for n, family in enumerate(grouped) if source in family)
        needs = [f"f{number}"] if len(grouped) > 1 else []
        if len(grouped[number]) > 1:
            text = named(sorted(_queries(source)))
            needs.append(kinds.setdefault(text, f"q{len(kinds)}"))
        told.append(needs)
    families = {f"f{n}": condition(family) for n, family in enumerate(grouped)}
    return Marks(families, {name: text for text, name in kinds.items()}, told)


def scored(text: str, bit: int) -> str:
    """A query of Lucene's syntax that adds this to the score of a row, and nothing else."""
    return f"(+({text})^0 +*:*^{bit})"


def _families(sources: Iterable[Source]) -> list[list[Source]]:
    """Sources that mean the same and read different queries, whose names tell which one it is."""
    found: list[list[Source]] = []
    for source in sources:
        for family in found:
            alike = (family[0].place, family[0].label) == (source.place, source.label)
            if alike and not any(_queries(one) & _queries(source) for one in family):
                family.append(source)
                break
        else:
            found.append([source])
    return found


def _queries(source: Source) -> frozenset[str]:
    """The names of the queries that its rows are of."""
    return frozenset(
        name for member in source.members for bound in member.bounds for name in bound.queries
    )
