"""Draw docs/hunt.svg: the table of a hunt in the recordings that ship. Called by `make picture`.

With `--check` nothing is written; the exit code is 1 if the picture is no longer what is found.
"""

from __future__ import annotations

import sys
from pathlib import Path

from molehunt.commands.common import load, make_binder
from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.report.picture import render_svg
from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

ROOT = Path(__file__).resolve().parents[1]
LOGS = (
    "linux-lab-state/linux-state-event.results.log.gz",
    "kvm-windows/windows.results.log",
    "kvm-macos/macos.results.log",
)
SHOWN = 9


def main() -> int:
    """Hunt a few recordings and write the picture of the findings that matter most."""
    recordings = ROOT / "tests" / "recordings"
    problems: list[Problem] = []
    binder = make_binder([str(recordings / "linux-lab-state" / "osquery.conf")], problems)
    plan = compile_plan(load(None).rules, taxonomy(), binder, scan="")
    folder = Folder()
    for log in LOGS:
        for match in plan.matches(blocks(str(recordings / log), problems.append), problems.append):
            folder.add(match)
    found = [finding for finding in folder.findings() if finding.level >= Level.MEDIUM]
    by_rule = list({finding.rule: finding for finding in reversed(found)}.values())
    svg = render_svg(by_rule[-SHOWN:], width=118, title="molehunt hunt tests/recordings")
    picture = ROOT / "docs" / "hunt.svg"
    if "--check" in sys.argv[1:]:
        if picture.read_text(encoding="utf-8") != svg:
            print(f"{picture} is not what is found today: make picture", file=sys.stderr)
            return 1
        return 0
    picture.write_text(svg, encoding="utf-8")
    return len(problems)


if __name__ == "__main__":
    sys.exit(main())
