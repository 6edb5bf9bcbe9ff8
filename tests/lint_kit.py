"""What tests of `molehunt lint` share: example rules, files, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from molehunt.cli import main
from molehunt.linting.catalogue import checks

RULE = checks()["MH104"].failing.files["example_rule_file.yml"]
FIXABLE = checks()["MH115"].failing.files["example_rule_file.yml"]
GOOD = checks()["MH104"].passing.files["example_rule_file.yml"]


def write(name: str, text: str) -> Path:
    """A rule file in the folder `rules`."""
    place = Path("rules", name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `molehunt lint`."""
    code = main(["lint", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err
