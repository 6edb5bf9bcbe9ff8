"""Rows of state tables in correlations: spans of time, not moments."""

from __future__ import annotations

from datetime import date

import correlation_kit as ck
import kit
from correlation_lines import COUNT, DAY, load, seconds, state

from molehunt.detectors.findings.organisation import Approval, Organisation


def test_a_serial_added_in_january_and_its_twin_in_june_meet() -> None:
    """States are spans: the first was still there when the second came; unless it had gone."""
    section = {
        "type": "value_count",
        "rules": ["r1"],
        "group-by": ["cmdline"],
        "timespan": "30d",
        "condition": {"field": "osquery.host", "gte": 2},
    }
    loaded = load(section, service="processes")
    here = state(0, "added", hostIdentifier="lab-01")
    there = state(150 * DAY, "added", hostIdentifier="lab-02")
    gone = state(100 * DAY, "removed", hostIdentifier="lab-01")
    just_gone = state(120 * DAY, "removed", hostIdentifier="lab-01")
    (found,) = ck.findings(loaded, there, here)
    assert [host for host, _ in found.hosts] == ["lab-01", "lab-02"]
    assert (found.count, [item.host for item in found.evidence]) == (2, ["lab-01", "lab-02"])
    assert not ck.findings(loaded, gone, there, here)
    (found,) = ck.findings(loaded, just_gone, there, here)
    assert found.evidence[0].until == ck.START + 120 * DAY


def test_the_same_state_is_counted_once() -> None:
    """However often a snapshot shows it or a new epoch lists it; but not after a long absence."""
    loaded = load(COUNT | {"timespan": "90d", "condition": {"gte": 2}}, service="processes")
    daily = [state(day * DAY, "snapshot", counter=0) for day in range(10)]
    assert not ck.findings(loaded, *daily)
    assert not ck.findings(loaded, *(state(second, "added", counter=0) for second in range(9)))
    flapping = [state(60, "removed"), state(60, "added")]
    assert not ck.findings(loaded, state(0, "added"), *flapping)
    (found,) = ck.findings(loaded, *daily, state(30 * DAY, "snapshot", counter=0))
    assert (found.count, seconds(found)) == (2, (0, 30 * DAY))


def test_a_state_in_two_hits_is_counted_once() -> None:
    """It went on, and others came ten days apart."""
    loaded = load(COUNT | {"timespan": "1d", "condition": {"gte": 2}}, service="processes")
    rows = [state(10 * number * DAY, "added", name=str(number)) for number in range(4)]
    (found,) = ck.findings(loaded, *rows)
    assert (found.count, seconds(found)) == (4, (0, 30 * DAY))


def test_what_was_there_at_the_first_look_may_only_be_the_first() -> None:
    """A baseline row began some time before; it is not known to have come after anything."""
    section = {
        "type": "temporal_ordered",
        "rules": ["r1", "r3"],
        "group-by": ["cmdline"],
        "timespan": "1d",
    }
    loaded = load(section, service="processes")
    assert ck.findings(loaded, state(0, "added", counter=0), state(60, "added", "/c"))
    assert ck.findings(loaded, state(0, "added"), state(60, "added", "/c"))
    assert not ck.findings(loaded, state(0, "added"), state(60, "added", "/c", counter=0))


def test_a_rule_that_asks_for_the_action_counts_changes() -> None:
    """Its rows are moments, not spans: what came in January does not meet June."""
    section = COUNT | {"timespan": "1d", "condition": {"gte": 2}}
    change = ck.rules("processes")[0].replace(
        "condition: selection",
        "came:\n        osquery.action: added\n    condition: selection and came",
    )
    rows = [state(0, "added"), state(150 * DAY, "added", pid="8", group="g")]
    rows[1] = rows[1].replace(b'"7"', b'"8"')
    assert ck.findings(load(section, service="processes"), *rows)
    loaded = kit.ruleset(change, *ck.rules("processes")[1:], ck.correlation(section))
    assert not loaded.problems
    assert not ck.findings(loaded, *rows)


ABOVE = {"type": "temporal", "rules": ["below", "r2"], "group-by": ["cmdline"], "timespan": "1d"}


def test_a_hit_of_states_lasts_as_long_as_they_do() -> None:
    """What comes weeks later meets it, unless one of the states has ended."""
    below = {"type": "temporal", "rules": ["r1", "r3"], "group-by": ["cmdline"], "timespan": "1d"}
    loaded = load(
        ABOVE, ck.correlation(below, "below").replace("0000c1", "0000c2"), service="processes"
    )
    both = [state(0, "added", "/a"), state(DAY, "added", "/c")]
    later = state(50 * DAY, "added", "/b")
    assert [found.rule[-2:] for found in ck.findings(loaded, *both, later)] == ["c1"]
    assert not ck.findings(loaded, *both, later, state(40 * DAY, "removed", "/a"))


def test_a_later_hit_hands_up_the_states_that_go_on() -> None:
    """The second hit is about the old state too, though the first hit is over."""
    below = COUNT | {"group-by": ["osquery.host"], "timespan": "1d", "condition": {"gte": 2}}
    loaded = load(
        ABOVE, ck.correlation(below, "below").replace("0000c1", "0000c2"), service="processes"
    )
    rows = [
        state(10 * DAY, "added", group="short"),
        state(10 * DAY + 60, "added", group="old"),
        state(10 * DAY + 90, "removed", group="short"),
        state(20 * DAY, "added", group="new"),
    ]
    (found,) = ck.findings(loaded, *rows, state(20 * DAY + 60, "added", "/b", group="old"))
    assert found.identity == (("cmdline", "old"),)
    assert not ck.findings(loaded, *rows, state(20 * DAY + 60, "added", "/b", group="short"))


def test_an_approved_end_is_an_end() -> None:
    """The approval came into force while the device was there; it went, and so it is gone."""
    organisation = Organisation(
        approvals=(
            Approval(
                what=frozenset({"00000000-0000-4000-8000-000000000001"}),
                group="*",
                hosts=(),
                owner="IT",
                reason="test",
                start=date(2023, 12, 1),
                end=date(2023, 12, 31),
                line=1,
            ),
        )
    )
    section = COUNT | {"timespan": "1d", "condition": {"gte": 2}}
    loaded = load(section, service="processes")
    lines = [
        state(0, "added", hostIdentifier="lab-01"),
        state(30 * DAY, "removed", hostIdentifier="lab-01"),
        state(90 * DAY, "added", hostIdentifier="lab-02"),
    ]
    assert ck.findings(loaded, lines[0], lines[2])
    assert not ck.findings(loaded, *lines, organisation=organisation)
