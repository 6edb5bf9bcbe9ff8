"""What stands in a window, kept up to date as things enter and leave it; one tally for each type.

Memory is that of the window's content at most; for `event_count`, `value_sum` and `value_avg` it
does not grow with it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple, Protocol

from molehunt.correlation import Comparison, Correlation, Term

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
    "eq": eq,
    "neq": ne,
}


class Occurrence(NamedTuple):
    """An event or a state in one group: from `start` to `end` (equal for an event), in seconds.

    `id` is the same for one record, whichever rules it matched; `place` is that of the rule that it
    matched, `exact` whether it began at `start` and was not merely there by then.
    """

    start: float
    end: float
    id: int
    value: str | int | float | None
    place: int
    exact: bool


class Tally(Protocol):
    """The content of a window, as far as a condition looks at it."""

    def add(self, item: Occurrence) -> None:
        """Something is in the window now."""

    def remove(self, item: Occurrence) -> None:
        """Something that was added is out of it."""

    def holds(self) -> bool:
        """Whether the condition holds."""


def tally_for(one: Correlation, terms: Sequence[Term] = ()) -> Tally:
    """An empty tally. For extended conditions `terms` are those to look at."""
    if one.type in ("temporal", "temporal_ordered"):
        kind = Ordered if one.ordered else Together
        return kind(len(one.rules), one.comparisons, terms)
    if one.type == "event_count":
        return Count(one.comparisons)
    if one.type == "value_count":
        return Values(one.comparisons)
    if one.type in ("value_sum", "value_avg"):
        return Sum(one.comparisons, one.type == "value_avg")
    return Percentile(one.comparisons, one.percentile)


def meets(comparisons: Sequence[Comparison], metric: Any) -> bool:
    """Whether a number meets every comparison; no number meets none."""
    return metric is not None and all(_COMPARE[op](metric, limit) for op, limit in comparisons)


class Count:
    """`event_count`: how many."""

    __slots__ = ("_comparisons", "_count")

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._comparisons = comparisons
        self._count = 0

    def add(self, item: Occurrence) -> None:
        """Count it."""
        self._count += 1

    def remove(self, item: Occurrence) -> None:
        """Count it no longer."""
        self._count -= 1

    def holds(self) -> bool:
        """Whether the count meets the condition."""
        return meets(self._comparisons, self._count)


class Values:
    """`value_count`: how many different values; what has no value counts nothing."""

    __slots__ = ("_comparisons", "_held")

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._comparisons = comparisons
        self._held: dict[object, int] = {}

    def add(self, item: Occurrence) -> None:
        """Hold its value once more."""
        if item.value is not None:
            self._held[item.value] = self._held.get(item.value, 0) + 1

    def remove(self, item: Occurrence) -> None:
        """Hold its value once less."""
        if item.value is not None:
            left = self._held[item.value] - 1
            if left:
                self._held[item.value] = left
            else:
                del self._held[item.value]

    def holds(self) -> bool:
        """Whether the number of values meets the condition."""
        return meets(self._comparisons, len(self._held))


class Sum:
    """`value_sum` and, divided by how many, `value_avg`; exact, whatever comes and goes."""

    __slots__ = ("_average", "_comparisons", "_count", "_exact", "_total")

    def __init__(self, comparisons: Sequence[Comparison], average: bool) -> None:
        self._comparisons = comparisons
        self._average = average
        self._count = 0
        from fractions import Fraction

        self._exact = Fraction
        self._total = Fraction(0)

    def add(self, item: Occurrence) -> None:
        """Add its number."""
        if item.value is not None:
            self._count += 1
            self._total += self._exact(item.value)

    def remove(self, item: Occurrence) -> None:
        """Take its number off."""
        if item.value is not None:
            self._count -= 1
            self._total -= self._exact(item.value)

    def holds(self) -> bool:
        """Whether the sum or the average meets the condition; without any number neither does."""
        if not self._count:
            return False
        return meets(self._comparisons, self._total / self._count if self._average else self._total)


class Percentile:
    """`value_percentile` and `value_median` (the 50th): interpolated between the nearest ranks."""

    __slots__ = ("_comparisons", "_numbers", "_percentile")

    def __init__(self, comparisons: Sequence[Comparison], percentile: int) -> None:
        self._comparisons = comparisons
        self._percentile = percentile
        self._numbers: list[Any] = []

    def add(self, item: Occurrence) -> None:
        """Put its number in."""
        if item.value is not None:
            insort(self._numbers, item.value)

    def remove(self, item: Occurrence) -> None:
        """Take its number out."""
        if item.value is not None:
            del self._numbers[bisect_left(self._numbers, item.value)]

    def holds(self) -> bool:
        """Whether the percentile meets the condition; of no numbers there is none."""
        if not self._numbers:
            return False
        from fractions import Fraction

        rank, part = divmod((len(self._numbers) - 1) * self._percentile, 100)
        found = Fraction(self._numbers[rank])
        if part:
            found += (Fraction(self._numbers[rank + 1]) - found) * Fraction(part, 100)
        return meets(self._comparisons, found)


class Together:
    """`temporal`: which rules matched, compared by their number or by terms."""

    __slots__ = ("_comparisons", "_held", "_terms")

    def __init__(
        self, rules: int, comparisons: Sequence[Comparison], terms: Sequence[Term]
    ) -> None:
        self._comparisons = comparisons
        self._terms = terms
        self._held = [0] * rules

    def add(self, item: Occurrence) -> None:
        """One more for its rule."""
        self._held[item.place] += 1

    def remove(self, item: Occurrence) -> None:
        """One less for its rule."""
        self._held[item.place] -= 1

    def holds(self) -> bool:
        """Whether the rules that matched meet the condition."""
        held = self._held
        if self._terms:
            return any(
                all(held[place] for place in term.needs)
                and not any(held[place] for place in term.lacks)
                for term in self._terms
            )
        return meets(self._comparisons, sum(map(bool, held)))


class Ordered:
    """`temporal_ordered`: the same, and their beginnings follow one another in the rules' order.

    One must begin later than the one before it, not at the same time; and what was merely there by
    its first sighting may be the first, since it may have come before or after any other.
    """

    __slots__ = ("_any", "_comparisons", "_exact", "_terms")

    def __init__(
        self, rules: int, comparisons: Sequence[Comparison], terms: Sequence[Term]
    ) -> None:
        self._comparisons = comparisons
        self._terms = terms
        self._any: list[list[float]] = [[] for _ in range(rules)]
        self._exact: list[list[float]] = [[] for _ in range(rules)]

    def add(self, item: Occurrence) -> None:
        """Note when it began."""
        insort(self._any[item.place], item.start)
        if item.exact:
            insort(self._exact[item.place], item.start)

    def remove(self, item: Occurrence) -> None:
        """Forget it."""
        starts = self._any[item.place]
        del starts[bisect_left(starts, item.start)]
        if item.exact:
            starts = self._exact[item.place]
            del starts[bisect_left(starts, item.start)]

    def holds(self) -> bool:
        """Whether enough rules matched in their order."""
        if self._terms:
            return any(
                not any(self._any[place] for place in term.lacks) and self._follow(term.needs)
                for term in self._terms
            )
        if all(op in ("gt", "gte") for op, _ in self._comparisons):
            # Two of three asks for an ordered pair; a third out of order takes nothing away.
            return meets(self._comparisons, self._longest())
        present = [place for place, starts in enumerate(self._any) if starts]
        return meets(self._comparisons, len(present)) and self._follow(present)

    def _follow(self, places: Sequence[int]) -> bool:
        """Whether each of these rules has a match that begins after one of the rule before."""
        last: float | None = None
        for place in places:
            last = self._next(place, last)
            if last is None:
                return False
        return True

    def _next(self, place: int, after: float | None) -> float | None:
        """The first beginning after a moment; of all if there is none."""
        if after is None:
            return self._any[place][0] if self._any[place] else None
        starts = self._exact[place]
        index = bisect_right(starts, after)
        return starts[index] if index < len(starts) else None

    def _longest(self) -> int:
        """The length of the longest chain: `ends[n]` is the earliest end of one of n + 1 rules."""
        ends: list[float] = []
        for place in range(len(self._any)):
            # From the longest down, so that a rule is used once in a chain.
            for length in range(len(ends), -1, -1):
                found = self._next(place, ends[length - 1] if length else None)
                if found is None:
                    continue
                if length == len(ends):
                    ends.append(found)
                elif found < ends[length]:
                    ends[length] = found
        return len(ends)
