"""The organisation's file: what it approves, for whom and when, and what is wrong with it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.findings.organisation import Approval, Organisation
from molehunt.detectors.findings.organisation_file import load_organisation
from molehunt.problems import Problem, Severity

_TODAY = date(2026, 11, 25)
_RULE = "6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10"
_GROUPS = 'groups:\n    helpdesk: {hosts: ["it-*", "lab-01"]}\n'
_REST = "owner: IT Service Desk, reason: remote support tool"


def _load(tmp_path: Path, text: str) -> tuple[Organisation, list[Problem]]:
    path = tmp_path / "organisation.yml"
    path.write_text(text, encoding="utf-8")
    return load_organisation(path, _TODAY)


def _sound(tmp_path: Path, *entries: str) -> Organisation:
    lines = "".join(f"    - {{{entry}, {_REST}}}\n" for entry in entries)
    organisation, problems = _load(tmp_path, f"{_GROUPS}approved:\n{lines}")
    assert problems == []
    return organisation


def _told(problems: list[Problem]) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.what) for problem in problems]


def _at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


_DURING = _at(2026, 6, 1)
_LAST_SECOND = _at(2027, 1, 1) - 1


def test_the_documented_file_loads_without_a_problem(tmp_path: Path) -> None:
    """The example of docs/findings.md, word for word."""
    docs = (Path(__file__).parents[1] / "docs" / "findings.md").read_text(encoding="utf-8")
    example = docs.split("```yaml\n")[1].split("```")[0]
    organisation, problems = _load(tmp_path, example)
    assert problems == []
    found = organisation.approval("teamviewer", _RULE, ["IT-7"], _DURING)
    assert found is not None
    assert (found.owner, found.group) == ("IT Service Desk", "helpdesk")
    assert (found.start, found.end) == (date(2026, 1, 1), date(2027, 1, 1))
    assert found.reason == "remote support tool since 2024"


@pytest.mark.parametrize(
    ("moment", "approved"),
    [
        (_LAST_SECOND - 365 * 86400, False),
        (_at(2026, 1, 1), True),
        (_LAST_SECOND + 0.999, True),
        (_at(2027, 1, 1), False),
        (None, False),
        (float("nan"), False),
        (float("inf"), False),
    ],
)
def test_an_approval_holds_from_the_first_day_up_to_the_last(
    tmp_path: Path, moment: float | None, approved: bool
) -> None:
    """`from` is included, `until` excluded, both at midnight UTC; no time, no approval."""
    organisation = _sound(
        tmp_path, "what: teamviewer, for: helpdesk, from: 2026-01-01, until: 2027-01-01"
    )
    found = organisation.approval("teamviewer", _RULE, ["lab-01"], moment)
    assert (found is not None) == approved


def test_without_a_from_everything_before_the_end_is_approved(tmp_path: Path) -> None:
    """`from` may be left out."""
    organisation = _sound(tmp_path, "what: teamviewer, for: helpdesk, until: 2027-01-01")
    assert organisation.approval("teamviewer", _RULE, ["lab-01"], 0.0) is not None


@pytest.mark.parametrize(
    ("names", "approved"),
    [
        (["lab-01"], True),
        (["LAB-01"], True),
        (["IT-Desk-3"], True),
        (["4c4c4544-0042", "it-desk-3"], True),
        (["lab-011"], False),
        (["unit-1"], False),
        ([], False),
    ],
)
def test_any_name_of_a_host_may_meet_any_pattern(
    tmp_path: Path, names: list[str], approved: bool
) -> None:
    """Identifier or hostname, whole, case aside."""
    organisation = _sound(tmp_path, "what: teamviewer, for: helpdesk, until: 2027-01-01")
    found = organisation.approval("teamviewer", _RULE, names, _DURING)
    assert (found is not None) == approved


def test_a_star_approves_every_host(tmp_path: Path) -> None:
    """Even one that has no name."""
    organisation = _sound(tmp_path, "what: teamviewer, for: '*', until: 2027-01-01")
    for names in (["anything"], []):
        assert organisation.approval("teamviewer", _RULE, names, _DURING) is not None


@pytest.mark.parametrize(
    ("subject", "rule", "approved"),
    [
        ("x11vnc", "another-rule", True),
        ("X11VNC", "another-rule", True),
        (None, _RULE, True),
        ("", _RULE.upper(), True),
        ("anydesk", "another-rule", False),
        (None, "another-rule", False),
    ],
)
def test_a_rule_is_approved_by_its_subject_or_its_id(
    tmp_path: Path, subject: str | None, rule: str, approved: bool
) -> None:
    """A list may hold both kinds."""
    organisation = _sound(tmp_path, f"what: [x11vnc, {_RULE}], for: '*', until: 2027-01-01")
    assert (organisation.approval(subject, rule, ["h"], _DURING) is not None) == approved


def test_the_first_approval_that_fits_is_the_one(tmp_path: Path) -> None:
    """Approvals may overlap, and one that has ended does not hide a later one."""
    organisation = _sound(
        tmp_path,
        "what: x11vnc, for: helpdesk, from: 2026-09-01, until: 2027-01-01",
        "what: x11vnc, for: '*', until: 2027-01-01",
        "what: x11vnc, for: '*', until: 2027-02-01",
    )
    found = organisation.approval("x11vnc", _RULE, ["it-1"], _at(2026, 10, 1))
    assert found is not None
    assert found.line == 4
    later = organisation.approval("x11vnc", _RULE, ["it-1"], _at(2027, 1, 15))
    assert later is not None
    assert later.line == 6


def test_an_ended_approval_is_a_warning_and_still_covers_its_time(tmp_path: Path) -> None:
    """Old logs are judged by what was approved then; the day of the end counts as ended."""
    organisation, problems = _load(
        tmp_path, f"approved:\n    - {{what: x11vnc, for: '*', until: 2026-11-25, {_REST}}}\n"
    )
    assert [problem.severity for problem in problems] == [Severity.WARNING]
    assert "ended on 2026-11-25" in problems[0].what
    assert organisation.approval("x11vnc", _RULE, ["h"], _DURING) is not None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("for: '*', until: 2027-01-01", "approval without what"),
        ("what: x11vnc, for: '*'", "approval without until"),
        ("what: x11vnc, until: 2027-01-01", "approval without for"),
        ("what: x11vnc, for: nobody, until: 2027-01-01", "unknown group 'nobody'"),
        ("what: x11vnc, for: '*', until: soon", "until must be a day, not 'soon'"),
        ("what: x11vnc, for: '*', until: 20270101", "until must be a day, not '20270101'"),
        ("what: x11vnc, for: '*', until: 2027-02-29", "until must be a day, not '2027-02-29'"),
        ("what: x11vnc, for: '*', until: ~", "until must be a text"),
        ("what: [], for: '*', until: 2027-01-01", "what must be a list of texts"),
        ("what: [x11vnc, ''], for: '*', until: 2027-01-01", "what must be a text"),
        ("what: {a: b}, for: '*', until: 2027-01-01", "what must be a list of texts"),
        ("what: x11vnc, for: [a], until: 2027-01-01", "for must be a text"),
        ("what: x11vnc, for: '*', until: 2027-01-01, why: so", "unknown key 'why'"),
        ("what: x11vnc, what: y, for: '*', until: 2027-01-01", "key 'what' stands twice"),
        (
            "what: x11vnc, for: '*', from: 2027-01-01, until: 2027-01-01",
            "until (2027-01-01) must lie after from (2027-01-01)",
        ),
    ],
)
def test_an_entry_with_an_error_approves_nothing(tmp_path: Path, entry: str, said: str) -> None:
    """The error has the line, and the sound entry beside it is used."""
    good = f"    - {{what: x11vnc, for: helpdesk, until: 2027-01-01, {_REST}}}\n"
    organisation, problems = _load(
        tmp_path, f"{_GROUPS}approved:\n{good}    - {{{entry}, {_REST}}}\n"
    )
    assert [(line, what[: len(said)]) for line, what in _told(problems)] == [(5, said)]
    assert problems[0].severity is Severity.ERROR
    assert problems[0].path.endswith("organisation.yml")
    assert [approval.line for approval in organisation.approvals] == [4]


@pytest.mark.parametrize("missing", ["owner", "reason"])
def test_an_owner_and_a_reason_are_needed(tmp_path: Path, missing: str) -> None:
    """Nobody approves anonymously or for nothing."""
    entry = {"what": "x11vnc", "for": "'*'", "until": "2027-01-01", "owner": "IT", "reason": "r"}
    for value in (None, "''", "~"):
        fields = {**entry, missing: value}
        line = ", ".join(f"{key}: {text}" for key, text in fields.items() if text is not None)
        organisation, problems = _load(tmp_path, f"approved:\n    - {{{line}}}\n")
        assert len(problems) == 1
        assert missing in problems[0].what
        assert organisation.approvals == ()


def test_every_problem_is_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    """One run shows all there is to repair."""
    _, problems = _load(
        tmp_path,
        "grops: {}\n"
        "groups:\n"
        "    empty: {}\n"
        "    none: {hosts: []}\n"
        "    '*': {hosts: [a]}\n"
        "    odd: [a]\n"
        "approved:\n"
        "    - teamviewer\n"
        "    - what: x11vnc\n"
        "      for: empty\n"
        "      until: never\n",
    )
    assert _told(problems) == [
        (1, "unknown key 'grops', in the file"),
        (3, "group 'empty' has no hosts"),
        (4, "hosts of group 'none' must be a list of texts"),
        (5, "a group cannot be called '*', which stands for every host"),
        (6, "group 'odd' must be a mapping"),
        (8, "an approval must be a mapping"),
        (9, "approval without owner, reason"),
        (11, "until must be a day, not 'never'"),
    ]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"groups: [\n", 2, "is not valid YAML"),
        (b"groups: *x\n", 1, "is not valid YAML"),
        (b"\ngroups: \x01\n", 2, "is not valid YAML"),
        (b"groups: {}\n---\ngroups: {}\n", 2, "is not valid YAML"),
        (b"approved: " + b"[" * 10_000, None, "is not valid YAML"),
        (b"\xff\xfe", None, "is not UTF-8 text"),
        (b"- a\n", 1, "the file must be a mapping"),
        (b"approved: x\n", 1, "approved must be a list of approvals"),
        (b"groups: [a]\n", 1, "groups must be a mapping"),
        (b"? [a]\n: b\n", 1, "key that is no text"),
    ],
)
def test_a_file_that_is_no_such_file_is_a_problem_with_its_line(
    tmp_path: Path, content: bytes, line: int | None, said: str
) -> None:
    """Nothing raises, and nothing is approved."""
    path = tmp_path / "organisation.yml"
    path.write_bytes(content)
    organisation, problems = load_organisation(path, _TODAY)
    assert [(place, what[: len(said)]) for place, what in _told(problems)] == [(line, said)]
    assert organisation.approvals == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "groups:\napproved:\n", "\ufeffgroups: {}"]
)
def test_an_empty_file_is_fine(tmp_path: Path, text: str) -> None:
    """Also with a byte order mark, or with every entry commented out."""
    assert _load(tmp_path, text)[1] == []


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """With its path, and no exception."""
    _, problems = load_organisation(tmp_path / "absent.yml", _TODAY)
    assert len(problems) == 1
    assert problems[0].what.startswith("cannot be read")


def test_a_name_that_no_rule_has_is_a_warning(tmp_path: Path) -> None:
    """A misspelt subject would approve nothing and say nothing."""
    organisation = _sound(
        tmp_path, f"what: [x11vnc, teamviwer, {_RULE.upper()}], for: '*', until: 2027-01-01"
    )
    found = organisation.unknown_names(["X11vnc", "teamviewer", _RULE])
    assert [problem.what.split(" has")[0] for problem in found] == ["approval of 'teamviwer'"]
    assert (found[0].line, found[0].severity) == (4, Severity.WARNING)


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)), st.integers(-3, 3))
def test_each_second_around_an_end_is_judged_by_the_day(end: date, shift: int) -> None:
    """Whatever the day, the approval covers the second before it and not the day itself."""
    approval = Approval(frozenset({"x"}), "*", (), "IT", "test", None, end, 1)
    organisation = Organisation(approvals=(approval,))
    moment = datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp() + shift
    assert (organisation.approval("x", "y", [], moment) is not None) == (shift < 0)
