"""`molehunt hunt`: logs in, findings out."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from molehunt.detectors.enriching.inputs import lacking, load_inputs
from molehunt.detectors.findings.organisation import Organisation
from molehunt.detectors.findings.shadow import Counts as Shadowed
from molehunt.detectors.findings.shadow import shown as without_shadowed
from molehunt.detectors.hunting.work import Hunter, Outcome, Problems, Span
from molehunt.detectors.matching.kept import guess_kept, kept_clauses, tune_kept
from molehunt.detectors.matching.plan import FastPlan, Plan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import STDIN, expand, size_of
from molehunt.detectors.reading.parts import Part, finer, parts_of, sample
from molehunt.detectors.report.safe import printable
from molehunt.detectors.schedule.binding import Binder

from .. import __version__
from ..exits import Exit
from ..joins import Join, load_joins, silenced
from ..levels import Level
from ..problems import Problem, UsageError
from ..rule import RuleSet
from ..rulecache import cached_rules
from ..taxonomy import taxonomy
from .common import make_binder, named, show
from .output import write
from .progress import Advance, progress

if TYPE_CHECKING:
    from molehunt.detectors.hunting.merge import Merger

# Less than this is not worth starting processes for.
SHARED_BYTES = 48 << 20
PART_BYTES = 16 << 20
# Smaller parts keep all processes busy to the end of a short log.
LEAST_PART_BYTES, PARTS = 4 << 20, 16
# What is looked at of data that are too few to fit the search to.
SAMPLE_BYTES = 256 << 10
# Queries that are named where no table is known for them.
MAX_UNBOUND = 5


class Setup(NamedTuple):
    """Everything that is ready before the first line is read, and what was wrong with it."""

    ruleset: RuleSet
    binder: Binder
    plan: Plan
    hunter: Hunter
    organisation: Organisation | None
    joins: list[Join]
    problems: Problems
    key: str


def prepare(options: Namespace) -> Setup:
    """Load rules, configurations and approvals as the options say."""
    span = Span(_moment(options.since, "--since"), _moment(options.until, "--until"))
    ruleset, key = cached_rules(named(options.rules))
    problems = Problems()
    joins, configured = load_joins(named(options.rules), ruleset.rules)
    ruleset = silenced(ruleset, joins)
    organisation = _organisation(options.organisation, ruleset, joins, configured)
    binder = make_binder(options.config, configured)
    stores = taxonomy().stores
    inputs = load_inputs(options.entities, options.mmdb, stores, configured)
    for problem in (*ruleset.problems, *configured):
        problems(problem)
    plan = _plan(options, ruleset, key, binder)
    plan.inputs = inputs
    hunter = Hunter(plan, ruleset, organisation, span, joins)
    return Setup(ruleset, binder, plan, hunter, organisation, joins, problems, key)


def make_hunter(options: Namespace) -> Hunter:
    """A hunter of its own for a process that cannot inherit one."""
    setup = prepare(options)
    _tune(setup, expand(options.paths, Problems()))
    return setup.hunter


def run(options: Namespace) -> Exit:
    """Hunt and report. Findings go to stdout, everything else to stderr."""
    if options.follow:
        from .follow import follow

        return follow(options)
    if options.state or options.begin:
        raise UsageError("--state and --from need --follow")
    setup = prepare(options)
    ruleset, plan, problems = setup.ruleset, setup.plan, setup.problems
    if isinstance(plan, FastPlan) and plan.scan == "re2" and not options.quiet:
        print("note: Hyperscan is not installed; without it this is slower", file=sys.stderr)
    # The list of people may lie beside the logs.
    files = [file for file in expand(options.paths, problems) if file != options.entities]
    merger, complete = _merged(_outcomes(options, setup, files), setup)
    if not complete:
        problems(Problem("interrupted: this is what was found so far"))
    subjects = {rule.id: rule.meta.subject for rule in ruleset.both}
    findings, shadowed = without_shadowed(merger.findings(), setup.organisation, subjects)
    shown = [finding for finding in findings if finding.level >= Level[options.level.upper()]]
    write(
        options,
        shown,
        {
            **_run(ruleset, files, merger, problems, complete),
            "shadow": _shadow(shadowed),
        },
    )
    if options.stats:
        from molehunt.detectors.report.stats import write_stats

        plan.counts = merger.counts
        write_stats(sys.stderr, plan, ruleset, setup.binder, bool(options.config), taxonomy())
    elif not options.quiet:
        _summary(options, plan, ruleset, merger, len(findings) - len(shown))
        _tell_unbound(plan, setup.binder)
        if shadowed:
            print(f"{sum(shadowed.values()):,} findings in shadow", file=sys.stderr)
    if problems.more:
        problems.kept.append(Problem(f"{problems.more} more problems were counted, not kept"))
    code = show(problems.kept)
    if code is Exit.DONE and options.fail_on:
        limit = Level[options.fail_on.upper()]
        code = Exit.FOUND if any(f.level >= limit for f in findings) else Exit.DONE
    return code


def _merged(outcomes: Iterator[Outcome], setup: Setup) -> tuple[Merger, bool]:
    """All outcomes put together, and whether nobody interrupted."""
    begun: list[Outcome] = []
    complete = True
    try:
        # The first begins with starting processes. What follows they do not need to have.
        begun += islice(outcomes, 1)
    except KeyboardInterrupt:
        complete = False
    from molehunt.detectors.hunting.merge import Merger

    merger = Merger(setup.ruleset, setup.problems, setup.organisation, setup.joins)
    try:
        for outcome in chain(begun, outcomes):
            merger.add(outcome)
            complete = complete and outcome.complete
    except KeyboardInterrupt:
        complete = False
    return merger, complete


def _plan(options: Namespace, ruleset: RuleSet, key: str, binder: Binder) -> Plan:
    if options.engine == "reference":
        return reference_plan(ruleset.rules, taxonomy(), binder)
    # Statistics need every line, so nothing is skipped for them.
    if options.engine == "plain" or options.stats:
        return compile_plan(ruleset.rules, taxonomy(), binder, scan="")
    clauses = kept_clauses(ruleset.rules, key, taxonomy(), binder)
    return compile_plan(ruleset.rules, taxonomy(), binder, clauses=clauses)


def _outcomes(options: Namespace, setup: Setup, files: list[str]) -> Iterator[Outcome]:
    """What the files hold, by as many processes as are worth it."""
    known = STDIN not in files
    total = size_of(files) if known else 0
    jobs = min(options.jobs or _cores(), 1 + total // PART_BYTES)
    # How queries were bound is known only where they were read.
    if options.stats or total < SHARED_BYTES:
        jobs = 1
    if total >= PART_BYTES:
        _tune(setup, files)
    elif isinstance(setup.plan, FastPlan):
        guess_kept(setup.plan, setup.key, sample(files, SAMPLE_BYTES))
    if jobs == 1:
        with progress(total if known else None, options.quiet) as advance:
            yield from alone(setup.hunter, files, advance)
        return
    from molehunt.detectors.hunting.share import sharing

    size = min(PART_BYTES, max(LEAST_PART_BYTES, total // PARTS))
    parts = finer([part for file in files for part in parts_of(file, size)], jobs)
    with (
        sharing(jobs, setup.hunter, partial(make_hunter, options)) as hunt,
        progress(total, options.quiet) as advance,
    ):
        for outcome in hunt(parts):
            yield outcome
            advance(outcome.part.file, outcome.part.end or 0)
            if outcome.part is parts[-1] or outcome.part.end is None:
                advance.done(outcome.part.file)


def _cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def alone(hunter: Hunter, files: list[str], advance: Advance) -> Iterator[Outcome]:
    """What the files hold, read by this process."""
    for file in files:
        for outcome in hunter.hunt(
            Part(file), lambda block: advance(block.file, block.offset + len(block.data))
        ):
            yield outcome
            if not outcome.complete:
                return
        advance.done(file)


def _tune(setup: Setup, files: list[str]) -> None:
    if isinstance(setup.plan, FastPlan):
        tune_kept(setup.plan, setup.key, partial(sample, files))


def _moment(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: not an ISO 8601 time: {text} (try 2026-11-23)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _organisation(
    path: str | None, ruleset: RuleSet, joins: list[Join], problems: list[Problem]
) -> Organisation | None:
    if path is None:
        return None
    if not Path(path).is_file():
        raise UsageError(f"--organisation: no such file: {path}")
    from molehunt.detectors.findings.organisation_file import load_organisation

    organisation, found = load_organisation(path)
    known = [name for rule in ruleset.both for name in (rule.meta.subject, rule.id)]
    known += [name for one in joins for name in (one.subject, one.id)]
    problems += [*found, *organisation.unknown_names(known)]
    return organisation


def _shadow(counts: Shadowed) -> list[dict[str, object]]:
    return [
        {"subject": subject, "owner": owner, "findings": count}
        for (subject, owner), count in sorted(counts.items())
    ]


def _run(
    ruleset: RuleSet, files: list[str], merger: Merger, problems: Problems, complete: bool
) -> dict[str, object]:
    """What a machine wants to know of the run besides the findings; no times, no durations."""
    return {
        "tool": "molehunt",
        "version": __version__,
        "inputs": files,
        "complete": complete,
        "rules": len(ruleset.rules),
        "approved": [
            {"subject": subject, "owner": owner, "matches": count}
            for (subject, owner), count in sorted(merger.folder.approved.items())
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


def _tell_unbound(plan: Plan, binder: Binder) -> None:
    """Say of which queries the table is not known, as far as their rows were looked at."""
    if isinstance(plan, FastPlan) and plan.judge is not None:
        # What was known of them from a run before was not bound again.
        for query, columns in plan.judge.met():
            binder.bind(query, frozenset(columns))
    names = sorted({one.query for one in binder.seen() if one.shape is None})
    if not names:
        return
    listed = ", ".join(printable(name) for name in names[:MAX_UNBOUND])
    more = f" and {len(names) - MAX_UNBOUND} more" if len(names) > MAX_UNBOUND else ""
    which = f"queries of which no table is known, so that no rule reads them: {listed}{more}"
    print(f"{which}; give their SQL with --config (--stats says why)", file=sys.stderr)


def _summary(options: Namespace, plan: Plan, ruleset: RuleSet, merger: Merger, hidden: int) -> None:
    counts, approved = merger.counts, merger.folder.approved
    parts = [f"{counts.lines:,} lines", f"{len(ruleset.rules)} rules"]
    if ruleset.correlations:
        parts.append(f"{len(ruleset.correlations)} correlations")
    if counts.broken:
        parts.append(f"{counts.broken:,} broken lines")
    if approved:
        parts.append(f"{sum(approved.values()):,} matches approved")
    blind = sum(bool(lacking(rule, plan.inputs)) for rule in ruleset.rules)
    if blind:
        parts.append(f"{blind} rules cannot fire: no input (--entities, --mmdb)")
    if hidden:
        parts.append(f"{hidden} findings below {options.level}")
    if isinstance(plan, FastPlan) and plan.skips:
        parts.append(f"{counts.parsed:,} lines looked into")
    print(", ".join(parts), file=sys.stderr)
    if options.output:
        print(f"full result: {options.output}", file=sys.stderr)
