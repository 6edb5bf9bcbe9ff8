"""`molehunt baseline`: how noisy each rule is over these logs, against what its level promises."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime

from molehunt.detectors.baseline.census import Census, CountingPlan
from molehunt.detectors.baseline.draft import draft_lines
from molehunt.detectors.baseline.rates import rates
from molehunt.detectors.hunting.merge import Merger
from molehunt.detectors.hunting.work import Hunter, Span
from molehunt.detectors.matching.plan import FastPlan
from molehunt.detectors.reading.inputs import STDIN, expand, size_of
from molehunt.detectors.report.baseline import baseline_json, baseline_lines

from ..exits import Exit
from ..problems import Problem, UsageError
from .common import put, show
from .hunt import alone, prepare
from .progress import progress


def run(options: Namespace) -> Exit:
    """Read all, count findings, print rates. What is approved does not count; shadow is ignored, so
    that it can be seen whether a rule may come out of it."""
    options.engine, options.stats = "plain", True
    setup = prepare(options)
    assert isinstance(setup.plan, FastPlan)
    census, problems = Census(), setup.problems
    plan = CountingPlan(setup.plan, census)
    hunter = Hunter(plan, setup.ruleset, setup.organisation, Span())
    files = expand(options.paths, problems)
    merger = Merger(setup.ruleset, problems)
    known = STDIN not in files
    with progress(size_of(files) if known else None, options.quiet) as advance:
        for outcome in alone(hunter, files, advance):
            merger.add(outcome)
            if not outcome.complete:
                problems(Problem("interrupted: this is what was found so far"))
    findings = merger.findings()
    if not census.days:
        problems(Problem("no row has a time, so there is no rate", hint="docs/inputs.md"))
        return show(problems.kept)
    found = rates(setup.ruleset.both, findings, census.device_weeks)
    if options.draft:
        _draft(options.draft, "\n".join(draft_lines(found, datetime.now(UTC).date())) + "\n")
    if options.format == "json":
        put(options.output, json.dumps(baseline_json(found, census), indent=2) + "\n")
    else:
        put(options.output, "\n".join(baseline_lines(found, census)) + "\n")
    return show(problems.kept)


def _draft(path: str, text: str) -> None:
    """Write a new file. Raises UsageError if it is there already: people may have signed it."""
    try:
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"--draft: {path} is there already; name a new file") from None
    except OSError as error:
        raise UsageError(f"--draft: {path}: {error.strerror}") from None
