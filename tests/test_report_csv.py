"""The CSV of findings: whatever a log holds, no spreadsheet runs it and no row breaks."""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_findings import FINDING, TEXT, X11VNC

from molehunt.detectors.findings.model import Finding
from molehunt.detectors.report.csvfile import HEADER, LONGEST, harmless, write_csv
from molehunt.levels import Level

_FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "－1",
    '"=1',
    " ' =1",
    ";=1",
    "a; -b",
)
_HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(_FORMULAS),
    st.text(st.sampled_from("=+-@\t\r\n;,\"' ＝\u2212\u00a0\u3000\u201c\u200bab"), max_size=12),
)
_FIELDS = ("id", "rule", "title", "status", "host", "host_name")
_EVIL = st.builds(
    lambda finding, texts, users: replace(
        finding, users=users, **dict(zip(_FIELDS, texts, strict=True))
    ),
    FINDING,
    st.tuples(*[_HOSTILE] * len(_FIELDS)),
    st.lists(_HOSTILE, max_size=2).map(tuple),
)


def _csv(*findings: Finding) -> str:
    stream = StringIO(newline="")
    write_csv(findings, stream)
    return stream.getvalue()


def _rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))


def _runs(text: str) -> bool:
    """Whether a spreadsheet might take the text for a formula: slow, and generous."""
    for character in text:
        if character.isspace() or character in "\"'`\u00b4\uff02\uff07":
            continue
        if unicodedata.category(character) in {"Pi", "Pf"} or character in "\u201a\u201e":
            continue
        return unicodedata.normalize("NFKC", character)[0] in "=+-@\u2212"
    return False


@settings(deadline=None)
@given(st.lists(_EVIL, max_size=3))
def test_no_cell_of_any_finding_is_a_formula(findings: list[Finding]) -> None:
    """As many rows and columns as there should be; no cell runs, whichever the list separator."""
    text = _csv(*findings)
    text.encode()
    rows = _rows(text)
    assert [len(row) for row in rows] == [len(HEADER)] * (len(findings) + 1)
    for cell in (cell for row in rows for cell in row):
        assert cell[:1] not in {*"=+-@\t\r\n", "＝", "＋", "－", "＠"}
        assert not _runs(cell) or cell.startswith("'")
        assert all(unicodedata.category(character)[0] != "C" for character in cell)
    for cell in (cell for row in _rows(text, ";") for cell in row):
        assert cell[:1] not in {*"=+-@\t\r\n", "＝", "＋", "－", "＠"}
        assert not _runs(cell) or cell.startswith(("'", '"'))


def test_every_character_that_is_folded_to_a_sign_is_defused() -> None:
    """Over all of Unicode."""
    for character in map(chr, range(0x110000)):
        if unicodedata.normalize("NFKC", character)[:1] in set("=+-@\u2212"):
            assert harmless(character).startswith("'"), hex(ord(character))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("-R 2222:localhost:22", "'-R 2222:localhost:22"),
        ('  "=1', "'  \"=1"),
        ("'=1", "''=1"),
        ("ok; =1;+2", "ok;' =1;'+2"),
        ("ls;", "ls;'"),
        ("a\tb\r\nc", r"a\tb\r\nc"),
        ("\t=1", r"\t=1"),
        ("\ud800", r"\ud800"),
        ("ssh -R; ls", "ssh -R; ls"),
        ("C:\\Windows\\System32", "C:\\Windows\\System32"),
        ("", ""),
    ],
)
def test_cells_are_defused_and_otherwise_left_alone(text: str, cell: str) -> None:
    """An apostrophe before what would run; what is harmless stays."""
    assert harmless(text) == cell


def test_a_cell_is_no_longer_than_a_spreadsheet_takes() -> None:
    """What is cut off is marked."""
    assert harmless("x" * LONGEST) == "x" * LONGEST
    assert harmless("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"
    assert len(harmless(";=" * LONGEST)) == LONGEST


def test_a_row_says_what_the_finding_says() -> None:
    """Every column, by its name in the header."""
    (header, row) = _rows(_csv(replace(X11VNC, level=Level.HIGH)))
    assert dict(zip(header, row, strict=True)) == {
        "level": "high",
        "first_seen": "2026-11-23T10:22:00Z",
        "last_seen": "2026-11-23T10:55:20Z",
        "host_name": "lab-01",
        "host_id": "9f1c0b52-lab",
        "users": "anna",
        "title": "Remote Access Tool - X11vnc Execution",
        "identity": "Image: /usr/bin/x11vnc",
        "why": "Image ends with '/x11vnc': /usr/bin/x11vnc",
        "count": "3",
        "evidence": "osqueryd.results.log:1",
        "raised_by": "",
        "missing_filters": "",
        "techniques": "T1219.002 Remote Desktop Software",
        "tactics": "Command and Control",
        "false_positives": "Help desk",
        "next_steps": "Ask the help desk",
        "rule_id": "6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10",
        "rule_level": "medium",
        "rule_status": "experimental",
        "id": "0123456789abcdef",
    }


def test_the_form_is_that_of_rfc_4180() -> None:
    """CRLF after every line, every cell in quotes, quotes doubled; a header even for nothing."""
    assert _csv() == ",".join(f'"{name}"' for name in HEADER) + "\r\n"
    line = _csv(replace(X11VNC, title='say "hi"')).split("\r\n")[1]
    assert '"say ""hi"""' in line
    assert _csv(X11VNC).endswith("\r\n")


@settings(deadline=None)
@given(st.lists(FINDING, max_size=4, unique_by=lambda finding: finding.id))
def test_the_order_in_which_findings_come_does_not_matter(findings: list[Finding]) -> None:
    """Findings are sorted before they are written."""
    assert _csv(*findings) == _csv(*findings[::-1])


def test_all_hosts_of_a_correlation_are_there() -> None:
    """In one cell each, identifiers and names."""
    hosts = (("id-1", "one.example"), ("id-2", ""))
    stream = StringIO()
    write_csv([replace(X11VNC, host="id-1", host_name="one.example", hosts=hosts)], stream)
    (row,) = csv.DictReader(StringIO(stream.getvalue()))
    assert "one.example" in row["host_name"]
    assert "id-2" in row["host_name"]
    assert "id-1" in row["host_id"]
    assert "id-2" in row["host_id"]
