"""How fast one must have gone: from the places of an account's sign-ins to journeys too fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import asin, cos, inf, radians, sin, sqrt
from typing import NamedTuple

from molehunt.joins import Travel

# The mean radius R1 of the Earth in kilometres, after the GRS 80 ellipsoid (Moritz 2000).
EARTH = 6371.009


class Stop(NamedTuple):
    """An account was somewhere: `at` in seconds since 1970 UTC, degrees, `radius` in kilometres.
    `number` says which fact tells so."""

    at: float
    north: float
    east: float
    radius: float
    number: int


class Journey(NamedTuple):
    """From one stop to the next: `kilometres` at least, in so many `seconds`."""

    start: Stop
    end: Stop
    kilometres: float
    seconds: float

    @property
    def speed(self) -> float:
        """Kilometres in an hour; infinite at the same second."""
        return self.kilometres / self.seconds * 3600 if self.seconds else inf


def distance(one: Stop, other: Stop) -> float:
    """The great circle between two places in kilometres, by the haversine formula."""
    north, south = radians(one.north), radians(other.north)
    half = sin((south - north) / 2) ** 2
    half += cos(north) * cos(south) * sin(radians(other.east - one.east) / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(half)))


def too_fast(stops: Iterable[Stop], limits: Travel) -> Iterator[Journey]:
    """The journeys between one stop and the next, stops in order of time, that go beyond both
    limits. What the database does not know of a place (`radius`) counts as not travelled."""
    before: Stop | None = None
    for stop in stops:
        if before is not None:
            least = max(0.0, distance(before, stop) - before.radius - stop.radius)
            journey = Journey(before, stop, least, stop.at - before.at)
            if least >= limits.kilometres and journey.speed > limits.speed:
                yield journey
        before = stop


def told(journey: Journey) -> str:
    """A journey in words."""
    minutes = round(journey.seconds / 60)
    length = f"{journey.kilometres:,.0f} km from the sign-in before"
    if not journey.seconds:
        return f"{length}, at the same second"
    took = f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
    return f"{length}, {took} later: {journey.speed:,.0f} km/h"
