"""What other repositories use: the pre-commit hooks, the GitHub action, the GitLab job."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from molehunt.cli import build_parser, main
from molehunt.data import read_bytes
from molehunt.linting.catalogue import checks
from molehunt.yamlloader import SAFE_LOADER

ROOT = Path(__file__).parents[1]
RULE = checks()["MH104"].failing.files["example_rule_file.yml"]


def load(name: str) -> object:
    """A YAML file of the repository."""
    return yaml.load((ROOT / name).read_text(encoding="utf-8"), SAFE_LOADER)


def test_hooks_are_commands_that_work() -> None:
    """Each hook's entry is a command line that the parser takes, with files behind it."""
    hooks = load(".pre-commit-hooks.yaml")
    assert isinstance(hooks, list)
    assert [hook["id"] for hook in hooks] == ["molehunt-lint", "molehunt-lint-fix"]
    for hook in hooks:
        program, *arguments = shlex.split(hook["entry"])
        assert program == "molehunt"
        options = build_parser().parse_args([*arguments, "a.yml", "b.yml"])
        assert options.paths == ["a.yml", "b.yml"]
        assert options.fix == hook["id"].endswith("fix")
        assert hook["require_serial"] is True


def test_gitlab_commands_work() -> None:
    """Each command line of the job is one that the parser takes."""
    job = load("docs/ci/gitlab-lint.yml")
    assert isinstance(job, dict)
    (body,) = job.values()
    for line in body["script"]:
        arguments = shlex.split(line.replace("$RULES", "rules").replace("$FAIL_ON", "warning"))
        assert build_parser().parse_args(arguments[1:]).paths == ["rules"]


def act(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what the action runs, with its inputs as variables."""
    program = folder / "molehunt"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m molehunt "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return subprocess.run(
        ["bash", str(ROOT / ".ci" / "lint-action"), str(program)],
        cwd=folder,
        env=os.environ | {"GITHUB_OUTPUT": str(folder / "output")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "dns_query_windows_tool.yml").write_text(RULE, encoding="utf-8")
    return tmp_path


def test_action_annotates_and_writes_sarif(folder: Path) -> None:
    """Annotations to the log, SARIF to the file, the exit code to the job and as output."""
    done = act(folder, PATHS="rules", SARIF="out.sarif")
    assert done.returncode == 1
    assert done.stdout.startswith("::warning file=rules/dns_query_windows_tool.yml,line=20,")
    log = json.loads((folder / "out.sarif").read_text(encoding="utf-8"))
    assert [one["ruleId"] for one in log["runs"][0]["results"]] == ["MH104"]
    assert (folder / "output").read_text(encoding="utf-8") == "exit-code=1\n"
    assert act(folder, PATHS="rules", FAIL_ON="error").returncode == 0


def test_action_runs_nothing_from_its_inputs(folder: Path) -> None:
    """Inputs are words: neither commands nor options nor patterns."""
    done = act(folder, PATHS="$(touch${IFS}pwned) `touch pwned` ;touch pwned")
    assert done.returncode == 3
    assert act(folder, PATHS="--fix rules").returncode == 3
    assert act(folder, PATHS="rul*").returncode == 3
    assert sorted(one.name for one in folder.iterdir()) == ["molehunt", "output", "rules"]


def test_action_hands_every_input_over() -> None:
    """Inputs reach the script as variables, never inside its text."""
    action = load("action.yml")
    assert isinstance(action, dict)
    step = action["runs"]["steps"][-1]
    assert "inputs." not in step["run"]
    handed = set(step["env"].values())
    wanted = set(action["inputs"]) - {"python-version"}
    assert handed == {"${{ inputs." + name + " }}" for name in wanted}


def test_the_hook_lets_a_correlation_alone_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed correlation comes without its rules, which did not change."""
    files = checks()["MH009"].passing.files
    (name,) = [name for name, text in files.items() if "correlation:" in text]
    place = tmp_path / name
    place.write_text(files[name], encoding="utf-8")
    hooks = load(".pre-commit-hooks.yaml")
    assert isinstance(hooks, list)
    assert main(["lint", "--no-cache", str(place)]) == 1
    for hook in hooks:
        _, *arguments = shlex.split(hook["entry"])
        assert main([*arguments, "--no-cache", str(place)]) == 0
    assert "MH009" in capsys.readouterr().out


def test_a_filter_of_a_shipped_rule_names_a_rule(tmp_path: Path) -> None:
    """`molehunt tune` writes such filters into the user's own folder."""
    text = checks()["MH009"].failing.files["tool_started_often.yml"]
    shipped = read_bytes("rules.lock").decode().split(" ", 1)[0]
    place = tmp_path / "own_rule_file.yml"
    for reference, expected in (("tool_startd", 1), (shipped, 0)):
        place.write_text(text.replace("tool_startd", reference), encoding="utf-8")
        assert main(["lint", "--no-cache", "--select", "MH009", str(place)]) == expected
