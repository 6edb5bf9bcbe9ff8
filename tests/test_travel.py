"""Impossible travel and accounts behind one address: distances, limits, places, sites."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain, pairwise
from math import acos, cos, inf, radians, sin
from pathlib import Path
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from molehunt.cli import main
from molehunt.detectors.enriching.mmdb import open_database
from molehunt.detectors.enriching.stated import stated
from molehunt.detectors.joins.facts import mark_of
from molehunt.detectors.joins.travel import EARTH, Stop, distance, told, too_fast
from molehunt.joins import Travel, load_joins
from molehunt.rulefiles import builtin_rules_path
from molehunt.taxonomy import taxonomy

RULES = builtin_rules_path()
FOLDER = Path(__file__).with_name("recordings") / "sign-in-places"
LIMITS = Travel(500, 1000)


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        # Pole to equator is a quarter of a circle; antipodes are a half.
        ((90, 0), (0, 55), EARTH * radians(90)),
        ((0, -179), (0, 1), EARTH * radians(180)),
        ((0, 179.5), (0, -179.5), EARTH * radians(1)),
        # Paris to New York, and Sydney to London, as flight tables have them.
        ((49.0097, 2.5478), (40.6398, -73.7789), 5830),
        ((-33.9461, 151.1772), (51.4706, -0.4619), 17020),
        ((12.5, 7.0), (12.5, 7.0), 0),
    ],
)
def test_the_distance_is_that_of_the_great_circle(
    one: tuple[float, float], other: tuple[float, float], kilometres: float
) -> None:
    """Over poles and over the date line too."""
    start, end = (Stop(0, *place, 0, 1) for place in (one, other))
    assert distance(start, end) == pytest.approx(kilometres, abs=20 if kilometres > 500 else 0.01)
    assert distance(start, end) == distance(end, start)


PLACES = st.tuples(st.integers(-90, 90), st.integers(-180, 180))
NETWORKS = st.frozensets(st.sampled_from([64500, 64501]))
STOPS = st.lists(
    st.builds(
        lambda at, place, radius, *rest: Stop(at * 600.0, *place, radius, 0, *rest),
        st.integers(0, 400),
        PLACES,
        st.sampled_from([0, 20, 1000]),
        st.sampled_from(["", "", "azure", "okta"]),
        st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        NETWORKS,
        st.sampled_from(["", "US", "CN"]),
    ),
    max_size=8,
).map(lambda stops: sorted(stops, key=lambda stop: stop[:4]))


@given(STOPS)
def test_journeys_are_those_of_a_slow_look(stops: list[Stop]) -> None:
    """By the law of cosines, and with the limits written out. Each log is looked at by itself, and
    there one address, one network or one country that is known by its circles is one place."""
    wanted = []
    alike = [pairwise([one for one in stops if one.by == by]) for by in ("", "azure", "okta")]
    for one, other in chain(*alike):
        if one.by and (one.address == other.address or one.networks & other.networks):
            continue
        if one.by and one.radius and other.radius and "" != one.country == other.country:
            continue
        a, b = radians(one.north), radians(other.north)
        angle = sin(a) * sin(b) + cos(a) * cos(b) * cos(radians(other.east - one.east))
        least = max(0, acos(max(-1.0, min(1.0, angle))) * EARTH - one.radius - other.radius)
        hours = (other.at - one.at) / 3600
        if min(abs(least - 500), abs(least - 1000 * hours)) < 0.01:
            return  # on the limit, where rounding decides
        if least >= 500 and (hours == 0 or least / hours > 1000):
            wanted.append((one, other))
    found = [(one.start, one.end) for one in too_fast(stops, LIMITS)]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_exactly_the_speed_is_not_too_fast() -> None:
    """A quarter of the Earth in its time at 1,000 km/h, and one second less."""
    quarter = EARTH * radians(90)
    seconds = quarter / 1000 * 3600
    for took, expected in ((seconds + 0.001, 0), (seconds - 1, 1), (0, 1)):
        stops = [Stop(0, 90, 0, 0, 1), Stop(took, 0, 0, 0, 2)]
        journeys = list(too_fast(stops, LIMITS))
        assert len(journeys) == expected
    (journey,) = too_fast([Stop(0, 90, 0, 0, 1), Stop(0, 0, 0, 0, 2)], LIMITS)
    assert journey.speed == inf
    assert "same second" in told(journey)
    (journey,) = too_fast([Stop(0, 90, 0, 0, 1), Stop(7200, 0, 0, 0, 2)], LIMITS)
    assert told(journey) == "10,008 km from the sign-in before, 2 h 00 min later: 5,004 km/h"


@pytest.mark.parametrize(
    ("record", "place", "radius"),
    [
        ({"location": {"latitude": 1.5, "longitude": 2.5, "accuracy_radius": 50}}, (1.5, 2.5), 50),
        ({"location": {"latitude": -1.5, "longitude": 2.5}}, (-1.5, 2.5), None),
        ({"lat": "1.5", "lng": "-2.5"}, (1.5, -2.5), None),
        ({"latitude": "1.5", "longitude": "-2.5"}, (1.5, -2.5), None),
        ({"location": {"latitude": 0.0, "longitude": 0.0}}, None, None),
        ({"location": {"latitude": 1.5}}, None, None),
        ({"location": {"latitude": 91.0, "longitude": 2.0}}, None, None),
        ({"lat": "north", "lng": "2"}, None, None),
    ],
)
def test_places_of_databases_by_several_vendors(
    tmp_path: Path, record: dict[str, Any], place: tuple[float, float] | None, radius: int | None
) -> None:
    """What is no place on Earth is none."""
    writer = MMDBWriter(6, database_type="City", ipv4_compatible=True, float_type="f64")
    writer.insert_network(IPSet(["192.0.2.0/24"]), record)
    writer.to_db_file(str(tmp_path / "x.mmdb"))
    database, problems = open_database(str(tmp_path / "x.mmdb"))
    assert database is not None and not problems and database.has_location
    found = database.look_up("192.0.2.1")
    assert (found.place, found.radius) == (place, radius)


def test_addresses_in_one_spelling() -> None:
    """As a router an IPv6 address is the home's network; as a stop it is itself."""
    assert mark_of("router", "0:1B:21:0:0:1") == "00:1b:21:00:00:01"
    assert mark_of("router", "::ffff:192.0.2.1") == "192.0.2.1"
    assert mark_of("router", "2001:DB8:1:2:3:4:5:6") == "2001:db8:1:2::"
    assert mark_of("stop", "2001:DB8:1:2:3:4:5:6") == "2001:db8:1:2:3:4:5:6"
    assert mark_of("router", "somewhere") == ""


@pytest.fixture
def hunt(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """Hunt in the recording with its database and give the findings of joins."""
    joins = {one.id: one.subject for one in load_joins([RULES], kit.shipped().rules)[0]}

    def run(*arguments: str) -> list[dict[str, Any]]:
        addresses = ("--mmdb", str(FOLDER / "addresses.mmdb"))
        main(["hunt", *arguments, *addresses, "--format", "ndjson", "--quiet"])
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [
            {**one, "subject": joins[one["rule"]["id"]]}
            for one in found
            if one["rule"]["id"] in joins
        ]

    return run


def test_a_site_is_no_place_of_a_person(
    hunt: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Unnamed, the office's address makes a journey and ties its people; named, neither."""

    def told_of(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(one["subject"], one["host"]["id"]) for one in found}

    logs = [str(FOLDER / name) for name in ("entra.ndjson", "okta.ndjson", "google.json")]
    unnamed = told_of(hunt(*logs))
    named = told_of(hunt(*logs, "--organisation", str(FOLDER / "organisation.yml")))
    assert unnamed - named == {
        ("impossible-travel", "g.petrov@corp.example"),
        ("accounts-behind-one-address", "r.kent@corp.example"),
    }
    assert ("impossible-travel", "i.costa@corp.example") in named  # Okta, then Entra ID
    approving = tmp_path / "organisation.yml"
    approving.write_text(
        "groups: {crew: {hosts: [b.ortega@corp.example]}}\n"
        "approved: [{what: impossible-travel, for: crew, owner: hr, reason: a pilot,"
        " until: 2126-01-01}]\n",
        encoding="utf-8",
    )
    approved = told_of(hunt(*reversed(logs), "--organisation", str(approving)))
    assert unnamed - approved == {("impossible-travel", "b.ortega@corp.example")}


def test_a_journey_is_told_in_words(hunt: Callable[..., list[dict[str, Any]]]) -> None:
    """Both ends are shown, the second with distance, time and speed."""
    found = hunt(str(FOLDER / "entra.ndjson"))
    (one,) = (x for x in found if x["host"]["id"] == "b.ortega@corp.example")
    assert (one["level"], one["count"], len(one["evidence"])) == ("medium", 1, 2)
    assert "8,222 km from the sign-in before, 40 min later: 12,334 km/h" in json.dumps(one)


def test_places_that_the_log_states_do_for_a_database(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without --mmdb those of the log count; with one that knows the address, those of the
    database."""
    folder = FOLDER.with_name("sign-in-stated-places")

    def travellers(*more: str) -> set[str]:
        main(["hunt", str(folder), "--format", "ndjson", "--quiet", *more])
        found = map(json.loads, capsys.readouterr().out.splitlines())
        return {one["host"]["id"][:1] for one in found if "Too Far" in one["title"]}

    assert travellers() == {"a", "e", "h", "k"}
    writer = MMDBWriter(4, database_type="City", float_type="f64")
    near = {"location": {"latitude": 41.9, "longitude": -87.6}}
    writer.insert_network(IPSet(["192.0.2.0/24", "198.51.100.10/32", "203.0.113.61/32"]), near)
    writer.to_db_file(str(tmp_path / "x.mmdb"))
    # a is near both times; of e, h and k one end is the database's and one the log's.
    assert travellers("--mmdb", str(tmp_path / "x.mmdb")) == set()


def test_an_exit_of_many_is_nobodys_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A company VPN that is not named under sites makes no journeys by what the log states: two
    accounts on its address still do, three do not."""
    log = FOLDER.with_name("sign-in-stated-places") / "entra.ndjson"
    start, end = log.read_text(encoding="utf-8").splitlines()[:2]
    for many, found in ((2, 2), (3, 0)):
        lines = [
            line.replace("a.noor", f"a{n}.noor").replace("192.0.2.10", f"192.0.2.{20 + n}")
            for n in range(many)
            for line in (start, end)
        ]
        path = tmp_path / f"{many}.ndjson"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        main(["hunt", str(path), "--format", "ndjson", "--quiet"])
        titles = [json.loads(line)["title"] for line in capsys.readouterr().out.splitlines()]
        assert sum("Too Far" in title for title in titles) == found


@pytest.mark.parametrize(
    ("store", "row", "fields"),
    [
        (
            "azure",
            {
                "Location": "us",
                "LocationDetails.geoCoordinates.latitude": "41.5",
                "LocationDetails.geoCoordinates.longitude": -87,
                "AutonomousSystemNumber": 64500,
            },
            ("US", 41.5, -87.0, 64500, None, "azure"),
        ),
        ("azure", {"Location": "Germany"}, (None,) * 6),
        (
            "azure",
            {
                "LocationDetails.geoCoordinates.latitude": 0,
                "LocationDetails.geoCoordinates.longitude": 0.0,
                "AutonomousSystemNumber": "",
            },
            (None,) * 6,
        ),
        (
            "okta",
            {
                "client.geographicalContext.geolocation.lat": 1.5,
                "client.geographicalContext.geolocation.lon": 2.5,
                "client.geographicalContext.country": "United States",
                "securityContext.asNumber": 64501,
                "securityContext.asOrg": "example",
            },
            (None, 1.5, 2.5, 64501, "example", "okta"),
        ),
        ("okta", {"client.geographicalContext.geolocation.lat": 1.5}, (None,) * 6),
        ("azure", {"AutonomousSystemNumber": "9" * 5000}, (None,) * 6),
        (
            "google_workspace",
            {"networkInfo.regionCode": "DE", "networkInfo.ipAsn": (64500, 64501)},
            ("DE", None, None, (64500, 64501), None, None),
        ),
        (
            "google_workspace",
            {"networkInfo.ipAsn": "AS64500"},
            (None, None, None, 64500, None, None),
        ),
    ],
)
def test_what_a_log_states_fills_the_same_fields(
    store: str, row: dict[str, Any], fields: tuple[Any, ...]
) -> None:
    """In whatever spelling; what is unusable is left out."""
    names = (
        "source.geo.country_iso_code",
        "source.geo.location.lat",
        "source.geo.location.lon",
        "source.as.number",
        "source.as.organization.name",
        "molehunt.geo.stated_by",
    )
    found = stated(taxonomy().stores[store], row)
    assert found == {name: one for name, one in zip(names, fields, strict=True) if one is not None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kilometres: 500", "kilometres: 0"), "travel.kilometres"),
        (("field: IPAddress", "field: nothing"), "field that is not in rule entra_sign_in_place"),
        (("rule: okta_sign_in_place", "rule: nobody"), "is not loaded: nobody"),
        (("    1: medium", "    2: medium"), "1 is missing"),
        (("travel:", "join:"), "join"),
    ],
)
def test_a_broken_travel_join_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """What is wrong in the file is named; the join is left out."""
    path = Path(RULES) / "joins" / "impossible_travel.yml"
    text = path.read_text(encoding="utf-8")
    assert change[0] in text
    folder = tmp_path / "joins"
    folder.mkdir()
    (folder / "one.yml").write_text(text.replace(*change, 1), encoding="utf-8")
    joins, problems = load_joins([str(tmp_path)], kit.shipped().rules)
    assert not joins
    assert said in " ".join(map(str, problems))
