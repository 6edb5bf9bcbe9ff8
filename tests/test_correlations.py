"""What correlations mean, one decision after the other: lines in, findings out."""

from __future__ import annotations

import os
import pickle
import random
import sys
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import correlation_kit as ck
import kit
import pytest

from molehunt.detectors.correlating import store
from molehunt.detectors.correlating.correlator import Collector, Correlator
from molehunt.detectors.findings.correlated import correlated_findings
from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.findings.model import Finding
from molehunt.detectors.findings.organisation import Approval, Organisation
from molehunt.detectors.records import Locator
from molehunt.detectors.report.machine import to_json_dict
from molehunt.ruleset import RuleSet

DAY = 86400
COUNT = {
    "type": "event_count",
    "rules": ["r1"],
    "group-by": ["cmdline"],
    "timespan": "1m",
    "condition": {"gte": 3},
}


def load(section: dict[str, Any], *more: str, service: str = "process_events") -> RuleSet:
    """The three rules of the kit, one correlation, and what more there is; all good."""
    loaded = kit.ruleset(*ck.rules(service), ck.correlation(section), *more)
    assert not loaded.problems, [str(problem) for problem in loaded.problems]
    return loaded


def event(second: float, path: str = "/a", group: str = "g", **more: Any) -> bytes:
    """An event line. Keys that are no columns go into the envelope."""
    envelope = {key: more.pop(key) for key in ("hostIdentifier", "decorations") if key in more}
    row = {"path": path, "cmdline": group, "cwd": "", "pid": "1", "uid": "0"} | more
    row["time"] = str(ck.START + int(second))
    return kit.line(row, "process_events", counter=3, **envelope)


def state(second: float, action: str, path: str = "/a", **more: Any) -> bytes:
    """A line of a state table."""
    row = {"pid": "7", "name": "x", "path": path, "cmdline": more.pop("group", "g")}
    more = {"counter": 1, "unixTime": ck.START + int(second), "action": action} | more
    return kit.line(row, "processes", **more)


def hits(loaded: RuleSet, *logged: bytes) -> list[Finding]:
    """The findings of the correlation c1 alone."""
    return [one for one in ck.findings(loaded, *logged) if one.rule.endswith("c1")]


def seconds(found: Any) -> tuple[float, float]:
    """First and last seen after `START`."""
    return found.first_seen - ck.START, found.last_seen - ck.START


def test_a_window_includes_both_its_ends_and_slides() -> None:
    """Three within exactly a minute, whatever the clock's minute; not one second more."""
    loaded = load(COUNT)
    (found,) = ck.findings(loaded, event(50), event(80), event(110))
    assert (found.count, seconds(found)) == (3, (50, 110))
    assert not ck.findings(loaded, event(50), event(80), event(111))


def test_temporal_does_not_stop_at_the_hour() -> None:
    """59:30 and 00:30 are a minute: "The time frame should not be restricted to boundaries"."""
    section = {"type": "temporal", "rules": ["r1", "r2"], "group-by": ["cmdline"], "timespan": "1m"}
    hour = 3600 - ck.START % 3600
    (found,) = ck.findings(load(section), event(hour + 30, "/b"), event(hour - 30, "/a"))
    assert [item.rule[-2:] for item in found.evidence] == ["01", "02"]


def test_the_order_of_temporal_ordered_is_strict() -> None:
    """At the same second nothing came after the other."""
    section = {
        "type": "temporal_ordered",
        "rules": ["r1", "r3"],
        "group-by": ["cmdline"],
        "timespan": "1m",
    }
    loaded = load(section)
    assert ck.findings(loaded, event(1), event(2, "/c"))
    assert not ck.findings(loaded, event(2), event(2, "/c"))
    assert not ck.findings(loaded, event(3), event(2, "/c"))


def test_an_absence_needs_logs_that_go_on_for_the_whole_timespan() -> None:
    """`r1 and not r2` looks forward a minute, and the minute must be over."""
    section = {
        "type": "temporal",
        "rules": ["r1", "r2"],
        "group-by": ["cmdline"],
        "timespan": "1m",
        "condition": "r1 and not r2",
    }
    loaded = load(section)
    assert not hits(loaded, event(0), event(59, "/c", "other"))
    (found,) = hits(loaded, event(0), event(60, "/c", "other"))
    assert found.count == 1
    assert not hits(loaded, event(0), event(60, "/b"), event(90, "/c", "other"))
    assert hits(loaded, event(0), event(61, "/b"), event(90, "/c", "other"))


def test_hits_are_told_apart_but_found_once() -> None:
    """Two bursts in one group are one finding; between them nothing counts."""
    loaded = load(COUNT)
    burst = [event(second) for second in (0, 1, 2, 500, 1000, 1001, 1002, 1003)]
    (found,) = ck.findings(loaded, *burst)
    assert (found.count, seconds(found)) == (7, (0, 1003))


def test_a_range_is_both_its_parts() -> None:
    """The specification's `gt` with `lte`, which pySigma refuses."""
    section = COUNT | {"condition": {"gt": 1, "lte": 2}, "timespan": "1s"}
    loaded = load(section)
    assert ck.findings(loaded, event(0), event(0))
    assert not ck.findings(loaded, event(0), event(0), event(0))


def test_groups_and_values_do_not_differ_in_case() -> None:
    """As everywhere in Sigma; the first spelling in order is shown."""
    loaded = load(COUNT)
    (found,) = ck.findings(
        loaded, event(0, group="Eve"), event(1, group="eve"), event(2, group="EVE")
    )
    assert found.identity == (("cmdline", "EVE"),)
    values = COUNT | {"type": "value_count", "condition": {"field": "cwd", "gte": 2}}
    loaded = load(values)
    assert not ck.findings(loaded, event(0, cwd="v"), event(1, cwd="V"))
    assert ck.findings(loaded, event(0, cwd="v"), event(1, cwd="w"))


def test_several_fields_of_a_value_are_linked_by_and() -> None:
    """Pairs are counted, and only whole ones."""
    section = COUNT | {"type": "value_count", "condition": {"field": ["cwd", "uid"], "gte": 2}}
    loaded = load(section)
    assert ck.findings(loaded, event(0, cwd="v", uid="1"), event(1, cwd="v", uid="2"))
    assert not ck.findings(loaded, event(0, cwd="v", uid="1"), event(1, cwd="", uid="2"))


def test_an_event_without_a_group_field_is_in_no_group() -> None:
    """Nothing equals nothing."""
    assert not ck.findings(load(COUNT), *(event(second, group="") for second in range(5)))


def test_an_alias_ties_fields_of_different_names() -> None:
    """The specification's example: the same address as source here and as destination there."""
    section = {
        "type": "temporal",
        "rules": ["r1", "r3"],
        "group-by": ["who"],
        "timespan": "1m",
        "aliases": {"who": {"r1": "cmdline", "r3": "cwd"}},
    }
    loaded = load(section)
    (found,) = ck.findings(loaded, event(0, "/a", "x"), event(1, "/c", "y", cwd="x"))
    assert found.identity == (("who", "x"),)
    assert not ck.findings(loaded, event(0, "/a", "x"), event(1, "/c", "x", cwd="y"))


def test_referenced_rules_are_silent_unless_they_are_to_be_generated() -> None:
    """The default is "only the correlation query"; rules that none refers to speak."""
    lines = [event(0), event(1), event(2), event(3, "/c")]
    assert {one.title for one in ck.findings(load(COUNT), *lines)} == {"Correlation", "Rule r3"}
    loud = ck.findings(load(COUNT | {"generate": True}), *lines)
    assert {one.title for one in loud} == {"Correlation", "Rule r3", "Rule r1"}


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
    (found,) = ck.findings(loaded, *daily, state(30 * DAY, "snapshot", counter=0))
    assert (found.count, seconds(found)) == (2, (0, 30 * DAY))


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


def test_a_chain_takes_fields_from_below_its_hits() -> None:
    """The user comes from the events of a hit that is grouped by host: "the correlation rule only
    uses its own group-by"."""
    below = COUNT | {"group-by": ["osquery.host"]}
    above = {
        "type": "temporal_ordered",
        "rules": ["many", "r3"],
        "group-by": ["cmdline"],
        "timespan": "10m",
    }
    loaded = load(above, ck.correlation(below, "many").replace("0000c1", "0000c2"))
    lines = [event(0, group="eve"), event(1, group="bob"), event(2, group="bob")]
    found = {one.rule[-2:]: one for one in ck.findings(loaded, *lines, event(9, "/c", "eve"))}
    assert set(found) == {"c1"}
    assert found["c1"].identity == (("cmdline", "eve"),)
    assert found["c1"].count == 2
    assert [item.rule[-2:] for item in found["c1"].evidence] == ["01", "01", "01", "03"]
    assert not ck.findings(loaded, *lines, event(9, "/c", "mallory"))


def test_a_hit_is_one_event_for_the_correlation_above() -> None:
    """Two bursts are two, however long each was."""
    above = COUNT | {"rules": ["many"], "timespan": "1d", "condition": {"gte": 2}}
    loaded = load(above, ck.correlation(COUNT, "many").replace("0000c1", "0000c2"))
    one = [event(second) for second in range(10)]
    assert not ck.findings(loaded, *one)
    (found,) = ck.findings(loaded, *one, *(event(900 + second) for second in range(3)))
    assert found.count == 2


def test_a_record_that_matched_two_rules_is_one_event() -> None:
    """`/ab` matches r1 and r2."""
    loaded = load(COUNT | {"rules": ["r1", "r2"], "condition": {"gte": 2}})
    assert not ck.findings(loaded, event(0, "/ab"))
    assert ck.findings(loaded, event(0, "/ab"), event(1, "/a"))


def test_the_id_depends_on_the_group_only() -> None:
    """Neither on times nor on which host comes first; all hosts and users are named."""
    loaded = load(COUNT)
    names = {"lab-02": {"hostname": "two"}, "lab-01": {}}
    lines = [
        event(second, hostIdentifier=host, decorations=names[host])
        for second, host in enumerate(["lab-02", "lab-01", "lab-02"])
    ]
    (found,) = ck.findings(loaded, *lines)
    (other,) = ck.findings(loaded, event(90), event(91), event(92), event(93))
    assert found.id == other.id
    assert found.hosts == (("lab-01", "lab-01"), ("lab-02", "two"))
    assert (found.host, found.host_name) == found.hosts[0]
    document = to_json_dict(found)
    assert document["hosts"][1] == {"id": "lab-02", "name": "two"}
    assert {item["host"] for item in document["evidence"]} == {"lab-01", "lab-02"}


def test_evidence_shows_every_rule() -> None:
    """A hundred of one and one of the other: both are shown."""
    section = {"type": "temporal", "rules": ["r1", "r3"], "group-by": ["cmdline"], "timespan": "1d"}
    (found,) = ck.findings(load(section), *map(event, range(100)), event(200, "/c"))
    assert found.count == 101
    assert [item.rule[-2:] for item in found.evidence] == ["01"] * 4 + ["03"]
    assert found.evidence[-1].reasons[0].value == "/c"


def test_a_context_only_correlation_raises_what_is_near() -> None:
    """It is never shown alone, and raises a finding on one of its hosts."""
    only = ck.correlation(COUNT) + "molehunt: {context_only: true}\n"
    loaded = kit.ruleset(*ck.rules(), only)
    assert not loaded.problems
    lines = [event(0), event(1), event(2)]
    assert not ck.findings(loaded, *lines)
    (found,) = ck.findings(loaded, *lines, event(3, "/c"))
    assert [one.title for one in found.raised_by] == ["Correlation"]
    assert found.level > found.rule_level


def test_events_can_be_sent_and_come_in_any_order() -> None:
    """What other processes collected, pickled and shuffled, gives the same bytes."""
    section = {"type": "temporal", "rules": ["r1", "r2"], "group-by": ["cmdline"], "timespan": "1m"}
    loaded = load(section, ck.correlation(COUNT, "c2").replace("0000c1", "0000c2"))
    rng = random.Random(7)
    lines = [event(rng.randrange(900), rng.choice(["/a", "/b", "/ab"])) for _ in range(120)]
    direct = ck.findings(loaded, *lines)
    for _ in range(4):
        collectors = [Collector(loaded), Collector(loaded)]
        for match in ck.matches(loaded, *lines):
            rng.choice(collectors).add(match)
        sent = [found for one in collectors for found in pickle.loads(pickle.dumps(one.take()))]
        assert not collectors[0].take()
        rng.shuffle(sent)
        with Correlator(loaded) as correlator:
            correlator.extend(sent)
            sent_findings = correlated_findings(correlator)
            assert Folder().findings(sent_findings) == direct
    assert len(direct) == 2


def test_a_window_of_many_events_needs_little_memory() -> None:
    """Counting thirty thousand events in one window takes no thirty thousand objects."""
    loaded = load(COUNT | {"timespan": "30d", "condition": {"gte": 30_000}})
    (match,) = ck.matches(loaded, event(0))
    collector = Collector(loaded)
    collector.add(match)
    (one,) = collector.take()
    with Correlator(loaded) as correlator:
        tracemalloc.start()
        try:
            correlator.extend(
                one._replace(at=one.at + number, where=Locator("big.log", number, number + 1, 0))
                for number in range(30_000)
            )
            (found,) = correlator.results()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.count == 30_000
    assert peak < 3_000_000


def test_a_field_with_several_values_is_in_several_groups() -> None:
    """As a comparison holds if any value meets it."""
    loaded = load(COUNT | {"condition": {"gte": 2}})
    lines = [event(0, group=["x", "y"]), event(1, group="y")]  # type: ignore[arg-type]
    (found,) = ck.findings(loaded, *lines)
    assert found.identity == (("cmdline", "y"),)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_spilled_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the cache is in a file that is deleted already: whatever becomes of
    the process, no log content stays behind."""
    monkeypatch.setattr(store, "CACHE_KIB", 64)
    loaded = load(COUNT)
    before = _opened()
    with Correlator(loaded) as correlator:
        for match in ck.matches(loaded, *map(event, range(2000))):
            correlator.add(match)
        (found,) = correlator.results()
        spilled = _opened() - before
        assert spilled
        assert all(name.endswith("(deleted)") for name in spilled)
    assert found.count == 2000
    assert not _opened() - before


def _opened() -> set[str]:
    """The files that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {name for link in links if (name := os.readlink(link)).startswith("/")}


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The correlator goes on without a trace of Python, and says what is missing."""
    monkeypatch.setattr(store, "_TABLES", "PRAGMA max_page_count = 40;" + store._TABLES)
    loaded = load(COUNT)
    with Correlator(loaded) as correlator:
        for match in ck.matches(loaded, *map(event, range(2000))):
            correlator.add(match)
        assert not list(correlator.results())
        (problem,) = correlator.problems()
    assert "database or disk is full" in problem.what


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


def test_numbers_of_any_length_are_read_or_not() -> None:
    """No line can stop a run: five thousand digits are no number."""
    section = COUNT | {"type": "value_sum", "condition": {"field": "uid", "gt": 10**20}}
    loaded = load(section)
    huge = [event(0, uid="9" * length) for length in (18, 19, 25, 400, 5000)]
    (found,) = ck.findings(loaded, *huge)
    assert found.count == 3
    assert not ck.findings(loaded, event(0, uid="1" * 400 + ".0"), event(0, uid="1" * 301))
