"""The optional inputs of a run: which there are, who needs them, what they add to a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from molehunt.joins import LATITUDE, LONGITUDE, NETWORK, RADIUS, STATED_BY
from molehunt.problems import Problem, UsageError
from molehunt.rule import Rule
from molehunt.taxonomy import Store, taxonomy

from ..records import Row, Scalar, Value
from ..values import as_text, fold
from .countries import circle_of
from .stated import COUNTRY_CODE, ORGANISATION, REGION, stated

if TYPE_CHECKING:
    from .entities import Entity
    from .mmdb import Database

ENTITIES, COUNTRY, ASN, LOCATION = "entities", "mmdb_country", "mmdb_asn", "mmdb_location"
# Which fields that a log may state stand in for an input.
_FILLS = {
    COUNTRY: (COUNTRY_CODE,),
    ASN: (NETWORK,),
    LOCATION: (LATITUDE, COUNTRY_CODE),  # a country is a place, if a wide one
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """`stores` are the taxonomy's, by the name of the reader; they say where the address is."""

    entities: Mapping[str, Entity] | None = None
    databases: tuple[Database, ...] = ()
    stores: Mapping[str, Store] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def names(self) -> frozenset[str]:
        """What there is, in the words of `molehunt.needs.inputs`."""
        found = set() if self.entities is None else {ENTITIES}
        found |= {COUNTRY for one in self.databases if one.has_country}
        found |= {LOCATION for one in self.databases if one.has_location}
        return frozenset(found | {ASN for one in self.databases if one.has_asn})

    def lacks(self, rule: Rule) -> tuple[str, ...]:
        """The inputs that a rule needs and that are not there."""
        if not rule.meta.inputs:
            return ()
        names = self.names | _stated_to(rule)
        return tuple(name for name in rule.meta.inputs if name not in names)

    def enriched(self, row: Row) -> Row:
        """The row with what is known of its account and address: databases have the first word,
        the log the second. Rows without such are as they are."""
        store = self.stores.get(row.source)
        if store is None or not store.address:
            return row
        said, known = stated(store, row.values), self._of_address(row.values.get(store.address))
        if LATITUDE in known:
            said.pop(STATED_BY, None)
        added = {**said, **known}
        if LATITUDE not in added:
            by = "" if COUNTRY_CODE in known else store.name
            region = row.values.get(store.states.get(REGION, ""))
            added |= _of_country(added.get(COUNTRY_CODE), region, by)
        added |= self._of_account(row)
        return row._replace(values={**row.values, **added}) if added else row

    def _of_address(self, value: Value) -> dict[str, Value]:
        address = value[0] if isinstance(value, tuple) and value else value
        if not isinstance(address, str) or not self.databases:
            return {}
        found = [database.look_up(address) for database in self.databases]
        values: dict[str, Scalar] = {
            COUNTRY_CODE: _first(one.country for one in found),
            NETWORK: next((one.number for one in found if one.number is not None), None),
            ORGANISATION: _first(one.organisation for one in found),
        }
        placed = next((one for one in found if one.place is not None), None)
        if placed is not None and placed.place is not None:
            values[LATITUDE], values[LONGITUDE] = placed.place
            values[RADIUS] = placed.radius
        return {name: one for name, one in values.items() if one is not None}

    def _of_account(self, row: Row) -> dict[str, Value]:
        entity = self.entities.get(fold(row.user)) if self.entities and row.user else None
        if entity is None:
            return {}
        at = row.event_at if row.event_at is not None else row.observed_at
        values: dict[str, Value] = {
            "molehunt.entity.days_since_start": None if at is None else entity.days_since_start(at),
            "molehunt.entity.days_since_end": None if at is None else entity.days_since_end(at),
            "molehunt.entity.ship_to": _several(entity.ship_to),
            "molehunt.entity.groups": _several(entity.groups),
        }
        return {name: one for name, one in values.items() if one is not None}


NO_INPUTS = Inputs()


def _of_country(code: Value, region: Value, stated_by: str) -> dict[str, Value]:
    """Where a sign-in was of which the country alone is known, and perhaps the region; nothing for
    a country unknown."""
    circle = circle_of(code, region) if isinstance(code, str) else None
    if circle is None:
        return {}
    found: dict[str, Value] = dict(zip((LATITUDE, LONGITUDE, RADIUS), circle, strict=True))
    return {**found, STATED_BY: stated_by} if stated_by else found


def _stated_to(rule: Rule) -> frozenset[str]:
    """The inputs that a rule can do without, since its log states the same, if perhaps not in each
    export."""
    known = taxonomy()
    maps = known.maps(rule.category, rule.product, rule.service)
    states = [known.stores[one.store].states for one in maps]
    return frozenset(
        name
        for name, fields in _FILLS.items()
        if states and all(any(field in one for field in fields) for one in states)
    )


def lacking(rule: Rule, inputs: Inputs) -> str:
    """Why a rule cannot fire for want of inputs, in words; "" if it has all."""
    missing = inputs.lacks(rule)
    return f"no input: {', '.join(map(as_text, missing))}" if missing else ""


def load_inputs(
    entities: str | None, mmdb: Sequence[str], stores: Mapping[str, Store], problems: list[Problem]
) -> Inputs:
    """Open what the user named. A file with defects is a problem; one that is not there is wrong
    usage (UsageError)."""
    for option, path in (("--entities", entities), *(("--mmdb", one) for one in mmdb)):
        if path is not None and not Path(path).is_file():
            raise UsageError(f"{option}: no such file: {path}")
    known: Mapping[str, Entity] | None = None
    if entities is not None:
        from .entities import load_entities

        known, found = load_entities(entities)
        problems += found
    databases = []
    if mmdb:
        from .mmdb import open_database
    for path in mmdb:
        database, found = open_database(path)
        problems += found
        if database is not None:
            databases.append(database)
    return Inputs(known, tuple(databases), stores)


def _first(values: Iterable[str]) -> str | None:
    return next((value for value in values if value), None)


def _several(values: tuple[str, ...]) -> Value:
    return (values[0] if len(values) == 1 else values) if values else None
