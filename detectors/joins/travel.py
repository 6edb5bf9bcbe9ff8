"""How fast one must have gone: from the places of an account's sign-ins to journeys too fast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import asin, cos, inf, radians, sin, sqrt
from typing import NamedTuple

from molehunt.joins import LATITUDE, LONGITUDE, NETWORK, RADIUS, STATED_BY, Travel

from ..enriching.stated import COUNTRY_CODE
from ..records import Value
from .facts import Fact

# The mean radius R1 of the Earth in kilometres, after the GRS 80 ellipsoid (Moritz 2000).
EARTH = 6371.009


class Stop(NamedTuple):
    """An account was somewhere: `at` in seconds since 1970 UTC, degrees, `radius` in kilometres.
    `number` says which fact tells so.

    `by` is the log that stated the place, "" for the user's own databases. `address` is where it
    signed in from, `networks` the numbers of its autonomous systems and `country` the code of the
    country, where they are known.
    """

    at: float
    north: float
    east: float
    radius: float
    number: int
    by: str = ""
    address: str = ""
    networks: frozenset[int] = frozenset()
    country: str = ""


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


def stops_of(rows: Iterable[tuple[int, str]]) -> Iterator[Stop]:
    """The stops that facts tell, each its number and JSON; one without a place is none."""
    for number, detail in rows:
        fact = Fact._make(json.loads(detail))
        said = dict(fact.values)
        north, east = (_number(said.get(name)) for name in (LATITUDE, LONGITUDE))
        if north is not None and east is not None:
            radius, by = _number(said.get(RADIUS)) or 0.0, str(said.get(STATED_BY) or "")
            networks = _networks(said.get(NETWORK))
            country = str(said.get(COUNTRY_CODE) or "")
            yield Stop(fact.at, north, east, radius, number, by, fact.mark, networks, country)


def _networks(value: Value | list[int]) -> frozenset[int]:
    listed = value if isinstance(value, list) else [value]
    return frozenset(one for one in listed if isinstance(one, int))


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def distance(one: Stop, other: Stop) -> float:
    """The great circle between two places in kilometres, by the haversine formula."""
    north, south = radians(one.north), radians(other.north)
    half = sin((south - north) / 2) ** 2
    half += cos(north) * cos(south) * sin(radians(other.east - one.east) / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(half)))


def too_fast(stops: Iterable[Stop], limits: Travel) -> Iterator[Journey]:
    """The journeys between one stop and the next, stops in order of time, that go beyond both
    limits. What the database does not know of a place (`radius`) counts as not travelled.

    Two logs may place one address differently, so what they state is measured in each by itself.
    They do not state how far they may be wrong either, and networks of one provider are often
    placed at its seat: between these, or from an address to itself, none is a journey there, nor
    between regions of a country of which no place is known.
    """
    last: dict[str, Stop] = {}
    for stop in stops:
        before = last.get(stop.by)
        last[stop.by] = stop
        if before is None or (stop.by and _is_one(before, stop)):
            continue
        least = max(0.0, distance(before, stop) - before.radius - stop.radius)
        journey = Journey(before, stop, least, stop.at - before.at)
        if least >= limits.kilometres and journey.speed > limits.speed:
            yield journey


def _is_one(one: Stop, other: Stop) -> bool:
    # A log that states a place with a radius knows the country, and the region by guess.
    alike = bool(one.radius and other.radius and one.country and one.country == other.country)
    return alike or one.address == other.address or bool(one.networks & other.networks)


def told(journey: Journey) -> str:
    """A journey in words."""
    minutes = round(journey.seconds / 60)
    length = f"{journey.kilometres:,.0f} km from the sign-in before"
    if not journey.seconds:
        return f"{length}, at the same second"
    took = f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
    return f"{length}, {took} later: {journey.speed:,.0f} km/h"
