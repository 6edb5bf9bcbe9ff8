"""What correlations mean, one decision after the other: lines in, findings out."""

from __future__ import annotations

import correlation_kit as ck
import kit
from correlation_lines import COUNT, event, hits, load, seconds

from molehunt.detectors.report.machine import to_json_dict


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
    (found,) = ck.findings(loaded, event(0, "/ab"), event(1, "/a"))
    assert found.count == 2


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


def test_a_field_with_several_values_is_in_several_groups() -> None:
    """As a comparison holds if any value meets it."""
    loaded = load(COUNT | {"condition": {"gte": 2}})
    lines = [event(0, group=["x", "y"]), event(1, group="y")]  # type: ignore[arg-type]
    (found,) = ck.findings(loaded, *lines)
    assert found.identity == (("cmdline", "y"),)


def test_numbers_of_any_length_are_read_or_not() -> None:
    """No line can stop a run: five thousand digits are no number."""
    section = COUNT | {"type": "value_sum", "condition": {"field": "uid", "gt": 10**20}}
    loaded = load(section)
    huge = [event(0, uid="9" * length) for length in (18, 19, 25, 400, 5000)]
    (found,) = ck.findings(loaded, *huge)
    assert found.count == 3
    assert not ck.findings(loaded, event(0, uid="1" * 400 + ".0"), event(0, uid="1" * 301))


def test_a_field_that_only_a_correlation_asks_for_is_no_filter() -> None:
    """A query without it leaves the rule as it is; the event is in no group."""
    loaded = load(COUNT | {"condition": {"gte": 1}}, service="processes")
    line = kit.line({"pid": "1", "name": "a", "path": "/a"})
    (match,) = ck.matches(loaded, line)
    assert match.fields.places["cmdline"].kind == "absent"
    assert match.fields.missing_filters == ()
    assert not ck.findings(loaded, line)
