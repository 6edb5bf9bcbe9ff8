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


def circle_of(code: str, region: object = None) -> tuple[float, float, float] | None:
    """Latitude and longitude of the middle in degrees and the radius in kilometres, by the code of
    ISO 3166-1; None for one that is not known.

    The circle is that of the region, if it is one of the country's by its ISO 3166-2 code or name:
    the states of the United States and the provinces of Canada are known.
    """
    known = _circles()
    return known.get(f"{code}/{region}") or known.get(code)


@cache
def _circles() -> Mapping[str, tuple[float, float, float]]:
    """By country, and by country and region, which has two names."""
    data = orjson.loads(read_bytes(FILE))
    found = {code: tuple(circle) for code, circle in data["circles"].items()}
    for code, (name, *circle) in data["regions"].items():
        country = code.partition("-")[0]
        found[f"{country}/{code}"] = found[f"{country}/{name}"] = tuple(circle)
    return found
