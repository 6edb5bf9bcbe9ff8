"""What is known of a row's coming and going, as the spans in which it was there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

from molehunt.correlation import SNAPSHOT_GAP

from .events import REMOVED, SNAPSHOT


class Sighting(NamedTuple):
    """One piece of knowledge: `kind` as in `Event`, `id` the event that said so."""

    kind: str
    at: float
    exact: bool
    id: int


class Span(NamedTuple):
    """A row was there from `start` to `end`, seconds since 1970 UTC; `end` is inf if it still is.

    `id` is the event that showed it first, `exact` as there.
    """

    id: int
    start: float
    end: float
    exact: bool


def spans(sightings: Iterable[Sighting]) -> Iterator[Span]:
    """The spans of one row from its sightings, ordered by time, `removed` before `added`.

    A row that is added again while it is there (a new epoch lists all rows) stays one span, and so
    does one that goes and comes at the same moment. A row of which only the end is known gives
    none.
    """
    current: Span | None = None
    for kind, at, exact, number in sightings:
        if kind == REMOVED:
            if current is not None:
                current = current._replace(end=min(current.end, at))
            continue
        gap = SNAPSHOT_GAP if kind == SNAPSHOT else 0
        end = at if kind == SNAPSHOT else inf
        if current is not None and at <= current.end + gap:
            current = current._replace(end=max(current.end, end))
        else:
            if current is not None:
                yield current
            current = Span(number, at, end, exact)
    if current is not None:
        yield current
