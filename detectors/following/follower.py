"""The loop: read what is new, fold it in, tell what changed; each round is one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from molehunt.joins import Join
from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.rule import RuleSet

from ..findings.model import Finding
from ..findings.organisation import Organisation
from ..hunting.work import Hunter, Problems
from ..matching.counts import Counts
from ..reading.parts import Part
from . import events
from .findings import Findings
from .groups import Groups
from .output import Output
from .state import State
from .stood import Stood
from .stream import Stream
from .tail import Tail

PERIOD = 0.25
# A finding is told of at most once in so many seconds.
QUIET = 1.0
# Read at most so much before it is taken in.
ROUND_BYTES = 8 << 20
# Evaluating groups may take this part of the time.
SHARE = 0.2
TOLD_AT_ONCE = 1000


@dataclass(slots=True)
class Summary:
    """What happened while following."""

    counts: Counts = field(default_factory=Counts)
    late: int = 0
    untimed: int = 0
    new: int = 0
    updates: int = 0
    highest: Level | None = None


class Follower:
    """Follows until `stop()` says so or there is nothing left to come."""

    def __init__(  # noqa: PLR0913 - the parts of the loop
        self,
        ruleset: RuleSet,
        hunter: Hunter,
        state: State,
        tail: Tail,
        stream: Stream | None,
        output: Output,
        *,
        joins: Sequence[Join] = (),
        organisation: Organisation | None = None,
        level: Level,
        hidden: Callable[[Finding], bool],
        words: bool,
        lateness: float,
        report: Callable[[Problem], None],
    ) -> None:
        self._hunter = hunter
        self._state = state
        self._tail = tail
        self._stream = stream
        self._output = output
        self._level = level
        self._hidden = hidden
        self._words = words
        self._report = report
        self._findings = Findings(state, ruleset)
        self._groups = Groups(state, ruleset, self._findings, lateness)
        self._stood = Stood(state, joins, organisation, self._findings)
        self._told_at: dict[str, float] = {}
        self._evaluate_at = 0.0
        self._stale = True
        self.summary = Summary()

    def follow(self, stop: Callable[[], bool], ends: bool, partial: bool) -> None:
        """Go on until stopped. With `ends`, the end of the stream is the end of all; `partial` says
        that last lines without newline are taken in then."""
        self._output.send()
        while not stop():
            began = time.monotonic()
            self._round(stop)
            if ends and (self._stream is None or self._stream.ended):
                break
            left = PERIOD - (time.monotonic() - began)
            if left > 0:
                time.sleep(left)
        if partial:
            for read in self._tail.last():
                self._look(read.block)
                read.place()
            for block in self._stream.last() if self._stream else ():
                self._look(block)
        self._keep()
        self._tell(final=True)

    def _round(self, stop: Callable[[], bool]) -> None:
        waiting = 0
        for read in self._tail.poll():
            self._look(read.block)
            read.place()
            waiting += len(read.block.data)
            if waiting >= ROUND_BYTES:
                self._keep()
                self._tell()
                waiting = 0
            if stop():
                return
        for block in self._stream.poll() if self._stream else ():
            self._look(block)
            waiting += len(block.data)
            if waiting >= ROUND_BYTES:
                self._keep()
                self._tell()
                waiting = 0
        self._keep()
        self._tell()
        if not waiting:
            # Only when everything is read up to its end is what is old really old.
            self._groups.settle(time.time())

    def _look(self, block: object) -> None:
        problems = Problems()
        self._hunter.look(block, problems)  # type: ignore[arg-type]
        for problem in problems.kept:
            self._report(problem)

    def _keep(self) -> None:
        taken = self._hunter.taken(Part(""), 0, Problems())
        summary = self.summary
        summary.counts.add(taken.counts)
        if taken.piles:
            self._findings.merge(taken.piles)
        if taken.collected.events or taken.collected.latest > self._groups.horizon:
            summary.late += self._groups.add(taken.collected)
            self._stale = True
        self._stood.add(taken.facts)
        summary.untimed += taken.collected.untimed
        for (file, trap), (line, _) in taken.traps.items():
            self._report(Problem(trap.what, file, line, hint=trap.hint, severity=trap.severity))
        if self._tail.changed:
            self._state.keep_sources(self._tail.sources, self._tail.changed)
            self._tail.changed.clear()

    def _tell(self, final: bool = False) -> None:
        now = time.monotonic()
        if self._stale and (final or now >= self._evaluate_at):
            self._groups.evaluate()
            self._stale = False
            self._evaluate_at = now + (time.monotonic() - now) * (1 / SHARE - 1)
        self._stood.evaluate(final)
        for key in [key for key, at in self._told_at.items() if now - at >= QUIET]:
            del self._told_at[key]
        dirty = [key for key in self._findings.dirty() if final or key not in self._told_at]
        for start in range(0, len(dirty), TOLD_AT_ONCE):
            some = dirty[start : start + TOLD_AT_ONCE]
            self._put_out(some, now)
            self._findings.clean(some)
            self._state.commit()
            self._output.send()
        if not dirty:
            self._state.commit()

    def _put_out(self, keys: Iterable[str], now: float) -> None:
        run, keys = self._state.db.execute, list(keys)
        current = self._findings.current(keys)
        for key in keys:
            row = run("SELECT digest FROM told WHERE id = ?", (key,)).fetchone()
            finding = current.get(key)
            if finding is not None and self._hidden(finding):
                finding = None
            if finding is None or (finding.level < self._level and row is None):
                if row is not None:
                    self._send(lambda number, key=key: self._gone(number, key))  # type: ignore[misc]
                    run("DELETE FROM told WHERE id = ?", (key,))
                continue
            told = events.digest_of(finding)
            if row is not None and row[0] == told:
                continue
            kind = events.NEW if row is None else events.UPDATE
            if kind == events.NEW:
                self.summary.new += 1
            else:
                self.summary.updates += 1
            self.summary.highest = max(self.summary.highest or finding.level, finding.level)
            self._send(
                lambda number, kind=kind, finding=finding: (  # type: ignore[misc]
                    events.words(kind, finding)
                    if self._words
                    else events.record(kind, number, finding)
                )
            )
            run("INSERT OR REPLACE INTO told VALUES (?,?)", (key, told))
            self._told_at[key] = now

    def _gone(self, number: int, key: str) -> str:
        return events.withdrawn_words(key) if self._words else events.withdrawal(number, key)

    def _send(self, text: Callable[[int], str]) -> None:
        number = self._state.get("sequence", 0) + 1
        self._state.put("sequence", number)
        self._state.db.execute("INSERT INTO outbox VALUES (?,?)", (number, text(number)))
