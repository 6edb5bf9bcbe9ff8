"""`molehunt prove` as a user runs it, on engines that start at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from molehunt.cli import main
from molehunt.exits import Exit

ROOT = Path(__file__).resolve().parents[1]
RULES = str(ROOT / "rules" / "kvm_over_ip")
TARGETS = ["splunk", "osquery", "pysigma:sqlite"]


def proven(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What is printed and what is told, without how long it took."""
    recordings = str(ROOT / "tests" / "recordings" / "kvm-linux")
    command = ["prove", *TARGETS, "--rules", RULES, "--recordings", recordings]
    assert main([*command, *arguments]) == Exit.DONE
    told = capsys.readouterr()
    return told.out, re.sub(r": [0-9.]+ s$", "", told.err, flags=re.MULTILINE)


def test_two_at_a_time_tell_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the same order, and with the same lines for the lock."""
    told = proven(capsys)
    assert "emulator" in told[0]
    assert [name for name in TARGETS if f"\n{name}/" in told[1]] == TARGETS
    assert proven(capsys, "--jobs", "2") == told
