"""`molehunt diff` as a reviewer of a pull request uses it: a real repository, two revisions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from molehunt.cli import main
from molehunt.diffing.changes import Place, fired_changes
from molehunt.diffing.render import MARKDOWN_LIMIT, Changes, as_markdown
from molehunt.exits import Exit

RULE = """\
title: {title}
id: {id}
status: experimental
logsource: {{product: osquery, service: processes}}
detection:
    selection:
        name: {name}
    condition: selection
level: {level}
"""
ONE = "10000000-0000-4000-8000-00000000000{}"
# Invented.
ROWS = ("anydesk", "rustdesk", "vim")
MANIFEST = """\
title: Made up
kind: invented
provenance: made up for this test
logs: [{file: a.results.log}]
"""


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A Person", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def _rule(folder: Path, file: str, name: str, level: str = "low", title: str = "A Tool") -> None:
    rule_id = ONE.format(file[0])
    text = RULE.format(title=title, id=rule_id, name=name, level=level)
    (folder / "rules" / f"{file}.yml").write_text(text, encoding="utf-8")


def _lock() -> int:
    return main(["lock", "--rules", "rules", "--file", "rules/rules.lock", "--update"])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two rules, their lock and a recording, all committed; we stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    recording = tmp_path / "recordings" / "made-up"
    recording.mkdir(parents=True)
    (recording / "manifest.yml").write_text(MANIFEST, encoding="utf-8")
    lines = [
        json.dumps(
            {
                "name": "processes",
                "hostIdentifier": "h1",
                "unixTime": 1700000000,
                "action": "added",
                "columns": {"pid": "1", "name": name, "path": f"/usr/bin/{name}"},
            }
        )
        for name in ROWS
    ]
    (recording / "a.results.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _rule(tmp_path, "1", "anydesk")
    _rule(tmp_path, "2", "vim")
    assert _lock() == Exit.DONE
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "first")
    return tmp_path


@pytest.fixture
def diff(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `molehunt diff HEAD` with more arguments; gives exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["diff", "HEAD", "--recordings", "recordings", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


Diff = Callable[..., tuple[int, str, str]]


def test_no_change(repository: Path, diff: Diff) -> None:
    """Nothing changed is said so."""
    code, out, _ = diff("--check")
    assert code == Exit.DONE
    assert out == "Rules: no change. Recorded rows: 0 more fired, 0 no longer.\n"


def test_meaning(repository: Path, diff: Diff) -> None:
    """A changed value shows in the rule and in the rows that are gained and lost."""
    _rule(repository, "1", "rustdesk", level="high")
    code, out, _ = diff()
    assert code == Exit.DONE
    assert "1 changed in meaning" in out and "low -> high" in out
    assert "-    name: anydesk" in out and "+    name: rustdesk" in out
    assert "now fires on: A Tool\n  made-up/a.results.log:2" in out
    assert "no longer fires on: A Tool\n  made-up/a.results.log:1" in out


def test_words(repository: Path, diff: Diff) -> None:
    """New words change no meaning, a moved file neither."""
    _rule(repository, "1", "anydesk", title="Another Title")
    (repository / "rules" / "2.yml").rename(repository / "rules" / "2moved.yml")
    _, out, _ = diff()
    assert "1 changed in words only, 1 moved" in out
    assert "0 more fired, 0 no longer" in out


def test_check_version(repository: Path, diff: Diff) -> None:
    """A changed meaning needs the next version in the lock."""
    _rule(repository, "1", "rustdesk")
    lock = repository / "rules" / "rules.lock"
    before = lock.read_text(encoding="utf-8")
    assert _lock() == Exit.DONE
    assert diff("--check")[0] == Exit.DONE
    good = lock.read_text(encoding="utf-8")
    changed = next(line for line in good.splitlines() if line not in before.splitlines())
    parts = changed.split(" ")
    for version in ("1", "3"):
        wrong = " ".join([parts[0], version, *parts[2:]])
        lock.write_text(good.replace(changed, wrong), encoding="utf-8")
        code, _, err = diff("--check")
        assert code == Exit.BAD_INPUT
        assert f"version 1 becomes 2, not {version}" in err and parts[0] in err


def test_check_artefact(repository: Path, diff: Diff) -> None:
    """A rule that compiles to something else needs the next version too, and no other."""
    lock = repository / "rules" / "rules.lock"
    text = lock.read_text(encoding="utf-8")
    assert main(["lock", "--rules", "rules"]) == Exit.DONE
    first, second = text.splitlines()
    parts = first.split(" ")
    made = [one.rpartition(":") for one in parts[3].split(",")]
    assert len(made) > 3
    made[0] = (made[0][0], ":", "0" * 16)
    parts[3] = ",".join(map("".join, made))
    for version, expected in (("1", Exit.BAD_INPUT), ("2", Exit.DONE), ("3", Exit.BAD_INPUT)):
        line = " ".join([parts[0], version, *parts[2:]])
        lock.write_text(f"{line}\n{second}\n", encoding="utf-8")
        code, _, err = diff("--check")
        assert code == expected
        if code:
            told = f"compiles to something else for {made[0][0]}, so version 1 becomes 2"
            assert f"{told}, not {version}" in err
    assert main(["lock", "--rules", "rules"]) == Exit.BAD_INPUT
    assert _lock() == Exit.DONE


def test_check_gone(repository: Path, diff: Diff) -> None:
    """A rule goes only with a reason, a replacement and a date; its id is not used again."""
    (repository / "rules" / "2.yml").unlink()
    assert _lock() == Exit.DONE
    code, _, err = diff("--check")
    assert code == Exit.BAD_INPUT and "is gone and not deprecated" in err
    entry = f"- id: {ONE.format(2)}\n  reason: too noisy\n  replacement: {ONE.format(1)}\n"
    (repository / "rules" / "deprecated.yml").write_text(entry, encoding="utf-8")
    code, _, err = diff("--check")
    assert code == Exit.BAD_INPUT and "entry without date" in err
    with (repository / "rules" / "deprecated.yml").open("a", encoding="utf-8") as file:
        file.write("  date: 2026-11-26\n")
    assert diff("--check")[0] == Exit.DONE
    _rule(repository, "2", "nano")
    assert _lock() == Exit.DONE
    code, _, err = diff("--check")
    assert code == Exit.BAD_INPUT and "uses the id of a deprecated rule" in err


def test_new_rules_folder(repository: Path, diff: Diff) -> None:
    """A revision without the folder makes every rule new."""
    (repository / "more").mkdir()
    (repository / "rules" / "1.yml").rename(repository / "more" / "1.yml")
    _, out, _ = diff("--rules", "more")
    assert out.startswith("Rules: 1 new.")


@pytest.mark.parametrize("revision", ["no-such-thing", "--output=x", "HEAD:rules"])
def test_wrong_revision(
    repository: Path, capsys: pytest.CaptureFixture[str], revision: str
) -> None:
    """What is no revision is wrong usage, and never an option of git's."""
    with_dashes = ["diff", "--", revision] if revision.startswith("-") else ["diff", revision]
    assert main(with_dashes) == Exit.USAGE
    assert f"no revision '{revision}' in" in capsys.readouterr().err
    assert not (repository / "x").exists()


def test_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside a repository it says so."""
    (tmp_path / "rules").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["diff", "HEAD"]) == Exit.USAGE
    assert "not a git repository" in capsys.readouterr().err


def test_markdown(repository: Path, diff: Diff) -> None:
    """Markdown for a pull request: a table, the diffs folded, and no way out of either."""
    hostile = "'A | B </summary> ``` @everyone'"
    _rule(repository, "1", "'```\u202e</details>'", title=hostile)
    code, out, _ = diff("--format", "markdown")
    assert code == Exit.DONE
    assert "| A \\| B &lt;/summary> ''' @\u200beveryone | changed in meaning |" in out
    assert "\u202e" not in out
    assert "````diff" in out
    assert out.count("<details>") == out.count("<summary>") == 1


def test_markdown_limit() -> None:
    """What does not fit into a comment is counted."""
    places = (Place("a.results.log", 1, 0),)
    from molehunt.diffing.changes import FiredChange

    fired = [FiredChange(str(n), f"Rule {n} " + "x" * 90, True, places) for n in range(1000)]
    text = as_markdown(Changes("HEAD", (), (), fired))
    assert len(text) < MARKDOWN_LIMIT + 200
    shown = text.count("now fires on")
    assert f"{1000 - shown} more parts" in text


def test_fired() -> None:
    """Rows gained and lost come apart, in order."""
    a, b, c = (Place("a", n, 0) for n in (1, 2, 10))
    lost, gained = fired_changes({"r": frozenset((a, b))}, {"r": frozenset((b, c))}, {"r": "T"})
    assert (lost.gained, lost.places) == (False, (a,))
    assert (gained.gained, gained.places) == (True, (c,))


def test_a_lock_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of a repository of rules the command says what to do, and names no Makefile."""
    monkeypatch.chdir(tmp_path)
    assert main(["lock"]) == Exit.USAGE
    assert "no such lock file: rules/rules.lock; --update makes one" in capsys.readouterr().err
    assert main(["lock", "--update"]) == Exit.USAGE
    assert "--file: rules/rules.lock: No such file or directory" in capsys.readouterr().err


def test_what_is_not_locked_says_how(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint is a command that every user has."""
    (repository / "empty.lock").write_text("", encoding="utf-8")
    assert main(["lock", "--rules", "rules", "--file", "empty.lock"]) == Exit.BAD_INPUT
    assert "`molehunt lock --update` writes it anew" in capsys.readouterr().err
