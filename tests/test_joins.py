"""Hosts in one place: what ties them together, what does not, in any split of the input."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import kit
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from molehunt.cli import main
from molehunt.detectors.joins.facts import Fact
from molehunt.detectors.joins.links import SITE, Link
from molehunt.detectors.joins.staying import away_from
from molehunt.detectors.joins.together import Together
from molehunt.detectors.records import Locator
from molehunt.joins import ROUTER, Join, Travel, check_join, load_joins
from molehunt.levels import Level
from molehunt.lock import check_lock, update_lock
from molehunt.rulefiles import builtin_rules_path

RULES = builtin_rules_path()
JOINS, _ = load_joins([RULES], kit.shipped().rules)
JOIN = next(one for one in JOINS if one.subject == "hosts-in-one-place")
DAY = 86400
START = 20500 * DAY + 3600


def fact(what: str, host: str, mark: str, at: int, action: str = "added", line: int = 1) -> Fact:
    """One fact as `facts_of` makes it."""
    values = (("mac", mark),)
    where = Locator("a.log", line * 100, line, 0)
    rule = next(rule for rule, use in JOIN.uses.items() if use[0] == what)
    return Fact(
        0, what, host, "", mark, action, float(at), mark, rule, what, "mac", "new", values, where
    )


def slow(facts: Sequence[Fact], days: int) -> set[frozenset[str]]:
    """The groups of hosts by looking at every day and every pair of hosts."""
    horizon = max(fact.at for fact in facts)

    def there(host: str, what: str, mark: str) -> set[int]:
        found: set[int] = set()
        mine = [f for f in facts if (f.host, f.what, f.mark) == (host, what, mark)]
        for begin in (f.at for f in mine if f.action == "added"):
            ends = [f.at for f in mine if f.action == "removed" and f.at > begin]
            end = min([*ends, horizon])
            found |= {day for day in range(20490, 20530) if begin // DAY <= day <= end // DAY}
        return found

    hosts = {fact.host for fact in facts}
    owners = {
        mark: {f.host for f in facts if (f.what, f.mark) == ("own", mark)}
        for mark in {f.mark for f in facts}
    }
    linked: set[frozenset[str]] = set()
    for mark, own in owners.items():
        for host in hosts:
            if len(own) == 1 and host not in own and len(there(host, "near", mark)) >= days:
                linked.add(frozenset({host, *own}))
        present = {host: there(host, "router", mark) for host in hosts}
        behind = set()
        for host in hosts:
            others = set().union(*(present[other] for other in hosts if other != host))
            if len(present[host] & others) >= days:
                behind.add(host)
        linked.add(frozenset(behind))
    groups = [set(link) for link in linked if len(link) > 1]
    merged = True
    while merged:
        merged = False
        for one in groups:
            other = next((g for g in groups if g is not one and g & one), None)
            if other is not None:
                groups.remove(other)
                one.update(other)
                merged = True
                break
    return {frozenset(group) for group in groups}


MARKS = [f"00:00:5e:00:53:{n:02x}" for n in range(4)]
FACTS = st.lists(
    st.builds(
        lambda what, host, mark, day, length: (
            [fact(what, host, mark, START + day * DAY)]
            + ([fact(what, host, mark, START + (day + length) * DAY, "removed")] if length else [])
        ),
        st.sampled_from(["own", "near", "router"]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(MARKS),
        st.integers(0, 9),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=8,
    # A row is once there and once gone.
    unique_by=lambda pair: (pair[0].what, pair[0].host, pair[0].mark),
)


@settings(max_examples=150, deadline=None)
@given(FACTS, st.randoms(use_true_random=False))
def test_the_groups_are_those_of_a_slow_look_in_any_order(
    pairs: list[list[Fact]], chance: random.Random
) -> None:
    """Order and batches of the facts change nothing; an oracle finds the same groups."""
    facts = [
        one._replace(where=Locator("a.log", n, n, 0))
        for n, one in enumerate(chain.from_iterable(pairs))
    ]
    found = []
    for _ in range(2):
        together = Together([JOIN])
        shuffled = list(facts)
        chance.shuffle(shuffled)
        cut = chance.randint(0, len(facts))
        together.extend(shuffled[:cut])
        together.extend(shuffled[cut:])
        found.append(together.findings())
    assert found[0] == found[1]
    groups = {frozenset(host for host, _ in finding.all_hosts) for finding, _ in found[0]}
    assert groups == slow(facts, JOIN.days)


def test_a_card_of_two_hosts_names_nobody() -> None:
    """A docking station's card, or one that was cloned, ties no host to a third."""
    mark = MARKS[0]
    facts = [fact("own", "a", mark, START), fact("near", "c", mark, START)]
    facts.append(fact("router", "z", MARKS[3], START + 9 * DAY))
    for more, expected in (([], 1), ([fact("own", "b", mark, START + DAY)], 0)):
        together = Together([JOIN])
        together.extend([*facts, *more])
        assert len(together.findings()) == expected


@pytest.mark.parametrize(
    ("hosts", "level"),
    [(2, Level.MEDIUM), (3, Level.HIGH), (12, Level.HIGH), (13, Level.LOW), (40, Level.LOW)],
)
def test_the_level_is_that_of_the_number_of_hosts(hosts: int, level: Level) -> None:
    """Two may be a household, a few a farm, many are an office."""
    together = Together([JOIN])
    together.extend(fact("router", f"h{n:02}", MARKS[0], START + n) for n in range(hosts))
    together.extend([fact("router", "elsewhere", MARKS[1], START + 6 * DAY)])
    ((finding, only_context),) = together.findings()
    assert (finding.level, only_context, len(finding.all_hosts)) == (level, False, hosts)


DAYS = st.frozensets(st.integers(0, 11), min_size=1, max_size=8)
ROUTERS = ("q", "r", "s", "z")


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.dictionaries(st.sampled_from(ROUTERS), DAYS, min_size=1)
    ),
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from(ROUTERS[:3])), DAYS, min_size=1
    ),
)
def test_who_is_away_is_as_a_slow_look_at_every_day(
    routers: dict[str, dict[str, frozenset[int]]], ties: dict[tuple[str, str], frozenset[int]]
) -> None:
    """Day by day, host by host, over routers and ties that need not make sense; `z` is a site's."""
    inside = [Link(ROUTER, host, mark, days, 0) for (host, mark), days in sorted(ties.items())]
    seen = {
        host: [
            Link(SITE if mark == "z" else ROUTER, host, mark, days, n)
            for n, (mark, days) in enumerate(marks.items())
        ]
        for host, marks in routers.items()
    }
    place = {mark for _, mark in ties}
    place |= {m for m in ROUTERS if sum(m in marks for marks in routers.values()) > 1} - {"z"}
    wanted = {}
    for host in {host for host, _ in ties}:
        mine = routers.get(host, {})
        tied = {day for (who, _), days in ties.items() if who == host for day in days}
        there = {day for mark, days in mine.items() if mark in place for day in days} | tied
        away = {
            day
            for mark, days in mine.items()
            if mark not in place and any(one > min(tied) for one in days)
            for day in days
            if day not in there
        }
        if len(away) >= 2 and 5 * len(away) >= len(away | there):
            wanted[host] = away
    found = away_from("abc", inside, seen)
    assert {host: set(away.days) for host, away in found.items()} == wanted


def place_of(stays: dict[str, list[tuple[str, int, int]]], address: str = "") -> list[Fact]:
    """Facts of hosts that have routers (mark, first day, last day), and of one that ends later."""
    facts = [fact("router", "elsewhere", MARKS[3], START + 30 * DAY)]
    for host, listed in stays.items():
        for mark, first, last in listed:
            for day, action in ((first, "added"), (last, "removed")):
                at = START + day * DAY + 3600 * (action == "removed")
                one = fact("router", host, mark, at, action)
                values = (("gateway", address), *one.values) if address else one.values
                facts.append(one._replace(values=values))
    return facts


OFFICE, HOMES = MARKS[0], ("a0:00:00:00:00:01", "b0:00:00:00:00:02", "c0:00:00:00:00:03")


@pytest.mark.parametrize(
    ("stays", "address", "level"),
    [
        # A farm: new laptops come from somewhere, stay, and are taken away at the end.
        ([[(OFFICE, 3, 12)]] * 3, "192.168.1.1", Level.HIGH),
        ([[("HOME", 0, 2), (OFFICE, 3, 12)]] * 3, "192.168.1.1", Level.HIGH),
        ([[(OFFICE, 3, 12), ("HOME", 13, 13)]] * 3, "192.168.1.1", Level.HIGH),
        # A holiday: home before and after.
        ([[("HOME", 0, 4), (OFFICE, 5, 9), ("HOME", 10, 10)]] * 3, "192.168.1.1", Level.LOW),
        # An office: home at the week-end.
        ([[(OFFICE, 0, 4), ("HOME", 5, 6), (OFFICE, 7, 8)]] * 3, "192.168.1.1", Level.LOW),
        # Two stay and one does not.
        (
            [[(OFFICE, 0, 9)], [(OFFICE, 0, 9)], [(OFFICE, 0, 5), ("HOME", 6, 9)]],
            "192.168.1.1",
            Level.MEDIUM,
        ),
        # No home router comes with such a network.
        ([[(OFFICE, 0, 9)]] * 3, "10.44.8.1", Level.LOW),
        ([[(OFFICE, 0, 9)]] * 3, "172.16.40.1", Level.LOW),
        ([[(OFFICE, 0, 9)]] * 3, "10.0.0.1", Level.HIGH),
        # Addresses of the internet say nothing of that.
        ([[(OFFICE, 0, 9)]] * 3, "198.51.100.1", Level.HIGH),
        ([[(OFFICE, 0, 9)]] * 3, "", Level.HIGH),
    ],
)
def test_people_go_home_and_laptops_of_a_farm_stay(
    stays: list[list[tuple[str, int, int]]], address: str, level: Level
) -> None:
    """The level is that of those that stay, in a network as homes have it."""
    hosts = {
        f"h{n}": [(HOMES[n] if mark == "HOME" else mark, *days) for mark, *days in listed]
        for n, listed in enumerate(stays)
    }
    together = Together([JOIN])
    together.extend(place_of(hosts, address))  # type: ignore[arg-type]
    ((finding, _),) = together.findings()
    assert finding.level == level
    gone = [one for one in finding.evidence for why in one.reasons if "another place" in why.wanted]
    assert bool(gone) == (level != Level.HIGH and address == "192.168.1.1")
    assert len(finding.evidence) <= 6


def test_four_days_are_too_few() -> None:
    """Five days together, not four."""
    for length, expected in ((3, 0), (4, 1)):
        together = Together([JOIN])
        for host in ("a", "b"):
            together.extend(
                [
                    fact("router", host, MARKS[0], START),
                    fact("router", host, MARKS[0], START + length * DAY, "removed"),
                ]
            )
        assert len(together.findings()) == expected


@pytest.mark.parametrize("join", JOINS, ids=lambda one: one.subject)
def test_the_shipped_joins_keep_to_their_schema(join: Join) -> None:
    """They are not checked when they are loaded, so they are here."""
    data = yaml.safe_load(Path(join.path).read_text(encoding="utf-8"))
    assert [str(problem) for problem in check_join(data, join.path)] == []


def test_the_lock_sees_a_changed_join() -> None:
    """A changed number of days is another meaning; another text is none."""
    ruleset = replace(kit.shipped(), rules=(), correlations=())
    lines = update_lock([], ruleset, [JOIN])
    assert lines[0].endswith(" joins/hosts_in_one_place.yml")
    assert check_lock(lines, ruleset, [replace(JOIN, title="Other", description="Other")]) == []
    for changed in (
        replace(JOIN, days=4),
        replace(JOIN, travel=Travel(500, 1000)),
        replace(JOIN, levels=JOIN.levels[1:]),
        replace(JOIN, homes=JOIN.homes[1:]),
        replace(JOIN, subject="other"),
        replace(JOIN, uses={}),
    ):
        (problem,) = check_lock(lines, ruleset, [changed])
        assert "changed its meaning" in problem.what
        assert update_lock(lines, ruleset, [changed])[0].split(" ")[1] == "2"
    (problem,) = check_lock(lines, ruleset)
    assert "is gone" in problem.what


PLACES = Path(__file__).parent / "recordings" / "places"


@pytest.fixture
def hunt(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """Hunt and give the findings of the join."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        main(["hunt", *arguments, "--format", "ndjson", "--quiet"])
        lines = capsys.readouterr().out.splitlines()
        return [one for line in lines if (one := json.loads(line))["rule"]["id"] == JOIN.id]

    return run


def test_an_office_is_one_finding_until_it_is_named(
    hunt: Callable[..., list[dict[str, Any]]],
) -> None:
    """Thirty laptops in an unnamed office are one low finding; named under sites, none."""
    unnamed = hunt(str(PLACES))
    assert [len(one["hosts"]) for one in unnamed if one["level"] == "low"] == [30]
    named = hunt(str(PLACES), "--organisation", str(PLACES / "organisation.yml"))
    assert [(one["level"], len(one["hosts"])) for one in named] == [
        ("high", 3),
        ("medium", 2),
        ("medium", 2),
    ]


def test_a_household_can_be_approved(
    hunt: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """An approval for all hosts of a household silences it; one for a part does not."""
    for hosts, expected in (("[mac-home-31, win-home-32]", 2), ("[mac-home-31]", 3)):
        file = tmp_path / "organisation.yml"
        file.write_text(
            "sites: {office: {owner: it, routers: '00-00-5E-00-53-01'}}\n"
            f"groups: {{home: {{hosts: {hosts}}}}}\n"
            "approved: [{what: hosts-in-one-place, for: home, owner: hr, reason: married,"
            " until: 2126-01-01}]\n",
            encoding="utf-8",
        )
        assert len(hunt(str(PLACES), "--organisation", str(file))) == expected


def test_several_files_in_any_order_give_the_same(
    hunt: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Each host's log in a file of its own."""
    lines = (PLACES / "places.results.log").read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        host = json.loads(line)["hostIdentifier"]
        with (tmp_path / f"{host}.results.log").open("a", encoding="utf-8") as stream:
            stream.write(line)
    files = sorted(map(str, tmp_path.iterdir()))
    one, two = hunt(*files), hunt(*reversed(files))
    assert one == two
    whole = hunt(str(PLACES / "places.results.log"))
    assert [x["id"] for x in one] == [x["id"] for x in whole]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("rule: own_address", "rule: nobody"), "is not loaded: nobody"),
        (("field: bssid", "field: nothing"), "field that is not in rule access_point"),
        (("days: 5", "days: 0"), "join.days"),
        (("    2: medium", "    1: medium"), "2 is missing"),
        (("own:", "mine:"), "join"),
        (("'10.1.1.0/24'", "'10.1.1.7/24'"), "'10.1.1.7/24' is no network"),
    ],
)
def test_a_broken_join_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """What is wrong in a join's file is named; the join is left out."""
    text = Path(JOIN.path).read_text(encoding="utf-8")
    assert change[0] in text
    folder = tmp_path / "joins"
    folder.mkdir()
    (folder / "one.yml").write_text(text.replace(*change, 1), encoding="utf-8")
    joins, problems = load_joins([str(tmp_path)], kit.shipped().rules)
    assert not joins
    assert said in " ".join(map(str, problems))
