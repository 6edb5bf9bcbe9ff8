"""Matches to findings: identity, intervals, counts, context and approvals."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import kit
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.findings.fold import EVIDENCE_CAP, Folder
from molehunt.detectors.findings.model import Finding
from molehunt.detectors.findings.organisation import load_organisation
from molehunt.levels import Level
from molehunt.rule import Rule

ROW = {"pid": "7", "name": "sh", "path": "/usr/bin/sh"}
DAY = 86400


def sh_rule(more: str = "", title: str = "Test Rule") -> Rule:
    """A rule on /sh of `processes`."""
    found = kit.rule("selection:\n    path|endswith: /sh\ncondition: selection", more=more)
    return replace(found, title=title)


def folded(rules: list[Rule], *lines: bytes, organisation: Any = None) -> tuple[Finding, ...]:
    """The findings of rules on lines."""
    folder = Folder(organisation)
    for match in kit.matches(rules, *lines):
        folder.add(match)
    return folder.findings()


def test_the_same_thing_again_is_the_same_finding() -> None:
    """Neither time nor file nor pid is part of the id; host and identity fields are."""
    rule = sh_rule("molehunt: {identity: [path]}")
    once = folded([rule], kit.line(ROW))
    again = folded([rule], kit.line(ROW | {"pid": "8"}, unixTime=1795430000))
    other_host = folded([rule], kit.line(ROW, hostIdentifier="lab-02"))
    other_path = folded([rule], kit.line(ROW | {"path": "/opt/sh"}))
    assert once[0].id == again[0].id
    assert len({once[0].id, other_host[0].id, other_path[0].id}) == 3


def test_counts_are_exact_and_evidence_is_the_earliest() -> None:
    """Twenty matches are counted, the earliest few are kept, in order of time."""
    times = list(range(1795429320, 1795429340))
    random.Random(7).shuffle(times)
    (finding,) = folded([sh_rule()], *(kit.line(ROW, unixTime=at) for at in times))
    assert finding.count == 20
    assert [e.at for e in finding.evidence] == [1795429320.0 + n for n in range(EVIDENCE_CAP)]
    assert (finding.first_seen, finding.last_seen) == (1795429320.0, 1795429339.0)


@given(st.permutations(range(12)))
def test_folding_does_not_depend_on_order(order: list[int]) -> None:
    """Any order of the same matches gives the same findings."""
    lines = [
        kit.line(
            ROW | {"pid": str(n % 3)},
            unixTime=1795429320 + n,
            action="removed" if n > 8 else "added",
        )
        for n in range(12)
    ]
    found = kit.matches([sh_rule()], *lines)
    straight, shuffled = Folder(), Folder()
    for match in found:
        straight.add(match)
    for index in order:
        shuffled.add(found[index])
    assert straight.findings() == shuffled.findings()


def test_a_state_lasts_from_added_to_removed() -> None:
    """The removed row ends the interval and is not counted."""
    (finding,) = folded(
        [sh_rule()], kit.line(ROW), kit.line(ROW, action="removed", unixTime=1795429400)
    )
    assert finding.count == 1
    assert finding.evidence[0].until == 1795429400.0
    assert finding.last_seen == 1795429400.0


def test_a_removed_row_alone_finds_nothing() -> None:
    """The end of something whose beginning the log does not have is no finding."""
    assert folded([sh_rule()], kit.line(ROW, action="removed")) == ()


def test_a_baseline_row_says_present_not_new() -> None:
    """Counter 0 is the first full result of a state query; event tables are exempt."""
    (first,) = folded([sh_rule()], kit.line(ROW, counter=0))
    (later,) = folded([sh_rule()], kit.line(ROW, counter=3))
    (snapshot,) = folded([sh_rule()], kit.line(ROW, action="snapshot"))
    assert [f.evidence[0].basis for f in (first, later, snapshot)] == ["present", "new", "present"]
    event_rule = kit.rule(
        "selection:\n    Image|endswith: /sh\ncondition: selection",
        "{category: process_creation, product: linux}",
    )
    row = {
        "path": "/bin/sh",
        "cmdline": "sh",
        "syscall": "execve",
        "auid": "1",
        "time": "1795429310",
    }
    (event,) = folded([event_rule], kit.line(row, "process_events", counter=0))
    assert event.evidence[0].basis == "event"
    assert event.first_seen == 1795429310.0


def test_reasons_name_field_column_and_value() -> None:
    """The evidence says what matched, and leaves out filters that did not."""
    rule = kit.rule(
        """
        selection:
            Image|endswith: [/zsh, /sh]
        filter_main_x:
            CommandLine|contains: harmless
        condition: selection and not filter_main_x
        """,
        "{category: process_creation, product: linux}",
    )
    (finding,) = folded([rule], kit.line(ROW))
    (reason,) = finding.evidence[0].reasons
    assert (reason.field, reason.column, reason.value) == ("Image", "path", "/usr/bin/sh")
    assert reason.wanted == "ends with '/sh'"


CONTEXT = "molehunt: {context_only: true}"


def context_rule() -> Rule:
    """A context-only rule on the name column."""
    found = kit.rule("selection:\n    name: sh\ncondition: selection", more=CONTEXT)
    return replace(found, id="00000000-0000-4000-8000-000000000002", title="Context")


def test_context_is_never_shown_alone_and_lifts_once() -> None:
    """Context-only rules raise what else was found on the entity by one level, and it says so."""
    assert folded([context_rule()], kit.line(ROW)) == ()
    (finding,) = folded([sh_rule(), context_rule()], kit.line(ROW))
    assert (finding.rule_level, finding.level) == (Level.MEDIUM, Level.HIGH)
    assert [(r.title, r.count) for r in finding.raised_by] == [("Context", 1)]


def test_context_lifts_only_near_in_time_and_on_the_same_host() -> None:
    """Seven days, the same entity."""
    far = kit.line({"name": "sh", "path": "/x", "pid": "1"}, unixTime=1795429320 + 8 * DAY)
    other = kit.line({"name": "sh", "path": "/x", "pid": "1"}, hostIdentifier="lab-02")
    mine = kit.line({"name": "no", "path": "/bin/sh", "pid": "1"})
    for context in (far, other):
        (finding,) = folded([sh_rule(), context_rule()], mine, context)
        assert finding.level is Level.MEDIUM
        assert finding.raised_by == ()


def test_context_makes_no_observation_of_an_inventory() -> None:
    """What is informational stays so; a low finding is lifted."""
    for level, lifted in ((Level.INFORMATIONAL, Level.INFORMATIONAL), (Level.LOW, Level.MEDIUM)):
        (finding,) = folded([replace(sh_rule(), level=level), context_rule()], kit.line(ROW))
        assert finding.level is lifted
        assert bool(finding.raised_by) is (level is Level.LOW)


def test_context_never_lifts_past_high() -> None:
    """Critical is for rules that name the threat."""
    high = replace(sh_rule(), level=Level.HIGH)
    (finding,) = folded([high, context_rule()], kit.line(ROW))
    assert finding.level is Level.HIGH


def test_approvals_are_judged_at_event_time(tmp_path: Path) -> None:
    """The approved tool on an approved host is counted, not shown; before and after it is shown."""
    path = tmp_path / "organisation.yml"
    path.write_text(
        "groups:\n    lab: {hosts: ['lab-*']}\n"
        "approved:\n    - {what: shell, for: lab, owner: IT, reason: test,"
        " from: 2026-11-23, until: 2026-11-24}\n",
        encoding="utf-8",
    )
    organisation, problems = load_organisation(str(path))
    assert [p for p in problems if p.severity == "error"] == []
    rule = sh_rule("molehunt: {subject: shell}")
    inside, after = kit.line(ROW), kit.line(ROW, unixTime=1795429320 + 2 * DAY)
    elsewhere = kit.line(ROW, hostIdentifier="win-01")
    assert folded([rule], inside, organisation=organisation) == ()
    (finding,) = folded([rule], inside, after, organisation=organisation)
    assert finding.count == 1
    assert len(folded([rule], elsewhere, organisation=organisation)) == 1
