"""`molehunt tune`: a filter that silences the false positives and keeps the rule alive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import line

from molehunt.cli import main
from molehunt.linting.catalogue import checks
from molehunt.linting.model import Severity
from molehunt.linting.run import lint
from molehunt.tuning import propose
from molehunt.yamlloader import SAFE_LOADER

RULE = checks()["MH416"].passing.files["example_rule_file.yml"]
ID = "5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11"
MANIFEST = f"""\
title: The invented tool
kind: invented
provenance: Invented.
logs:
    - file: rows.log
fires:
    - rule: {ID}
      records: [{{log: rows.log, lines: [1]}}]
"""


def row(path: str, parent: str, user: str = "jdoe", pid: str = "100") -> bytes:
    """A process event of the pack's query."""
    columns = {
        "pid": pid,
        "path": path,
        "cmdline": f"{path} --start",
        "cwd": "/",
        "parent": "1",
        "uid": "1000",
        "username": user,
        "parent_path": parent,
        "parent_cmdline": parent,
        "syscall": "execve",
        "time": f"17954293{pid[-2:]}",
    }
    return line(columns, "pack_molehunt_process_events")


@pytest.fixture(name="tune")
def _tune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command with a rule, its recorded positive, and rows of one's own in own.log."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tests" / "recordings" / "tool"
    folder.mkdir(parents=True)
    (folder / "manifest.yml").write_text(MANIFEST, encoding="utf-8")
    (folder / "rows.log").write_bytes(row("/home/jdoe/tool", "/usr/sbin/sshd") + b"\n")
    (tmp_path / "proc_creation_linux_tool.yml").write_text(RULE, encoding="utf-8")

    def run(*rows: bytes, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        Path("own.log").write_bytes(b"".join(one + b"\n" for one in rows))
        events = [f"own.log:{number}" for number in range(1, len(rows) + 1)]
        rules = ["--rules", "proc_creation_linux_tool.yml"]
        code = main(["tune", ID, *events, *rules, *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_filter_is_proposed_and_proven(
    tune: Callable[..., tuple[int, str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names what the false positives share; with it the rule is quiet there and only there."""
    noise = [
        row("/opt/desk/tool", "/usr/bin/ansible", "root", "101"),
        row("/opt/desk/tool", "/usr/bin/ansible", "svc", "102"),
    ]
    code, out, err = tune(*noise)
    assert (code, err) == (0, "quiet on 2 false positives, still fires on 1 true ones\n")
    found = yaml.load(out, SAFE_LOADER)
    assert found["filter"]["rules"] == [ID]
    assert found["filter"]["condition"] == "not selection"
    selection = found["filter"]["selection"]
    assert selection["Image"] == "/opt/desk/tool"
    assert selection["ParentImage"] == "/usr/bin/ansible"
    assert not {"User", "ProcessId"} & selection.keys()
    rules = tmp_path / "both"
    rules.mkdir()
    (rules / "proc_creation_linux_tool.yml").write_text(RULE, encoding="utf-8")
    (rules / "filter_help_desk.yml").write_text(out, encoding="utf-8")
    bad = (Severity.ERROR, Severity.WARNING)
    linted = lint([str(rules)], checks(), cached=False).findings
    assert not [one for one in linted if checks()[one.check].severity in bad]
    Path("own.log").write_bytes(b"\n".join([*noise, row("/home/x/tool", "/usr/sbin/sshd")]) + b"\n")
    main(["hunt", "own.log", "--rules", str(rules), "--format", "json", "--quiet"])
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert [one["where"]["line"] for one in finding["evidence"]] == [3]


def test_different_places_share_what_they_end_with(
    tune: Callable[..., tuple[int, str, str]],
) -> None:
    """Folders of different people: the end of the path is what they have in common."""
    code, out, _ = tune(
        row("/home/a/desk/tool", "/usr/bin/make", pid="101"),
        row("/home/b/desk/tool", "/usr/bin/make", pid="102"),
    )
    assert code == 0
    assert yaml.load(out, SAFE_LOADER)["filter"]["selection"]["Image|endswith"] == "/desk/tool"


def test_what_cannot_be_told_apart_is_not_filtered(
    tune: Callable[..., tuple[int, str, str]],
) -> None:
    """Only user and number differ from the true positive: no filter, nothing written."""
    code, out, err = tune(row("/home/jdoe/tool", "/usr/sbin/sshd", "other", "107"))
    assert (code, out) == (1, "")
    assert "no filter" in err


def test_a_true_positive_that_is_named(tune: Callable[..., tuple[int, str, str]]) -> None:
    """--keep adds to the recorded ones: what it shares with the noise cannot be filtered."""
    noise = row("/opt/desk/tool", "/usr/bin/ansible", pid="101")
    Path("kept.log").write_bytes(row("/opt/desk/tool", "/usr/bin/ansible", "x", "108") + b"\n")
    assert tune(noise)[0] == 0
    assert tune(noise, options=("--keep", "kept.log:1"))[0] == 1


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([row("/bin/ls", "/bin/sh")], (), "does not fire there"),
        ([row("/x/tool", "/y")], ("--recordings", "nowhere"), "no true positive to keep"),
        ([row("/home/jdoe/tool", "/usr/sbin/sshd")], (), "is a true positive too"),
        ([row("/x/tool", "/y")], ("--output", "proc_creation_linux_tool.yml"), "there already"),
    ],
)
def test_wrong_usage(
    rows: list[bytes],
    options: tuple[str, ...],
    said: str,
    tune: Callable[..., tuple[int, str, str]],
) -> None:
    """What cannot be proven is refused, and no file is overwritten."""
    code, out, err = tune(*rows, options=options)
    assert (code, out) == (3, "")
    assert said in err
    assert Path("proc_creation_linux_tool.yml").read_text(encoding="utf-8") == RULE


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "Image": st.sampled_from(["/a/x", "/b/x", "/a/y", "/b/c/x", "/d/c/x"]),
            "ParentImage": st.sampled_from(["/p", "/q"]),
            "CommandLine": st.sampled_from(["x", "x -a", "x -b"]),
            "User": st.sampled_from(["u", "v"]),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(EVENTS, EVENTS)
def test_no_proposal_loses_a_true_positive(
    false: list[dict[str, str]], true: list[dict[str, str]]
) -> None:
    """Each false positive is in a selection, no true positive is in any."""
    found = propose(false, true)
    for selection in found:
        assert selection
        assert not any(all(part.holds(event) for part in selection) for event in true)
        assert "User" not in {part.field for part in selection}
    if found:
        assert all(
            any(all(part.holds(event) for part in selection) for selection in found)
            for event in false
        )
