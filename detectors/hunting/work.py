"""Hunt through one part of the input: what it holds, as plain values to be sent and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from molehunt.joins import Join
from molehunt.problems import Problem
from molehunt.rule import RuleSet

from ..correlating.collector import Collected, Collector
from ..findings.fold import Folder, Pile
from ..findings.organisation import Organisation
from ..joins.facts import Fact, facts_of
from ..matching.counts import Counts
from ..matching.plan import Plan
from ..reading.inputs import Block
from ..reading.parts import Part, part_blocks
from ..reading.wrapping import Trap
from ..records import Record

# A whole compressed file may be one part.
BLOCKS_IN_A_PIECE = 64
# Each event of a correlation holds its row.
EVENTS_IN_A_PIECE = 5_000


class Span(NamedTuple):
    """From when (inclusive) until when, in seconds since 1970 UTC; None: no limit."""

    since: float | None = None
    until: float | None = None

    def holds(self, record: Record) -> bool:
        """A record without a time is not known to be outside."""
        at = record.at
        return at is None or (
            (self.since is None or at >= self.since) and (self.until is None or at < self.until)
        )


@dataclass(slots=True)
class Problems:
    """Collects problems; keeps the first ones and counts them all, so that memory stays bounded."""

    kept: list[Problem] = field(default_factory=list)
    more: int = 0

    KEEP = 1000

    def __call__(self, problem: Problem) -> None:
        """Take one problem in."""
        if len(self.kept) < self.KEEP:
            self.kept.append(problem)
        else:
            self.more += 1


class Outcome(NamedTuple):
    """What a part of a file held, or the next piece of a part.

    Line numbers count from the part's first line; `lines` is how many lines the part has, said with
    its `last` piece. If it is not `complete`, it was interrupted.
    """

    part: Part
    lines: int
    counts: Counts
    piles: dict[str, Pile]
    approved: dict[tuple[str, str], int]
    collected: Collected
    problems: Problems
    traps: dict[tuple[str, Trap], tuple[int, int]]
    last: bool = True
    complete: bool = True
    facts: tuple[Fact, ...] = ()


class Hunter:
    """Hunts through parts, one after the other."""

    def __init__(
        self,
        plan: Plan,
        ruleset: RuleSet,
        organisation: Organisation | None,
        span: Span,
        joins: Sequence[Join] = (),
    ) -> None:
        self.plan = plan
        plan.tells = False
        self._span = span
        self._folder = Folder(organisation)
        self._collector = Collector(ruleset)
        self._joins = joins
        self._facts: list[Fact] = []

    def hunt(self, part: Part, watch: Callable[[Block], None] | None = None) -> Iterator[Outcome]:
        """The outcome of one part, in pieces so that it need not be held whole. `watch` is told
        each block that was read.

        Ctrl-C ends it early: then the last piece is not `complete`.
        """
        problems, lines, read = Problems(), 0, 0
        try:
            for block in part_blocks(part, problems):
                self.look(block, problems)
                lines += block.lines()
                read += 1
                if watch is not None:
                    watch(block)
                full = self._collector.waiting >= EVENTS_IN_A_PIECE
                if full or read % BLOCKS_IN_A_PIECE == 0:
                    yield self.taken(part, 0, problems)._replace(last=False)
                    problems = Problems()
        except KeyboardInterrupt:
            yield self.taken(part, lines, problems)._replace(complete=False)
            return
        yield self.taken(part, lines, problems)

    def look(self, block: Block, problems: Problems) -> None:
        """Take in the matches of one block."""
        for match in self.plan.matches([block], problems):
            if not self._span.holds(match.record):
                continue
            # A join wants to know also where sites are.
            self._facts += facts_of(match, self._joins)
            if self._folder.add(match):
                self._collector.add(match)

    def taken(self, part: Part, lines: int, problems: Problems) -> Outcome:
        """What came in since the last call."""
        counts, approved = self.plan.counts, self._folder.approved
        self.plan.counts, self._folder.approved = Counts(), {}
        piles, collected = self._folder.take(), self._collector.take()
        traps = self.plan.traps.take()
        facts, self._facts = tuple(self._facts), []
        return Outcome(
            part, lines, counts, piles, approved, collected, problems, traps, facts=facts
        )
