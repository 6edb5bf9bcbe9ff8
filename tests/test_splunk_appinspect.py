"""Splunk's own splunk-appinspect on the app that `molehunt compile -t splunk` builds.

It pins what it needs, so that it stands in an environment of its own: `make appinspect` makes that
and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from molehunt.cli import main

pytestmark = pytest.mark.packaging

VARIABLE = "MOLEHUNT_APPINSPECT"
GOOD = {"success", "not_applicable"}
# What is neither, with the reason.
ACCEPTED = {
    "check_for_valid_package_id": "skipped: it compares with app.manifest, which is optional",
}


@pytest.fixture(scope="module")
def program() -> str:
    """The program that `make appinspect` names."""
    named = os.environ.get(VARIABLE, "")
    if not named:
        pytest.skip(f"NOT PROVEN on splunk-appinspect: run it with make appinspect ({VARIABLE})")
    return named


def inspected(program: str, folder: Path) -> list[dict[str, Any]]:
    """Every check of the app in a folder, with its result."""
    packed, report = folder / "molehunt.tgz", folder / "report.json"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder / "molehunt", "molehunt")
    command = [program, "inspect", str(packed), "--mode", "precert"]
    command += ["--output-file", str(report), "--data-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert report.is_file(), done.stdout[-2000:] + done.stderr[-2000:]
    (one,) = json.loads(report.read_text())["reports"]
    return [check for group in one["groups"] for check in group["checks"]]


def told(checks: list[dict[str, Any]]) -> list[str]:
    """What is not good, in words."""
    return [
        f"{check['name']}: {check['result']}: {message['message']}"
        for check in checks
        if check["result"] not in GOOD and check["name"] not in ACCEPTED
        for message in check["messages"] or [{"message": ""}]
    ]


def test_the_app_is_clean(program: str, tmp_path: Path) -> None:
    """No error, no failure, no warning; and the inspection sees what is wrong."""
    assert main(["compile", "-t", "splunk", "-o", str(tmp_path)]) == 0
    folder = tmp_path / "splunk"
    checks = inspected(program, folder)
    assert sum(check["result"] == "success" for check in checks) > 50
    assert not told(checks)
    assert set(ACCEPTED) <= {check["name"] for check in checks if check["result"] not in GOOD}
    (folder / "molehunt/default/app.conf").unlink()
    (folder / "molehunt/local").mkdir()
    (folder / "molehunt/local/app.conf").write_text("[ui]\nlabel = molehunt\n")
    assert told(inspected(program, folder))
