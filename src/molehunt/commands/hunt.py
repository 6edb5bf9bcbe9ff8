"""`molehunt hunt`: logs in, findings out."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from molehunt.detectors.correlating.correlator import Correlator
from molehunt.detectors.findings.correlated import correlated_findings
from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.findings.organisation import Organisation, load_organisation
from molehunt.detectors.matching.plan import FastPlan, Plan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import STDIN, Block, blocks, expand, size_of
from molehunt.detectors.records import Record
from molehunt.detectors.report.stats import write_stats
from molehunt.detectors.schedule.binding import Binder

from .. import __version__
from ..exits import Exit
from ..levels import Level
from ..problems import Problem, UsageError
from ..ruleset import RuleSet
from ..taxonomy import taxonomy
from .common import load, make_binder, show
from .output import write
from .progress import Advance, progress


class Problems:
    """Collects problems; keeps the first ones and counts them all, so that memory stays bounded."""

    KEEP = 1000

    def __init__(self) -> None:
        self.kept: list[Problem] = []
        self.more = 0

    def __call__(self, problem: Problem) -> None:
        """Take one problem in."""
        if len(self.kept) < self.KEEP:
            self.kept.append(problem)
        else:
            self.more += 1


def run(options: Namespace) -> Exit:
    """Hunt and report. Findings go to stdout, everything else to stderr."""
    since, until = _moment(options.since, "--since"), _moment(options.until, "--until")
    ruleset = load(options.rules)
    problems = Problems()
    for problem in ruleset.problems:
        problems(problem)
    organisation = _organisation(options.organisation, ruleset, problems)
    configured: list[Problem] = []
    binder = make_binder(options.config, configured)
    for problem in configured:
        problems(problem)
    plan = _plan(options, ruleset, binder)
    folder = Folder(organisation)
    correlator = Correlator(ruleset)
    files = expand(options.paths, problems)
    interrupted = False
    try:
        for match in plan.matches(_read(files, problems, options), problems):
            if _within(match.record, since, until) and folder.add(match):
                correlator.add(match)
    except KeyboardInterrupt:
        interrupted = True
        problems(Problem("interrupted: this is what was found so far"))
    with correlator:
        findings = folder.findings(correlated_findings(correlator))
    for problem in correlator.problems():
        problems(problem)
    shown = [finding for finding in findings if finding.level >= Level[options.level.upper()]]
    write(options, shown, _run(ruleset, files, folder, problems, interrupted))
    if options.stats:
        write_stats(sys.stderr, plan, ruleset, binder, bool(options.config), taxonomy())
    elif not options.quiet:
        _summary(options, plan, ruleset, folder, len(findings) - len(shown))
    if problems.more:
        problems.kept.append(Problem(f"{problems.more} more problems were counted, not kept"))
    code = show(problems.kept)
    if code is Exit.DONE and options.fail_on:
        limit = Level[options.fail_on.upper()]
        code = Exit.FOUND if any(f.level >= limit for f in findings) else Exit.DONE
    return code


def _plan(options: Namespace, ruleset: RuleSet, binder: Binder) -> Plan:
    if options.engine == "reference":
        return reference_plan(ruleset.rules, taxonomy(), binder)
    # Statistics need every line, so nothing is skipped for them.
    scan = "" if options.engine == "plain" or options.stats else None
    plan = compile_plan(ruleset.rules, taxonomy(), binder, scan)
    if plan.scan == "re2" and not options.quiet:
        print("note: Hyperscan is not installed; without it this is slower", file=sys.stderr)
    return plan


def _read(files: list[str], problems: Problems, options: Namespace) -> Iterator[Block]:
    known = STDIN not in files
    with progress(size_of(files) if known else None, options.quiet) as advance:
        for file in files:
            yield from _advancing(blocks(file, problems), file, advance)


def _advancing(read: Iterable[Block], file: str, advance: Advance) -> Iterator[Block]:
    for block in read:
        yield block
        advance(file, block.offset + len(block.data))
    advance.done(file)


def _moment(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: not an ISO 8601 time: {text} (try 2026-11-23)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _within(record: Record, since: float | None, until: float | None) -> bool:
    """A record without a time is not known to be outside."""
    at = record.at
    return at is None or ((since is None or at >= since) and (until is None or at < until))


def _organisation(path: str | None, ruleset: RuleSet, problems: Problems) -> Organisation | None:
    if path is None:
        return None
    if not Path(path).is_file():
        raise UsageError(f"--organisation: no such file: {path}")
    organisation, found = load_organisation(path)
    known = [name for rule in ruleset.rules for name in (rule.meta.subject, rule.id)]
    for problem in (*found, *organisation.unknown_names(known)):
        problems(problem)
    return organisation


def _run(
    ruleset: RuleSet, files: list[str], folder: Folder, problems: Problems, interrupted: bool
) -> dict[str, object]:
    """What a machine wants to know of the run besides the findings; no times, no durations."""
    return {
        "tool": "molehunt",
        "version": __version__,
        "inputs": files,
        "complete": not interrupted,
        "rules": len(ruleset.rules),
        "approved": [
            {"subject": subject, "owner": owner, "matches": count}
            for (subject, owner), count in sorted(folder.approved.items())
        ],
        "problems": [
            {
                "severity": str(problem.severity),
                "what": problem.what,
                "path": problem.path,
                "line": problem.line,
                "rule": problem.rule,
                "hint": problem.hint,
            }
            for problem in problems.kept
        ],
    }


def _summary(options: Namespace, plan: Plan, ruleset: RuleSet, folder: Folder, hidden: int) -> None:
    counts = plan.counts
    parts = [f"{counts.lines:,} lines", f"{len(ruleset.rules)} rules"]
    if ruleset.correlations:
        parts.append(f"{len(ruleset.correlations)} correlations")
    if counts.broken:
        parts.append(f"{counts.broken:,} broken lines")
    if folder.approved:
        parts.append(f"{sum(folder.approved.values()):,} matches approved")
    if hidden:
        parts.append(f"{hidden} findings below {options.level}")
    if isinstance(plan, FastPlan) and plan.skips:
        parts.append(f"{counts.parsed:,} lines looked into")
    print(", ".join(parts), file=sys.stderr)
    if options.output:
        print(f"full result: {options.output}", file=sys.stderr)
