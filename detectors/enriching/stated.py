"""What a sign-in log says itself of the address that signed in: country, place, network.

Logs spell it differently: a number or text, one network or several. Which fields they are is in
`rules/taxonomy.yml`.
"""

from __future__ import annotations

from collections.abc import Mapping

from molehunt.joins import LATITUDE, LONGITUDE, NETWORK, STATED_BY
from molehunt.taxonomy import Store

from ..records import Scalar, Value
from .spellings import number_of, place_of

COUNTRY_CODE, ORGANISATION = "source.geo.country_iso_code", "source.as.organization.name"
# A code of ISO 3166-2 or a name; it makes the place of a country smaller and is no field of rules.
REGION = "source.geo.region_iso_code"


def stated(store: Store, values: Mapping[str, Value]) -> dict[str, Value]:
    """The fields that a row's own ones state, by the names that databases fill; those that state
    nothing usable (half a place, the sea at 0, 0, a name for a code) are left out."""
    said = {name: values.get(column) for name, column in store.states.items()}
    found: dict[str, Value] = {}
    country = said.get(COUNTRY_CODE)
    if isinstance(country, str) and len(country) == 2 and country.isascii() and country.isalpha():
        found[COUNTRY_CODE] = country.upper()
    place = place_of(said.get(LATITUDE), said.get(LONGITUDE))
    if place is not None:
        found[LATITUDE], found[LONGITUDE] = place
        found[STATED_BY] = store.name
    numbers = [number_of(one) for one in _each(said.get(NETWORK))]
    known: list[Scalar] = [number for number in numbers if number]
    if known:
        found[NETWORK] = known[0] if len(known) == 1 else tuple(known)
    organisation = said.get(ORGANISATION)
    if isinstance(organisation, str) and organisation:
        found[ORGANISATION] = organisation
    return found


def _each(value: Value) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)
