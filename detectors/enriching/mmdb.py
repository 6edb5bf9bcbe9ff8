"""The user's own address databases in MaxMind's format, from any vendor.

Format: https://maxmind.github.io/MaxMind-DB/. Vendors name their fields differently; those
of MaxMind and DB-IP (`country.iso_code`, `autonomous_system_number`, `location.latitude`) and of
IPinfo (`country_code` or `country`, `asn`, `as_name`, `latitude` or `lat`) are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from molehunt.normalise import parse_ip
from molehunt.problems import Problem

from .spellings import number_of, place_of

SAMPLE = 2000


class Found(NamedTuple):
    """What a database says of an address; "" and None for what it does not.

    `place` is latitude and longitude in degrees; `radius` how far from there, in
    kilometres, the address may be.
    """

    country: str = ""
    number: int | None = None
    organisation: str = ""
    place: tuple[float, float] | None = None
    radius: int | None = None


class Database:
    """One file, kept open. Lookups are kept for the last addresses."""

    def __init__(self, path: str, reader: Any) -> None:
        self.path = path
        self._reader = reader
        self.look_up = lru_cache(maxsize=65536)(self._look_up)
        names = str(reader.metadata().database_type).casefold()
        some = [_found(record) for _, record in islice(reader, SAMPLE)]
        self.has_country = any(one.country for one in some) or "country" in names or "city" in names
        self.has_location = any(one.place for one in some) or "city" in names
        self.has_asn = any(one.number is not None for one in some) or "asn" in names

    def _look_up(self, address: str) -> Found:
        parsed = parse_ip(address)
        if parsed is None:
            return Found()
        try:
            return _found(self._reader.get(str(parsed)))
        except ValueError:  # an IPv6 address in a database of IPv4
            return Found()


def open_database(path: str) -> tuple[Database | None, list[Problem]]:
    """An open database, or why not."""
    import maxminddb

    try:
        database = Database(path, maxminddb.open_database(path))
    except OSError as error:
        return None, [Problem(f"cannot be read: {error.strerror or error}", path)]
    except (maxminddb.InvalidDatabaseError, ValueError, TypeError, IndexError) as error:
        return None, [Problem(f"is no MaxMind database: {error}", path)]
    if not (database.has_country or database.has_asn or database.has_location):
        what = "has neither countries, places nor networks (ASN) of addresses"
        return None, [
            Problem(what, path, hint="docs/inputs.md lists the field names that are read")
        ]
    return database, []


def _found(record: Any) -> Found:
    if not isinstance(record, dict):
        return Found()
    number = record.get("autonomous_system_number", record.get("asn"))
    name = record.get("autonomous_system_organization", record.get("as_name"))
    organisation = name if isinstance(name, str) else ""
    return Found(_country(record), number_of(number), organisation, *_place(record))


def _place(record: Mapping[str, Any]) -> tuple[tuple[float, float] | None, int | None]:
    """Latitude and longitude, and the radius."""
    location = record.get("location")
    source = location if isinstance(location, dict) else record
    north = source.get("latitude", source.get("lat"))
    east = source.get("longitude", source.get("lng"))
    place, radius = place_of(north, east), number_of(source.get("accuracy_radius"))
    return place, radius if place and radius is not None and radius >= 0 else None


def _country(record: Mapping[str, Any]) -> str:
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else country
    code = record.get("country_code") or code
    return code.upper() if isinstance(code, str) and len(code) == 2 else ""
