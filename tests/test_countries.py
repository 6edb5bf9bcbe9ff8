"""A country, a state or a province as a place: the circle around its towns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from molehunt.detectors.enriching.countries import circle_of
from molehunt.detectors.enriching.inputs import Inputs
from molehunt.detectors.enriching.mmdb import open_database
from molehunt.detectors.joins.travel import Stop, distance
from molehunt.detectors.records import Locator, Row
from molehunt.joins import LATITUDE, LONGITUDE, RADIUS, STATED_BY
from molehunt.taxonomy import taxonomy


# Towns of GeoNames and, for the distances, what maps show between the nearest of two countries.
@pytest.mark.parametrize(
    ("code", "town"),
    [
        ("US", (21.31, -157.86)),  # Honolulu
        ("US", (64.84, -147.72)),  # Fairbanks
        ("US", (42.36, -71.06)),  # Boston
        ("RU", (43.12, 131.89)),  # Vladivostok
        ("RU", (54.71, 20.45)),  # Kaliningrad
        ("FJ", (-18.14, 178.44)),  # Suva, near the date line
        ("KI", (1.87, -157.36)),  # Kiritimati, beyond it
        ("CL", (-27.15, -109.43)),  # Easter Island
        ("SG", (1.35, 103.82)),
        ("KP", (39.03, 125.75)),  # Pyongyang
        ("US/US-TX", (31.76, -106.49)),  # El Paso
        ("US/Texas", (25.9, -97.5)),  # Brownsville
        ("CA/CA-ON", (49.77, -94.49)),  # Kenora
        ("US/District of Columbia", (38.9, -77.04)),
    ],
)
def test_a_country_is_a_circle_around_its_towns(code: str, town: tuple[float, float]) -> None:
    """Far islands and the date line are inside."""
    country, _, region = code.partition("/")
    north, east, radius = circle_of(country, region) or (0, 0, 0)
    assert distance(Stop(0, north, east, 0, 1), Stop(0, *town, 0, 2)) <= radius


def test_countries_that_are_near_are_never_far() -> None:
    """Of two that border on each other, or lie across a strait, the circles meet or nearly do."""
    near = (
        *("US-CA", "US-MX", "US-RU", "US-BS", "DE-AT", "DE-FR", "GB-FR", "GB-IE", "ES-MA", "IN-BD"),
        *("CN-KP", "CN-RU", "CN-LA", "KR-KP", "JP-KR", "SG-MY", "FJ-TO"),
    )
    for pair in near:
        one, other = (circle_of(code) or (0, 0, 0) for code in pair.split("-"))
        between = distance(Stop(0, *one[:2], 0, 1), Stop(0, *other[:2], 0, 2))
        assert between - one[2] - other[2] < 500, pair
    assert circle_of("ZZ") is None


@pytest.mark.parametrize(
    ("source", "values", "wanted"),
    [
        (
            "google_workspace",
            {"networkInfo.regionCode": "LA"},
            (18.0, 104.1, 500.0, "google_workspace"),
        ),
        ("azure", {"Location": "LA"}, (18.0, 104.1, 500.0, "azure")),
        # A state by its code or name makes it smaller, if it is one of that country's.
        (
            "google_workspace",
            {"networkInfo.regionCode": "US", "networkInfo.subdivisionCode": "US-TX"},
            (31.0, -100.1, 650.0, "google_workspace"),
        ),
        (
            "azure",
            {"Location": "US", "LocationDetails.state": "Texas"},
            (31.0, -100.1, 650.0, "azure"),
        ),
        (
            "azure",
            {"Location": "LA", "LocationDetails.state": "Texas"},
            (18.0, 104.1, 500.0, "azure"),
        ),
        ("azure", {"Location": "ZZ"}, (None,) * 4),
        (
            "azure",
            {
                "Location": "LA",
                "LocationDetails.geoCoordinates.latitude": 17.9,
                "LocationDetails.geoCoordinates.longitude": 102.6,
            },
            (17.9, 102.6, None, "azure"),
        ),
        # The database's country counts before the log's, and the place is its circle.
        (
            "azure",
            {"Location": "LA", "IPAddress": "192.0.2.1"},
            (51.2, 10.3, 470.0, None),
        ),
    ],
)
def test_a_country_alone_is_a_wide_place(
    tmp_path: Path, source: str, values: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    """Where nothing better is known."""
    writer = MMDBWriter(4, database_type="Country")
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": "DE"}})
    writer.to_db_file(str(tmp_path / "x.mmdb"))
    database, _ = open_database(str(tmp_path / "x.mmdb"))
    assert database is not None
    inputs = Inputs(None, (database,), taxonomy().stores)
    row = Row(source, "", "a", "event", None, values, Locator("x", 0, 1, 0))
    found = inputs.enriched(row).values
    assert tuple(found.get(name) for name in (LATITUDE, LONGITUDE, RADIUS, STATED_BY)) == wanted
