"""`molehunt coverage`: behaviours and systems, and which rule covers what, how proven."""

from __future__ import annotations

import json
from argparse import Namespace
from io import StringIO
from pathlib import Path

from molehunt.detectors.proof.coverage import Coverage, coverage
from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.mutate import read_rows

from ..behaviours import behaviours
from ..exits import Exit
from ..problems import Problem, Severity
from ..taxonomy import taxonomy
from .common import load, make_binder, put, show


def run(options: Namespace) -> Exit:
    """Print or write the coverage. Without recordings nothing is said to be proven."""
    ruleset = load(options.rules)
    problems = list(ruleset.problems)
    scenarios: list[Scenario] = []
    if Path(options.recordings).is_dir():
        scenarios, found = load_scenarios(options.recordings)
        problems += found
    else:
        what = "no such folder, so no rule counts as proven here"
        hint = "name the folder with --recordings"
        problems.append(Problem(what, options.recordings, hint=hint, severity=Severity.WARNING))
    recorded = (
        seen
        for scenario in scenarios
        for seen in read_rows(scenario, taxonomy(), make_binder(scenario.config, []))
    )
    covered = coverage(ruleset, behaviours(), scenarios, recorded)
    for one, name in covered.unknown:
        line = one.rule.lines.get(("molehunt", "behaviours"))
        what = f"names a behaviour that does not exist: {name}"
        problems.append(
            Problem(what, one.rule.path, line, one.rule.id, "rules/behaviours.yml lists them")
        )
    put(options.output, render(options.format, covered))
    return show(problems)


def render(kind: str, covered: Coverage) -> str:
    """The coverage in a format of `--format`."""
    from molehunt.detectors.report import coverage as report

    if kind == "html":
        from molehunt.detectors.report.rulebook import write_rulebook

        stream = StringIO()
        write_rulebook(covered, stream)
        return stream.getvalue()
    if kind == "json":
        return json.dumps(report.coverage_json(covered), indent=2) + "\n"
    if kind == "navigator":
        return json.dumps(report.navigator_layer(covered), indent=2) + "\n"
    lines = report.coverage_markdown if kind == "markdown" else report.coverage_lines
    return "\n".join(lines(covered)) + "\n"
