"""Outcomes of parts put together; those of one file in the order of its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from molehunt.joins import Join
from molehunt.problems import Problem
from molehunt.rule import RuleSet

from ..correlating.correlator import Correlator
from ..findings.correlated import correlated_findings
from ..findings.fold import Folder
from ..findings.model import Finding
from ..findings.organisation import Organisation
from ..joins.together import Together
from ..matching.counts import Counts
from ..reading.wrapping import Traps
from .work import Outcome, Problems


class Merger:
    """Takes outcomes in any order; `findings()` gives what they amount to, once.

    An outcome waits for the parts of its file before it, which say on which line it begins.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        problems: Problems,
        organisation: Organisation | None = None,
        joins: Sequence[Join] = (),
    ) -> None:
        self.folder = Folder(None, {rule.id: rule for rule in ruleset.rules})
        self.counts = Counts()
        self._correlator = Correlator(ruleset, organisation)
        self._together = Together(joins, organisation)
        self._problems = problems
        self._traps = Traps()
        self._lines: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._waiting: dict[str, dict[int, list[Outcome]]] = {}

    def add(self, outcome: Outcome) -> None:
        """Take one in."""
        part = outcome.part
        waiting = self._waiting.setdefault(part.file, {})
        if part.start != self._next.get(part.file, 0):
            waiting.setdefault(part.start, []).append(outcome)
            return
        ready = [outcome]
        while ready:
            for one in ready:
                self._take(one)
            end = ready[-1].part.end
            if end is None or not ready[-1].last:
                break
            self._next[part.file] = end
            ready = waiting.pop(end, [])

    def _take(self, outcome: Outcome) -> None:
        file = outcome.part.file
        before = self._lines.get(file, 0)
        self._lines[file] = before + outcome.lines
        self.folder.merge(outcome.piles, before)
        for key, number in outcome.approved.items():
            self.folder.approved[key] = self.folder.approved.get(key, 0) + number
        events = outcome.collected.events
        if before:
            events = [
                event._replace(where=event.where._replace(line=event.where.line + before))
                for event in events
            ]
        self._correlator.merge(outcome.collected._replace(events=events))
        self._together.extend(
            fact._replace(where=fact.where._replace(line=fact.where.line + before))
            for fact in outcome.facts
        )
        self.counts.add(outcome.counts)
        for problem in outcome.problems.kept:
            self._problems(_moved(problem, before))
        self._problems.more += outcome.problems.more
        self._traps.merge(outcome.traps, before)

    def findings(self) -> tuple[Finding, ...]:
        """All findings, highest level first; what was noticed on the way is then told."""
        # Parts whose beginnings were never read: an interrupted run.
        for parts in self._waiting.values():
            for start in sorted(parts):
                for outcome in parts.pop(start):
                    self._take(outcome)
        with self._correlator as correlator:
            others = chain(correlated_findings(correlator), self._together.findings())
            found = self.folder.findings(others)
        approved = chain(correlator.approved.items(), self._together.approved.items())
        for key, number in approved:
            self.folder.approved[key] = self.folder.approved.get(key, 0) + number
        for problem in (
            *self._traps.tell(),
            *self._correlator.problems(),
            *self._together.problems(),
        ):
            self._problems(problem)
        return found


def _moved(problem: Problem, lines: int) -> Problem:
    if not lines or problem.line is None:
        return problem
    return replace(problem, line=problem.line + lines)
