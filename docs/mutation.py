"""Measure the shipped rules by mutation; put the scores into docs/mutation.md (`make mutation`).

With `--correlations`, only those of correlations and joins.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molehunt.detectors.report.mutation import score_lines
from molehunt.joins import load_joins
from molehunt.rulecache import cached_rules
from molehunt.rulefiles import builtin_rules_path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "mutation.md"
# Where each table of the output of `molehunt test --mutate --format json` stands on the page.
PLACES = {"score": "score", "correlation_score": "score of correlations"}


def main() -> int:
    """Run `molehunt test --mutate` and write its scores between their marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--correlations", action="store_true", help="correlations and joins only")
    only = _joint_ids() if parser.parse_args().correlations else []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "mutation.json")
        command = [sys.executable, "-m", "molehunt", "test", "--mutate", *only, "--format", "json"]
        command += ["--recordings", str(ROOT / "tests" / "recordings"), "--output", str(target)]
        code = subprocess.run(command, check=False).returncode
        found = json.loads(target.read_text(encoding="utf-8"))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    return code


def filled(page: str, found: Mapping[str, Any]) -> str:
    """The page with the tables that were measured; those that were not stay as they are."""
    for key, mark in PLACES.items():
        if not found[key]:
            continue
        begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
        head, tail = page.partition(begin)[0], page.partition(end)[2]
        table = "\n".join(["```", *(line.rstrip() for line in score_lines(found[key])), "```"])
        page = f"{head}{begin}\n{table}\n{end}{tail}"
    return page


def _joint_ids() -> Sequence[str]:
    rules, _ = cached_rules([builtin_rules_path()])
    joins, _ = load_joins([builtin_rules_path()], rules.rules)
    return [one.id for one in (*rules.correlations, *joins)]


if __name__ == "__main__":
    sys.exit(main())
