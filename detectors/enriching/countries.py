"""Where a country is: the circle around its towns, for logs that name a country and no place.

`rules/data/countries.json` says whose list of towns it is made from. A circle is wide where a
country is (the United States with Alaska and Hawaii: 4,280 km), and what counts between two is what
lies between their edges, so only sign-ins from far countries can be too far apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import orjson

from molehunt.data import read_bytes

FILE = "data/countries.json"


def circle_of(code: str) -> tuple[float, float, float] | None:
    """Latitude and longitude of the middle in degrees and the radius in kilometres, by the code of
    ISO 3166-1; None for one that is not known."""
    return _circles().get(code)


@cache
def _circles() -> Mapping[str, tuple[float, float, float]]:
    found: dict[str, list[float]] = orjson.loads(read_bytes(FILE))["circles"]
    return {code: (north, east, radius) for code, (north, east, radius) in found.items()}
