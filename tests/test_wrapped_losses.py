"""Exports that lose something: what is left is right, and the loss is said, once for a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest
import wrapped
from test_wrapped import documents, rows

from molehunt.detectors.reading import elastic, fleet, osquery_manager, splunk, tls, wrapping
from molehunt.detectors.reading.wrapping import Trap
from molehunt.problems import Problem, Severity

WINDOWS = documents("kvm-windows/windows.results.log")
BATCH = documents("linux-lab-batch/linux-state-batch-numerics-toplevel.results.log.gz")


def read(path: Path, data: bytes) -> tuple[list[Any], list[Problem]]:
    """Rows and problems of a file with this content."""
    path.write_bytes(data)
    problems: list[Problem] = []
    return rows(path, problems), problems


def warned(problems: list[Problem], trap: Trap, times: int = 1) -> bool:
    """Whether the trap was told exactly once, with the count."""
    what = trap.what + (f" ({times:,} times)" if times > 1 else "")
    told = [p for p in problems if p.what.startswith(trap.what)]
    return [(p.what, p.hint, p.severity) for p in told] == [(what, trap.hint, trap.severity)]


def plain_rows(path: Path, plain: list[dict[str, Any]]) -> list[Any]:
    """The rows of the plain log."""
    return read(path, wrapped.lines(plain))[0]


def test_the_integration_drops_empty_columns_only(tmp_path: Path) -> None:
    """Empty and missing are one value to a rule, so this loses nothing that matters."""
    found, problems = read(tmp_path / "x", wrapped.lines(map(wrapped.integration, WINDOWS)))
    wanted = plain_rows(tmp_path / "x", WINDOWS)
    assert [(r.query, r.host, r.action, r.observed_at, r.counter) for r in found] == [
        (r.query, r.host, r.action, r.observed_at, r.counter) for r in wanted
    ]
    assert [r.values for r in found] == [
        {name: value for name, value in r.values.items() if value != ""} for r in wanted
    ]
    assert not problems


def test_fields_of_a_search_are_as_good_as_its_source_for_events(tmp_path: Path) -> None:
    """Dotted names and lists of one value are undone."""
    hits = [wrapped.fields(wrapped.filebeat(plain)) for plain in WINDOWS]
    found, problems = read(tmp_path / "x", wrapped.lines(hits))
    assert [r.values for r in found] == [r.values for r in plain_rows(tmp_path / "x", WINDOWS)]
    assert not problems


def test_merged_rows_are_left_out_and_said(tmp_path: Path) -> None:
    """`path: [a, b]` and `port: [1, 2]` do not say which path had which port."""
    snapshot = json.loads(kit.line({}, snapshot=[{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]))
    del snapshot["columns"]
    hits = [wrapped.fields(wrapped.filebeat(snapshot))] * 3
    found, problems = read(tmp_path / "x", wrapped.lines(hits))
    assert not found
    assert warned(problems, wrapping.MERGED, 3)
    whole, problems = read(tmp_path / "x", wrapped.lines([wrapped.filebeat(snapshot)]))
    assert [r.values for r in whole] == snapshot["snapshot"]
    assert not problems


def test_rows_of_osquery_manager(tmp_path: Path) -> None:
    """A document for each row: query, host, action, time, counter and values as in the log."""
    for plain in (WINDOWS, BATCH):
        sources = [source for line in plain for source in wrapped.manager(line)]
        found, problems = read(tmp_path / "x", wrapped.lines(map(wrapped.hit, sources)))
        wanted = plain_rows(tmp_path / "x", plain)
        assert [(r.query, r.host, r.action, r.observed_at, r.counter, r.values) for r in found] == [
            (r.query, r.host, r.action, r.observed_at, r.counter, r.values) for r in wanted
        ]
        removed = sum(r.action == "removed" for r in wanted)
        assert {p.what for p in problems} == (
            {osquery_manager.REMOVED.what + f" ({removed} times)"} if removed else set()
        )


def manager(**changes: Any) -> dict[str, Any]:
    """A document of osquery_manager."""
    (source,) = wrapped.manager(json.loads(kit.line({"pid": "7", "cmdline": "sh"})))
    return source | changes


LIVE = "1f0c0000-0000-4000-8000-000000000001"


def test_names_of_new_agents_and_of_live_queries(tmp_path: Path) -> None:
    """Pack and query have fields of their own now; only a saved live query has a name."""
    scheduled = manager(action_id=None, schedule_id="s", pack_name="molehunt", query_name="procs")
    saved = manager(action_id=LIVE, action_data={"saved_query_id": "processes"})
    live = manager(action_id=LIVE, osquery_meta={})
    found, problems = read(tmp_path / "x", wrapped.lines([scheduled, saved, live]))
    assert [r.query for r in found] == ["pack_molehunt_procs", "processes", LIVE]
    assert found[2].action == "snapshot"
    assert found[2].observed_at == 1795429327.0
    assert warned(problems, wrapping.NO_NAME)
    assert warned(problems, wrapping.STORED_TIME)
    assert len(problems) == 2


def test_values_over_the_limit_of_a_keyword(tmp_path: Path) -> None:
    """Cut at 1,024 characters, ignored by the index, or only in the spelling for words."""
    cut = manager(osquery={"pid": "7", "cmdline": "x" * 1024})
    ignored = wrapped.hit(manager(), _ignored=["osquery.cmdline"])
    words = wrapped.fields(
        manager(osquery={"pid": "7", "pid.number": 7, "cmdline.text": "y" * 2000})
    )
    found, problems = read(tmp_path / "x", wrapped.lines([cut, cut, ignored, words]))
    assert found[3].values == {"pid": "7", "cmdline": "y" * 2000}
    assert warned(problems, wrapping.CUT, 2)
    assert warned(problems, elastic.UNSEARCHABLE)
    assert len(problems) == 2
    assert {p.line for p in problems} == {1, 3}


def test_responses_and_profiles_of_osquery_manager_hold_no_rows(tmp_path: Path) -> None:
    """They come along in an export of all its data streams."""
    response = {"action_id": "1", "action_response": {"osquery": {"count": 3}}}
    profile = {"type": "osquery_profile", "osquery_profile": {"duration": 1}}
    assert read(tmp_path / "x", wrapped.lines([response, profile])) == ([], [])


def test_a_dotted_column_is_said(tmp_path: Path) -> None:
    """An alias `a.b` and a nested `a: {b}` look the same once flattened."""
    flat = wrapped.fields(wrapped.filebeat(json.loads(kit.line({"a.b": "1"}))))
    found, problems = read(tmp_path / "x", wrapped.lines([flat]))
    assert found[0].values == {"a.b": "1"}
    assert warned(problems, wrapping.DOTTED)


def event_of_a_table(plain: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A Splunk result without _raw."""
    result = {f"columns.{key}": value for key, value in plain["columns"].items()}
    kept = ("name", "hostIdentifier", "action", "counter", "unixTime")
    return result | {key: str(plain[key]) for key in kept} | changes


def test_splunk_fields_without_the_raw_event(tmp_path: Path) -> None:
    """As good as the line, but for empty columns; a CSV has empty cells to spare."""
    results = [event_of_a_table(plain) for plain in WINDOWS]
    found, problems = read(
        tmp_path / "x", wrapped.lines({"preview": False, "result": r} for r in results)
    )
    wanted = plain_rows(tmp_path / "x", WINDOWS)
    values = [{name: v for name, v in r.values.items() if v != ""} for r in wanted]
    assert [r.values for r in found] == values
    assert [(r.query, r.host, r.action, r.observed_at, r.counter) for r in found] == [
        (r.query, r.host, r.action, r.observed_at, r.counter) for r in wanted
    ]
    assert not problems
    names = sorted({name for result in results for name in result})
    cells = ([result.get(name, "") for name in names] for result in results)
    found, problems = read(tmp_path / "x.csv", wrapped.table(names, cells))
    assert [dict(sorted(r.values.items())) for r in found] == values
    assert not problems


def test_splunk_fields_that_the_add_on_overwrites(tmp_path: Path) -> None:
    """`action` of file_events is not osquery's; `host` is the forwarder; `_time` may be when."""
    plain = json.loads(kit.line({"action": "CREATED", "target_path": "/tmp/x"}, "file_events"))
    result = event_of_a_table(
        plain, action="CREATED", host="forwarder-01", _time="2026-11-23T10:22:05Z"
    )
    del result["hostIdentifier"], result["unixTime"]
    (row,), problems = read(tmp_path / "x", wrapped.lines([result]))
    assert (row.action, row.host, row.observed_at) == ("added", "forwarder-01", 1795429325.0)
    for trap in (splunk.OVERWRITTEN, splunk.FORWARDER, wrapping.STORED_TIME):
        assert warned(problems, trap)


def test_splunk_previews_and_broken_events(tmp_path: Path) -> None:
    """Previews repeat results; TRUNCATE cuts events."""
    good = wrapped.splunk_result(WINDOWS[0])
    lines: list[Any] = [
        {"preview": True, "offset": 0, "result": good},
        {"preview": False, "offset": 0, "result": good},
        {"preview": False, "result": good | {"_raw": good["_raw"][:200]}},
        {"preview": False, "lastrow": True},
    ]
    found, problems = read(tmp_path / "x", wrapped.lines(lines))
    assert len(found) == 1
    assert warned(problems, splunk.PREVIEW)
    assert warned(problems, wrapping.BROKEN_INSIDE)
    assert len(problems) == 2


ANSWERS = [
    (
        "win-01",
        [{"path": "C:\\temp\\new", "name": 'say "hi", twice'}, {"path": "\\\\srv\\x", "name": ""}],
    ),
    ("mac-02", [{"path": "/Applications/A, B.app", "name": "한글"}]),
]


@pytest.mark.parametrize("old", [False, True])
def test_fleet_csv_of_both_kinds(tmp_path: Path, old: bool) -> None:
    """The host comes first, the file is named after the query; old versions wrote JSON cells."""
    path = tmp_path / "molehunt_apps (11-23-26 10-22-00).csv"
    found, problems = read(path, wrapped.fleet_csv("molehunt_apps", ANSWERS, old))
    assert [(r.query, r.host, r.action, dict(r.values)) for r in found] == [
        ("pack/Global/molehunt_apps", host, "snapshot", row)
        for host, rows in ANSWERS
        for row in rows
    ]
    assert [r.locator.line for r in found] == [2, 3, 4]
    assert warned(problems, wrapping.NO_TIME, 3)
    assert len(problems) == 1


def test_fleet_csv_over_several_lines_with_guards_and_gaps(tmp_path: Path) -> None:
    """A value may hold line ends; ="0123" keeps a zero; `undefined` is no value."""
    data = (
        b'"host_display_name","cmdline","pid","last_fetched"\r\n'
        b'"lab-01","a\nb","=""007""","2026-11-23T10:22:00Z"\r\n'
        b'"lab-02","c","undefined","2026-11-23T10:22:00Z"'
    )
    found, problems = read(tmp_path / "q.csv", data)
    assert [(r.host, dict(r.values)) for r in found] == [
        ("lab-01", {"cmdline": "a\nb", "pid": "007"}),
        ("lab-02", {"cmdline": "c"}),
    ]
    assert [(r.locator.line, r.locator.offset) for r in found] == [
        (2, data.index(b'"lab-01"')),
        (4, data.index(b'"lab-02"')),
    ]
    assert {r.observed_at for r in found} == {1795429320.0}
    assert warned(problems, fleet.FETCHED, 2)


def test_fleet_reports_and_live_queries(tmp_path: Path) -> None:
    """Rows by host; the query is not named, and the report may be clipped."""
    report = wrapped.fleet_report(ANSWERS, "2026-11-23T10:22:00Z") | {"report_clipped": True}
    expected = [(host, row) for host, found in ANSWERS for row in found]
    for data in (wrapped.lines([report]), wrapped.pretty(report)):
        found, problems = read(tmp_path / "report.json", data)
        assert [(r.host, dict(r.values)) for r in found] == expected
        assert {(r.query, r.observed_at) for r in found} == {("fleet query 31", 1795429320.0)}
        assert any(p.what.startswith(wrapping.NO_NAME.what) for p in problems)
        assert warned(problems, fleet.CLIPPED)
    found, problems = read(tmp_path / "live.json", wrapped.fleetctl(ANSWERS))
    assert [(r.host, dict(r.values)) for r in found] == expected
    assert warned(problems, wrapping.NO_TIME, 2)
    failed = {"host": "lab-03", "rows": [], "error": "no such table: nope"}
    found, problems = read(tmp_path / "live.json", wrapped.lines([failed]))
    assert not found
    assert warned(problems, fleet.FAILED)


def test_other_requests_of_the_tls_plugins(tmp_path: Path) -> None:
    """Enrolment, configuration and status hold no rows; answers to live queries no host."""
    status = {
        "hostIdentifier": "h",
        "severity": 1,
        "message": "x {",
        "filename": "a.cpp",
        "line": 3,
    }
    bodies = [
        {"enroll_secret": "s", "host_identifier": "h"},
        {"node_key": "nk-1"},
        {"data": [status], "log_type": "status", "node_key": "nk-1"},
        {"queries": {"q": [{"pid": "1"}], "r": []}, "statuses": {"q": 0, "r": 1}, "node_key": "n"},
    ]
    found, problems = read(tmp_path / "x", wrapped.lines(bodies))
    assert not found
    assert warned(problems, tls.LIVE)
    assert len(problems) == 1


def test_what_is_not_osquery_in_a_store_is_counted_once_for_the_file(tmp_path: Path) -> None:
    """An export of a whole index holds other things too."""
    other = wrapped.hit({"message": "hello", "event": {"dataset": "system.syslog"}})
    found, problems = read(
        tmp_path / "x", wrapped.lines([other, wrapped.hit(wrapped.filebeat(WINDOWS[0])), other])
    )
    assert len(found) == 1
    assert [(p.what, p.line, p.severity) for p in problems] == [
        ("a stored object of no known log (2 times)", 1, Severity.ERROR)
    ]


def test_kibana_csv(tmp_path: Path) -> None:
    """Discover's CSV has the chosen fields as columns, and writes numbers for people."""
    names = ["@timestamp", "osquery.result.name", "osquery.result.host_identifier"]
    names += ["osquery.result.unix_time", "osquery.result.columns.path", "osquery.result.action"]
    cells = [
        "Nov 23, 2026 @ 10:22:05.000",
        "processes",
        "lab-01",
        "1,795,429,320",
        "C:\\x",
        "added",
    ]
    (row,), problems = read(tmp_path / "x.csv", wrapped.table(names, [cells]))
    assert (row.query, row.host, row.observed_at) == ("processes", "lab-01", 1795429320.0)
    assert row.values == {"path": "C:\\x"}
    assert not problems


def test_a_csv_of_something_else_is_one_problem(tmp_path: Path) -> None:
    """Not one a line."""
    found, problems = read(tmp_path / "x.csv", b"name,age\nx,1\ny,2\n")
    assert not found
    assert len(problems) == 1
