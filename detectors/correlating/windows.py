"""Sliding windows over one group, in one pass over what begins and what ends.

A window is looked at whenever something begins: it ends at that moment, reaches back `timespan`
seconds, both ends included, and holds whatever overlaps it. A term that asks for an absence looks
forward instead: from the beginning of each match of a rule that it needs, and only if the logs go
on for the whole `timespan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush, merge
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from molehunt.correlation import NUMERIC, Correlation, Term

from .tallies import Occurrence, Tally, tally_for


class Content(NamedTuple):
    """One group. Each call gives all its occurrences, `begins` in the order of start, id, value and
    end, `ends` in that of end, id, value and start."""

    begins: Callable[[], Iterable[Occurrence]]
    ends: Callable[[], Iterable[Occurrence]]


class Window(NamedTuple):
    """A window in which the condition holds: from `start` to `end`, both included.

    `until` is the end or, if all in the window are states that go on after it, the first end of
    one. `exact` says that what began at `end` really began then.
    """

    start: float
    end: float
    until: float
    exact: bool


class Hit(NamedTuple):
    """Windows that follow one another at no more than a timespan: one hit.

    `first` and `last` are the ends of the first and the last window, `start` is the first's start;
    `until` and `exact` are as in `Window`, of the last and of the first.
    """

    start: float
    first: float
    last: float
    until: float
    exact: bool


def hits(one: Correlation, content: Content, horizon: float) -> Iterator[Hit]:
    """The hits in one group, in order. `horizon` is the latest time that the logs show."""
    current: Hit | None = None
    for window in windows(one, content, horizon):
        if current is not None and window.end - current.last <= one.timespan:
            current = current._replace(last=window.end, until=window.until)
        else:
            if current is not None:
                yield current
            current = Hit(window.start, window.end, window.end, window.until, window.exact)
    if current is not None:
        yield current


def windows(one: Correlation, content: Content, horizon: float) -> Iterator[Window]:
    """Every window in which the condition holds, ordered by its end."""
    if not one.terms:
        return _backward(one, content, tally_for(one))
    plain = [term for term in one.terms if not term.lacks]
    passes = [_backward(one, content, tally_for(one, plain))] if plain else []
    passes += [_forward(one, content, term, horizon) for term in one.terms if term.lacks]
    by_end = attrgetter("end")
    return (next(same) for _, same in groupby(merge(*passes, key=by_end), key=by_end))


def _backward(one: Correlation, content: Content, tally: Tally) -> Iterator[Window]:
    going = _Going()
    leaving = iter(_counted(one, content.ends()))
    next_out = next(leaving, None)
    for end, beginning in groupby(_counted(one, content.begins()), key=attrgetter("start")):
        start = end - one.timespan
        while next_out is not None and next_out.end < start:
            tally.remove(next_out)
            going.remove(next_out)
            next_out = next(leaving, None)
        exact = True
        for item in beginning:
            tally.add(item)
            going.add(item)
            exact = exact and item.exact
        if tally.holds():
            yield Window(start, end, going.until(end), exact)


def _forward(one: Correlation, content: Content, term: Term, horizon: float) -> Iterator[Window]:
    tally = tally_for(one, (term,))
    entering, leaving = iter(content.begins()), iter(content.ends())
    next_in, next_out = next(entering, None), next(leaving, None)
    needed = (item for item in content.begins() if item.place in term.needs)
    for start, _ in groupby(needed, key=attrgetter("start")):
        end = start + one.timespan
        if end > horizon:
            return
        while next_in is not None and next_in.start <= end:
            tally.add(next_in)
            next_in = next(entering, None)
        while next_out is not None and next_out.end < start:
            tally.remove(next_out)
            next_out = next(leaving, None)
        if tally.holds():
            yield Window(start, end, end, True)


def _counted(one: Correlation, items: Iterable[Occurrence]) -> Iterable[Occurrence]:
    """A record that matched several rules is one event; its copies stand side by side."""
    if one.type == "event_count":
        return (next(same) for _, same in groupby(items, key=attrgetter("start", "end", "id")))
    if one.type in NUMERIC:
        alike = attrgetter("start", "end", "id", "value")
        return (next(same) for _, same in groupby(items, key=alike))
    return items


class _Going:
    """How long the window's states go on: its points are counted, its states' ends a heap."""

    __slots__ = ("_ends", "_points")

    def __init__(self) -> None:
        self._points = 0
        self._ends: list[float] = []

    def add(self, item: Occurrence) -> None:
        if item.end > item.start:
            heappush(self._ends, item.end)
        else:
            self._points += 1

    def remove(self, item: Occurrence) -> None:
        if item.end > item.start:
            heappop(self._ends)
        else:
            self._points -= 1

    def until(self, now: float) -> float:
        return now if self._points or not self._ends else max(now, self._ends[0])


def needed_places(terms: Sequence[Term]) -> frozenset[int]:
    """The places whose matches an extended condition is about; those it wants absent are not."""
    return frozenset(place for term in terms for place in term.needs)
