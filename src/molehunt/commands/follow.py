"""`molehunt hunt --follow`: logs as they are written, findings as they come and change."""

from __future__ import annotations

import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from molehunt.detectors.findings.shadow import shown as without_shadowed
from molehunt.detectors.following.follower import Follower, Summary
from molehunt.detectors.following.output import Output
from molehunt.detectors.following.state import State
from molehunt.detectors.following.stream import Stream
from molehunt.detectors.following.tail import Tail
from molehunt.detectors.reading.inputs import STDIN
from molehunt.detectors.report.safe import printable

from ..exits import Exit
from ..levels import Level
from ..problems import Problem, Severity, UsageError
from ..rulecache import ruleset_key
from .common import named
from .hunt import prepare

DAY = 86400.0
# Problems told one by one, and then so many an hour.
_TOLD, _AN_HOUR = 1000, 100


class _Teller:
    """Problems to stderr as they come, alike ones once, with bounds on memory and on noise."""

    def __init__(self) -> None:
        self._known: set[Problem] = set()
        self._left, self._since = _TOLD, time.monotonic()
        self.hidden = 0
        self.bad = False

    def __call__(self, problem: Problem) -> None:
        """Tell one."""
        self.bad = self.bad or problem.severity is Severity.ERROR
        if problem in self._known:
            return
        if time.monotonic() - self._since > 3600:
            self._since, self._left = time.monotonic(), max(self._left, _AN_HOUR)
        if self._left <= 0:
            self.hidden += 1
            return
        self._left -= 1
        if len(self._known) >= _TOLD:
            self._known.clear()
        self._known.add(problem)
        print(printable(str(problem)), file=sys.stderr, flush=True)


def follow(options: Namespace) -> Exit:
    """Follow until Ctrl-C, SIGTERM or, of standard input alone, its end."""
    _check(options)
    setup = prepare(options)
    report = _Teller()
    for problem in setup.problems.kept:
        report(problem)
    subjects = {one.id: one.meta.subject for one in setup.ruleset.both}
    paths = [path for path in options.paths if path != STDIN]
    begin = options.begin or ("start" if options.state else "end")
    state = State(options.state or "", _key(options))
    try:
        tail = Tail(paths, state.sources(), begin == "start", report)
        stream = Stream(sys.stdin.fileno(), report) if STDIN in options.paths else None
        output = Output(options.output, state, report)
        follower = Follower(
            setup.ruleset,
            setup.hunter,
            state,
            tail,
            stream,
            output,
            joins=setup.joins,
            organisation=setup.organisation,
            level=Level[options.level.upper()],
            hidden=lambda finding: not without_shadowed([finding], setup.organisation, subjects)[0],
            words=options.format == "table" and not options.output,
            lateness=options.lateness * DAY,
            report=report,
        )
        if not options.quiet:
            print(_beginning(options, begin, state.resumed), file=sys.stderr, flush=True)
        try:
            with _stopping() as stopped:
                follower.follow(lambda: bool(stopped), not paths, partial=not options.state)
        finally:
            tail.close()
            output.close()
    finally:
        state.close()
    if not options.quiet:
        print(_ending(follower.summary, options.lateness, report.hidden), file=sys.stderr)
    if report.bad:
        return Exit.BAD_INPUT
    highest = follower.summary.highest
    if options.fail_on and highest is not None and highest >= Level[options.fail_on.upper()]:
        return Exit.FOUND
    return Exit.DONE


def _check(options: Namespace) -> None:
    if options.format not in ("table", "ndjson"):
        raise UsageError("--follow: --format must be table or ndjson")
    if options.stats:
        raise UsageError("--follow: --stats needs an end; hunt without --follow for it")
    if options.state and STDIN in options.paths:
        raise UsageError("--state: standard input cannot be read again, so there is no resuming")
    files = [Path(file).resolve() for file in (options.state, options.output) if file]
    if len(set(files)) < len(files):
        raise UsageError("--state and --output are the same file")


def _key(options: Namespace) -> str:
    """All that decides what a line amounts to."""
    digest = sha256(ruleset_key(named(options.rules)).encode())
    own = filter(None, [options.organisation, options.entities])
    for path in [*options.config, *own, *options.mmdb]:
        digest.update(Path(path).read_bytes())
    digest.update(repr((options.since, options.until, options.level, options.output)).encode())
    return digest.hexdigest()


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that fills when the process is asked to end. A second Ctrl-C ends it at once."""
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _beginning(options: Namespace, begin: str, resumed: bool) -> str:
    where = "where it was left" if resumed else f"the {begin} of what is there"
    late = f"lines up to {options.lateness:g} days late meet all others"
    return f"following from {where}; {late}; Ctrl-C ends"


def _ending(summary: Summary, lateness: float, hidden: int) -> str:
    parts = [f"{summary.counts.lines:,} lines", f"{summary.new} new", f"{summary.updates} updates"]
    if summary.late:
        parts.append(f"{summary.late:,} matches more than {lateness:g} days late")
    if summary.untimed:
        parts.append(f"{summary.untimed:,} matches without a time in no correlation")
    if summary.counts.broken:
        parts.append(f"{summary.counts.broken:,} broken lines")
    if hidden:
        parts.append(f"{hidden:,} more problems")
    return ", ".join(parts)
