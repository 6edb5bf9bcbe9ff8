"""The table and the JSON of findings, for any finding that telemetry could make."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from datetime import timedelta, timezone
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from made_findings import AT, FINDING, FINDINGS, JIGGLER, PROBLEM, X11VNC, run
from referencing import Registry, Resource
from rich.cells import cell_len

import molehunt.detectors.report as report_package
from molehunt.detectors.findings.model import Finding, Reason
from molehunt.detectors.report.machine import (
    RUN_FORMAT,
    plain,
    to_json_dict,
    write_json,
    write_ndjson,
)
from molehunt.detectors.report.order import in_order
from molehunt.detectors.report.picture import render_svg
from molehunt.detectors.report.table import NOTHING, render_table
from molehunt.detectors.report.times import iso_time
from molehunt.levels import Level
from molehunt.problems import Problem, Severity

_SCHEMAS = {
    name: json.loads(
        (Path(str(report_package.__path__[0])) / f"{name}.schema.json").read_text("ascii")
    )
    for name in ("finding", "run")
}
_REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in _SCHEMAS.values()
)
_CHECK = {name: Draft202012Validator(s, registry=_REGISTRY) for name, s in _SCHEMAS.items()}


def _table(*findings: Finding, width: int = 120, colour: bool = False, **options: Any) -> str:
    shown = StringIO()
    render_table(findings, width=width, colour=colour, file=shown, **options)
    return shown.getvalue()


@settings(deadline=None)
@given(FINDINGS, st.integers(60, 200))
def test_a_plain_table_shows_and_never_acts(findings: list[Finding], width: int) -> None:
    """Any text, any width: nothing raises, no line is too wide, nothing but line feeds controls."""
    shown = _table(*findings, width=width)
    lines = shown.split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert cell_len(line) <= width
        assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Cn", "Co", "Zl"}


@settings(deadline=None)
@given(FINDINGS)
def test_colour_adds_nothing_but_styles(findings: list[Finding]) -> None:
    """With the styles taken out, the coloured table is the plain one."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", _table(*findings, colour=True))
    assert [line.rstrip() for line in bare.split("\n")] == [
        line.rstrip() for line in _table(*findings).split("\n")
    ]


@settings(deadline=None)
@given(FINDING)
def test_an_old_code_page_is_no_error(finding: Finding) -> None:
    """What the encoding of the file lacks is replaced."""
    for encoding in ("ascii", "cp1252", "latin-1"):
        raw = BytesIO()
        file = TextIOWrapper(raw, encoding=encoding, newline="")
        render_table([replace(finding, level=Level.HIGH)], width=80, colour=False, file=file)
        file.flush()
        assert b"1 high on 1 host" in raw.getvalue()


def test_the_wide_table_has_every_column() -> None:
    """Host, when, what, how sure, why and rule, for one finding."""
    head, blank, names, line, *rows = _table(X11VNC).splitlines()
    assert (head, blank, set(line)) == ("1 medium on 1 host", "", {"─"})
    assert re.split(r"  +", names) == ["host", "when (UTC)", "what", "how sure", "why", "rule"]
    assert re.split(r"  +", rows[0]) == [
        "lab-01",
        "2026-11-23 10:22:00",
        "Remote Access Tool - X11vnc Execution",
        "medium",
        "Image: /usr/bin/x11vnc",
        "6e0c5a53",
    ]
    assert re.split(r"  +", rows[1]) == [
        "anna",
        "… 10:55:20",
        "×3",
        "/usr/bin/x11vnc",
        "experimental",
    ]
    assert len(rows) == 2


def test_the_narrow_table_says_the_same() -> None:
    """80 columns lose no cell of 120."""
    narrow = _table(X11VNC, width=80)
    for cell in re.split(r"  +|\n *", _table(X11VNC).split("─\n")[1].strip()):
        assert cell in narrow


@pytest.mark.parametrize("width", [60, 79, 80, 109, 110, 120, 200])
def test_a_width_below_the_narrowest_is_laid_out_as_the_narrowest(width: int) -> None:
    """Every supported width fits, and 20 gives what 60 gives."""
    assert max(map(cell_len, _table(X11VNC, width=width).splitlines())) <= width
    assert _table(X11VNC, width=20) == _table(X11VNC, width=60)


def test_a_raised_finding_says_so_and_by_what() -> None:
    """The sign stands at the level only if the level changed."""
    raised = replace(X11VNC, level=Level.HIGH, raised_by=(JIGGLER,))
    assert "high ↑" in _table(raised)
    assert "↑ Mouse Movement Simulator" in _table(raised, width=200)
    already = replace(raised, rule_level=Level.HIGH)
    assert "↑" not in _table(already)
    assert "with Mouse Movement Simulator" in _table(already, width=200)


def test_what_limits_the_certainty_is_shown() -> None:
    """A first look, an unapplied filter, a state that ended, an unknown time."""
    item = replace(X11VNC.evidence[0], basis="present", until=AT + 60)
    shown = _table(replace(X11VNC, evidence=(item,), count=1, missing_filters=("ParentImage",)))
    assert "or before" in shown
    assert "gone 10:23:00" in shown
    assert "not checked: ParentImage" in shown
    assert "time unknown" in _table(replace(X11VNC, first_seen=None, last_seen=None))
    assert "experimental" not in _table(replace(X11VNC, status="stable"))


def test_no_more_than_three_reasons_are_shown() -> None:
    """The fourth and fifth are counted."""
    reasons = tuple(Reason(f"field{n}", "c", f"value{n}", f"is 'value{n}'") for n in range(5))
    shown = _table(replace(X11VNC, evidence=(replace(X11VNC.evidence[0], reasons=reasons),)))
    assert "field2: value2" in shown
    assert "field3" not in shown
    assert "and 2 more" in shown


def test_a_field_is_named_once_and_a_matched_part_shown_once() -> None:
    """Several conditions on one long command line are told without repetition."""
    line = "ssh -N -o ServerAliveInterval=30 -R 2222:localhost:22 tunnel@198.51.100.7 " + "-v " * 40
    reasons = tuple(
        Reason("CommandLine", "cmdline", line, wanted)
        for wanted in ("contains ' -R '", "contains ' -R ' (case matters)", "contains 'tunnel@'")
    )
    shown = _table(replace(X11VNC, evidence=(replace(X11VNC.evidence[0], reasons=reasons),)))
    assert shown.count("CommandLine:") == 1
    assert shown.count(" -R ") == 1
    assert shown.count("tunnel@") == 1


def test_a_reason_without_a_value_says_what_was_wanted() -> None:
    """Keywords and empty fields have no value to show."""
    reasons = (Reason("", "", None, "contains 'vnc'"), Reason("User", "username", "", "is null"))
    shown = _table(replace(X11VNC, evidence=(replace(X11VNC.evidence[0], reasons=reasons),)))
    assert "any value contains 'vnc'" in shown
    assert "User is null" in shown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_title_without_a_space_is_folded_not_cut(width: int) -> None:
    """A title is told whole, however long."""
    assert _table(replace(X11VNC, title="W" * 300), width=width).count("W") == 300


def test_markup_in_values_is_text() -> None:
    """Square brackets, links and emoji codes are shown as they are."""
    host = "[red]a[/]:bomb:"
    assert host in _table(replace(X11VNC, host_name=host, users=("[link=file:///etc/passwd]x",)))


def test_two_hosts_of_one_name_are_told_apart() -> None:
    """Their identifiers are shown, and they count as two."""
    other = replace(X11VNC, host="77c2aa10-lab", id="f")
    shown = _table(X11VNC, other)
    assert "2 medium on 2 hosts" in shown
    assert "9f1c0b52-lab" in shown
    assert "77c2aa10-lab" in shown
    assert "9f1c0b52-lab" not in _table(X11VNC)


def test_times_are_shown_in_the_zone_asked_for() -> None:
    """UTC is the default; the head names the zone."""
    shown = _table(X11VNC, when_zone=timezone(timedelta(hours=9)))
    assert "when (UTC+09:00)" in shown
    assert "2026-11-23 19:22:00" in shown


def test_nothing_found_is_one_calm_sentence() -> None:
    """No empty table."""
    assert _table() == NOTHING + "\n"


def test_findings_stand_in_order() -> None:
    """Level, then first seen with the unknown last, then host, rule and id."""
    wanted = [
        replace(X11VNC, id="z", level=Level.CRITICAL),
        replace(X11VNC, id="y", level=Level.HIGH, first_seen=AT - 1),
        replace(X11VNC, id="x", level=Level.HIGH, host="a"),
        replace(X11VNC, id="w", level=Level.HIGH, host="b", rule="0"),
        replace(X11VNC, id="v", level=Level.HIGH, host="b", rule="1"),
        replace(X11VNC, id="u", level=Level.HIGH, first_seen=None),
        replace(X11VNC, id="t", level=Level.LOW),
    ]
    assert in_order(reversed(wanted)) == wanted
    lines = _ndjson(list(reversed(wanted))).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list("zyxwvut")


@settings(deadline=None, max_examples=30)
@given(FINDINGS)
def test_the_picture_is_one_well_formed_document(findings: list[Finding]) -> None:
    """Any text gives valid XML that names no address to load from, and always the same."""
    picture = render_svg(findings)
    ET.fromstring(picture)
    assert "@font-face" not in picture.split("</style>")[0]
    assert picture == render_svg(findings)


def _ndjson(findings: list[Finding]) -> str:
    stream = StringIO()
    write_ndjson(findings, stream)
    return stream.getvalue()


def _json(findings: list[Finding], run: dict[str, Any]) -> str:
    stream = StringIO()
    write_json(findings, run, stream)
    return stream.getvalue()


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=6),
        st.sampled_from(["\ud83d\ude00", "\ud800", "\x7f", "\u202e", 1e16, 1e-7, 2**64, -0.0]),
    ),
    lambda some: st.one_of(
        st.lists(some, max_size=3), st.dictionaries(st.text(max_size=3), some, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_documents_are_written_as_json_writes_them(value: Any) -> None:
    """Byte for byte what Python's own writer, which is slower, makes of the same values."""
    stream = StringIO()
    write_json((), {"inputs": value}, stream)
    told = {"format": RUN_FORMAT, "run": plain({"inputs": value}), "findings": []}
    assert stream.getvalue() == json.dumps(told, indent=2, ensure_ascii=True) + "\n"
    assert stream.getvalue().isascii()


@settings(deadline=None)
@given(FINDINGS)
def test_every_line_of_ndjson_is_a_valid_finding(findings: list[Finding]) -> None:
    """Schema-valid, plain ASCII, and readable by a strict parser."""
    shown = _ndjson(findings)
    assert all(character == "\n" or " " <= character <= "~" for character in shown)
    lines = shown.splitlines()
    assert len(lines) == len(findings)
    for line in lines:
        _CHECK["finding"].validate(json.loads(line))


@settings(deadline=None)
@given(FINDINGS, st.lists(PROBLEM, max_size=3))
def test_a_document_is_a_valid_run(findings: list[Finding], problems: list[Problem]) -> None:
    """With problems as values or already taken apart; the same bytes whatever the order."""
    shown = _json(findings, run(problems))
    document = json.loads(shown)
    _CHECK["run"].validate(document)
    taken_apart = run(document["run"]["problems"])
    assert _json(findings, dict(reversed(taken_apart.items()))) == shown


@settings(deadline=None)
@given(st.lists(FINDING, max_size=4, unique_by=lambda finding: finding.id))
def test_the_order_in_which_findings_come_does_not_matter(findings: list[Finding]) -> None:
    """Findings are sorted before they are written."""
    assert _ndjson(findings) == _ndjson(findings[::-1])
    assert _table(*findings) == _table(*findings[::-1])


def test_the_schemas_are_schemas_and_refuse_what_is_wrong() -> None:
    """Each is valid by its metaschema, and none is so loose that it takes anything."""
    good = to_json_dict(X11VNC)
    for schema in _SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    assert _CHECK["finding"].is_valid(good)
    for wrong in (
        {**good, "first_seen": 1795429320},
        {**good, "first_seen": "2026-11-23 10:22:00"},
        {**good, "level": "severe"},
        {**good, "extra": 1},
        {key: value for key, value in good.items() if key != "count"},
    ):
        assert not _CHECK["finding"].is_valid(wrong)
    assert not _CHECK["run"].is_valid({"format": "molehunt.run/1", "run": {}, "findings": []})
    assert not _CHECK["run"].is_valid(
        {"format": "molehunt.run/1", "run": run([]), "findings": [{}]}
    )


def test_values_stay_what_they_were() -> None:
    """Texts, numbers and lists come back from JSON as they were logged."""
    found = orjson.loads(_ndjson([X11VNC]))
    assert found["identity"] == {"Image": "/usr/bin/x11vnc"}
    assert found["evidence"][0]["values"] == {"path": "/usr/bin/x11vnc", "pid": 4711}
    assert (found["first_seen"], found["last_seen"]) == (
        "2026-11-23T10:22:00Z",
        "2026-11-23T10:55:20Z",
    )
    assert found["host"] == {"id": "9f1c0b52-lab", "name": "lab-01"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ("\ud800x", "\ufffdx"),
        ("\ud83d\ude00", "\U0001f600"),
        ((1, None, True), [1, None, True]),
        (Level.HIGH, "high"),
        (Severity.ERROR, "error"),
        ({"b": 1, "a": "\udc80"}, {"a": "\ufffd", "b": 1}),
    ],
)
def test_what_json_cannot_hold_is_spelt_out(value: Any, written: Any) -> None:
    """Non-finite numbers become words, lone surrogates U+FFFD, and a pair its character."""
    assert plain(value) == written


def test_a_value_that_is_no_data_is_refused() -> None:
    """A mistake of the program is not written as text."""
    with pytest.raises(TypeError, match="object has no place in a report"):
        plain(object())


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (AT + 0.25, "2026-11-23T10:22:00.250000Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1e18, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
    ],
)
def test_times_are_utc_text_or_null(at: float | None, text: str | None) -> None:
    """No time is invented for what no calendar holds."""
    assert iso_time(at) == text
