"""`molehunt lint` as people use it: files in, findings and mended files out."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_kit import FIXABLE, GOOD, RULE, run, write

from molehunt.backends.support import locked
from molehunt.linting.catalogue import checks
from molehunt.linting.model import Severity
from molehunt.linting.run import lint

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No recordings and nothing kept from other runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOLEHUNT_CACHE", str(tmp_path / "cache"))


def test_text_shows_line_and_caret(capsys: pytest.CaptureFixture[str]) -> None:
    """Path, line and column, the id, and the line with a mark under the value."""
    write("dns_query_windows_tool.yml", RULE)
    code, out, _ = run(capsys, "rules")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith(
        "rules/dns_query_windows_tool.yml:20:29: MH104 bare-domain: warning:"
    )
    assert lines[1] == "   20 | QueryName|endswith: 'example.com'"
    assert lines[2] == "      |                     ^^^^^^^^^^^^^"
    assert lines[-1] == "1 rule in 1 file: 1 warning"


def test_clean_rules_exit_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found is one line and 0."""
    write("dns_query_windows_tool.yml", GOOD)
    code, out, _ = run(capsys, "rules")
    assert (code, out) == (0, "1 rule in 1 file: nothing found\n")


def test_a_broken_file_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no YAML is a finding with exit code 2; the next file is looked at."""
    write("a_broken_rule.yml", "title: [\n")
    write("dns_query_windows_tool.yml", RULE)
    code, out, _ = run(capsys, "rules")
    assert code == 2
    assert "MH001" in out
    assert "MH104" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fail-on", "error"], 0),
        (["--fail-on", "never"], 0),
        (["--ignore", "MH104"], 0),
        (["--ignore", "bare-domain"], 0),
        (["--select", "MH2"], 0),
        (["--select", "MH1", "--level", "error"], 1),
        (["--select", "MH7777"], 3),
        (["--recordings", "nowhere"], 3),
    ],
)
def test_options_decide_about_the_exit_code(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """--level only hides; --select, --ignore and --fail-on decide; a wrong id is wrong usage."""
    write("dns_query_windows_tool.yml", RULE)
    assert run(capsys, "rules", *arguments)[0] == code


def test_a_path_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, said with the path."""
    code, _, err = run(capsys, "no_such_folder")
    assert code == 3
    assert "no such file or folder: no_such_folder" in err


def test_suppressions(capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the value, above a block, for the whole file; each with a reason."""
    value = "        QueryName|endswith: 'example.com'"
    assert value in RULE
    reason = "# molehunt: ignore MH104 -- an invented example"
    for text in (
        RULE.replace(value, f"{value} {reason}"),
        RULE.replace(value, f"        {reason}\n{value}"),
        RULE.replace("    selection:\n", f"    {reason}\n    selection:\n"),
        f"# molehunt: ignore-file MH104 -- an invented example\n{RULE}",
    ):
        write("dns_query_windows_tool.yml", text)
        code, out, _ = run(capsys, "rules")
        assert (code, out) == (0, "1 rule in 1 file: nothing found; 1 suppressed\n"), text


def test_suppressions_that_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Another line, no reason, another id: the finding stays, and the comment is one itself."""
    value = "        QueryName|endswith: 'example.com'"
    for comment, check in (
        ("# molehunt: ignore MH104", "MH901"),
        ("# molehunt: ignore -- no id", "MH901"),
        ("# molehunt: ignore MH108 -- another one", "MH902"),
        ("# molehunt: ignore MH999 -- misspelt", "MH903"),
    ):
        write("dns_query_windows_tool.yml", RULE.replace(value, f"{value} {comment}"))
        code, out, _ = run(capsys, "rules")
        assert code == 1
        assert "MH104" in out
        assert check in out
    far = RULE.replace("level: medium", "level: medium # molehunt: ignore MH104 -- elsewhere")
    write("dns_query_windows_tool.yml", far)
    out = run(capsys, "rules")[1]
    assert "MH104" in out
    assert "MH902" in out


def test_a_suppression_in_a_value_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Text of a value is no comment."""
    text = RULE.replace("'example.com'", "'x # molehunt: ignore MH104 -- in a value'")
    write("dns_query_windows_tool.yml", text)
    assert "MH90" not in run(capsys, "rules", "--level", "hint")[1]


def test_fix_keeps_comments_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the one line goes; what is around it stays byte for byte."""
    commented = FIXABLE.replace("- 'tool'", "- 'tool' # seen in an invented case")
    place = write("proc_creation_windows_tool.yml", commented)
    place.chmod(0o640)
    code, _, err = run(capsys, "rules", "--fix", "--level", "hint")
    assert code == 0
    assert "mended 1 finding in 1 file" in err
    expected = "\n".join(line for line in commented.splitlines() if "'Tool'" not in line) + "\n"
    assert place.read_text(encoding="utf-8") == expected
    assert place.stat().st_mode & 0o777 == 0o640
    assert run(capsys, "rules", "--fix")[2] == ""


def test_fix_with_a_byte_order_mark_and_windows_line_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both stay as they were."""
    text = checks()["MH106"].failing.files["example_rule_file.yml"]
    place = write("proc_creation_windows_tool.yml", text)
    place.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    run(capsys, "rules", "--fix")
    expected = text.replace("'*tool*'", "'tool'").replace("\n", "\r\n")
    assert place.read_bytes() == b"\xef\xbb\xbf" + expected.encode()


def test_fix_leaves_what_is_not_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """A finding that only a person can judge changes no byte."""
    place = write("dns_query_windows_tool.yml", RULE)
    before = place.read_bytes()
    run(capsys, "rules", "--fix")
    assert place.read_bytes() == before


def test_fix_leaves_generated_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """The generator would bring the fault back."""
    text = f"# Made by `molehunt generate` from x.yml; change that\n{FIXABLE}"
    place = write("proc_creation_windows_tool.yml", text)
    run(capsys, "rules", "--fix")
    assert place.read_text(encoding="utf-8") == text


def test_changed_files_are_looked_at_again(capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept says the same as a fresh look, and a change is seen."""
    write("dns_query_windows_tool.yml", RULE)
    write("proc_creation_windows_tool.yml", FIXABLE)
    fresh = run(capsys, "rules", "--level", "hint", "--no-cache")[1]
    first = run(capsys, "rules", "--level", "hint")[1]
    again = run(capsys, "rules", "--level", "hint")[1]
    assert fresh == first == again
    assert list(Path("cache").glob("lint-*.json"))
    write("dns_query_windows_tool.yml", GOOD)
    changed = run(capsys, "rules", "--level", "hint")[1]
    assert "MH104" not in changed
    assert changed == run(capsys, "rules", "--level", "hint", "--no-cache")[1]


def test_kept_findings_of_several_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that is changed is compared with those that were kept."""
    files = checks()["MH502"].failing.files
    for name, text in files.items():
        write(name, text)
    first = run(capsys, "rules")[1]
    assert "MH502" in first
    write("third_example_rule.yml", GOOD)
    assert "MH502" in run(capsys, "rules")[1]


def test_many_files_are_shared_among_processes(capsys: pytest.CaptureFixture[str]) -> None:
    """The findings are those of one process, in the same order."""
    names = [f"dns_query_windows_tool_{number:03}.yml" for number in range(310)]
    for number, name in enumerate(names):
        last = f"{number:012x}"
        write(name, RULE.replace("2b7f0e6f4a11", last).replace("'example", f"'a{number}.example"))
    paths = sorted(str(path) for path in Path("rules").iterdir())
    together = lint(["rules"], checks(), cached=False)
    alone = lint(paths[:20], checks(), cached=False)
    assert together.rules == 310
    assert [one for one in together.findings if one.path in paths[:20]] == list(alone.findings)
    assert [one.path for one in together.findings] == paths


MANIFEST = """\
title: Rows
kind: {kind}
provenance: Invented.
logs:
    - file: rows.log
fires:
    - rule: 5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11
      records:
          - {{log: rows.log, lines: [1]}}
near_misses:
    - rule: 5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11
      records:
          - {{log: rows.log, lines: [2]}}
      why: another program
"""


@pytest.mark.parametrize(
    ("kind", "status", "found"),
    [
        ("invented", "test", {"MH603"}),
        ("invented", "experimental", set()),
        ("real", "test", set()),
        (None, "test", {"MH601", "MH602"}),
    ],
)
def test_recordings(kind: str | None, status: str, found: set[str]) -> None:
    """A rule needs a positive and a near miss; a high level needs more than invented rows."""
    text = checks()["MH416"].passing.files["example_rule_file.yml"]
    text = text.replace("level: medium", "level: high").replace("experimental", status)
    write("proc_creation_linux_tool.yml", text)
    folder = Path("tests/recordings/rows")
    folder.mkdir(parents=True)
    (folder / "rows.log").write_text("{}\n{}\n", encoding="utf-8")
    other = MANIFEST.format(kind=kind or "real")
    if kind is None:
        other = other.replace("5f1c3f0e", "00000000")
    (folder / "manifest.yml").write_text(other, encoding="utf-8")
    linted = lint(["rules"], checks(), "tests/recordings", cached=False)
    assert {one.check for one in linted.findings if one.check.startswith("MH6")} == found


def test_targets_that_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule of the support table that a target refuses is told with the reviewed reason."""
    refused = next(one for one in locked().values() if one.evidence is None)
    text = checks()["MH416"].passing.files["example_rule_file.yml"]
    write("proc_creation_linux_tool.yml", text)
    assert "MH702" not in run(capsys, "rules", "--level", "hint")[1]
    text = text.replace("5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11", refused.rule)
    write("proc_creation_linux_tool.yml", text)
    out = run(capsys, "rules", "--level", "hint")[1]
    places = {refused.target, f"{refused.target}/{refused.profile}"}
    assert any(f"not compiled for {place} ({refused.engine}); " in out for place in places)


def test_validators_run_offline(
    capsys: pytest.CaptureFixture[str], network_attempts: list[str]
) -> None:
    """pySigma's and SigmaHQ's validators, with the pinned ATT&CK; what is not run is named."""
    write(
        "proc_creation_windows_tool.yml", checks()["MH801"].failing.files["example_rule_file.yml"]
    )
    code, out, _ = run(capsys, "rules", "--validators", "--level", "hint")
    assert code == 1
    assert "MH801" in out
    assert "all_with_one_value" in out or "invalid_all_modifier" in out
    assert "ATT&CK 18.1" in out
    assert "not run, since they fetch data from the network: d3_fendtag" in out
    assert not network_attempts


def test_validators_and_suppressions(capsys: pytest.CaptureFixture[str]) -> None:
    """What validators say can be accepted like the rest."""
    text = checks()["MH801"].failing.files["example_rule_file.yml"]
    text = f"# molehunt: ignore-file MH117, MH801, MH802, MH803 -- an invented example\n{text}"
    write("proc_creation_windows_tool.yml", text)
    code, out, _ = run(capsys, "rules", "--validators", "--level", "hint")
    assert code == 0
    assert "MH80" not in out
    # Without the validators the comment is not called idle.
    assert "MH902" not in run(capsys, "rules")[1]


def test_list_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """The catalogue on the command line."""
    out = run(capsys, "--list")[1]
    assert len(out.splitlines()) == len(checks())
    assert "MH104  warning  bare-domain" in out
    out = run(capsys, "--explain", "mh104")[1]
    assert "evil-example.com" in out
    assert "QueryName|endswith: '.example.com'" in out
    assert run(capsys, "--explain", "MH9999")[0] == 3


def test_our_own_rules_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error and no warning in the pack, with its recordings."""
    monkeypatch.chdir(ROOT)
    linted = lint(["rules"], checks(), "tests/recordings", cached=False)
    bad = (Severity.ERROR, Severity.WARNING)
    assert not [one for one in linted.findings if checks()[one.check].severity in bad]
    assert linted.rules > 700
    assert not linted.notes
