"""Mutants of correlations and joins: each has a readable name, and a recording kills it or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from molehunt.cli import main

RECORDINGS = Path(__file__).resolve().parent / "recordings"
LOCKED_ARCHIVE = "3dca7a40-d605-48d8-aa15-d2df155b4faa"


def test_a_correlation_shows_what_no_recording_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each mutant has a name and a line; the recording that proves it kills some."""
    options = ["--recordings", str(RECORDINGS / "side-doors"), "--format", "json"]
    main(["test", "--mutate", LOCKED_ARCHIVE, *options])
    (found,) = json.loads(capsys.readouterr().out)["correlations"]
    names = {one["name"] for one in found["mutants"]}
    killers = {one["killed_by"] for one in found["mutants"]}
    assert {
        "rules: signal_upload removed",
        "type: temporal_ordered -> temporal",
        "timespan halved",
        "timespan doubled",
        "group-by: osquery.host removed",
    } <= names
    assert all(one["line"] for one in found["mutants"])
    killed = {one["name"] for one in found["mutants"] if one["killed_by"]}
    assert {"rules: signal_locked_archive removed", "rules: signal_upload removed"} <= killed
    assert killers <= {None, str(RECORDINGS / "side-doors" / "manifest.yml")}
