"""Hosts and days in the logs, counted while the rules look at them.

A rate needs to know how many hosts stayed silent, so every row is read and nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from molehunt.rule import asks_removed

from ..enriching.inputs import Inputs
from ..matching.counts import Counts
from ..matching.match import Match
from ..matching.plan import FastPlan
from ..reading.inputs import Block, Report
from ..reading.wrapping import Traps
from ..records import Row
from ..tying import record_of

DAY = 86400
WEEK = 7


@dataclass(slots=True)
class Census:
    """What was there. `days` are pairs of host and day (days since 1970, UTC) with any row."""

    hosts: set[str] = field(default_factory=set)
    days: set[tuple[str, int]] = field(default_factory=set)
    timeless: int = 0
    first: float | None = None
    last: float | None = None

    @property
    def device_weeks(self) -> float:
        """Days on which a host told anything, in weeks: what a rate is divided by."""
        return len(self.days) / WEEK

    def add(self, row: Row) -> None:
        """Count one row in."""
        self.hosts.add(row.host)
        at = row.event_at if row.event_at is not None else row.observed_at
        if at is None:
            self.timeless += 1
            return
        self.days.add((row.host, int(at // DAY)))
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)


class CountingPlan:
    """A plan that tells a census of every row; matches are the engine's."""

    def __init__(self, plan: FastPlan, census: Census) -> None:
        self._plan = plan
        self._census = census

    @property
    def counts(self) -> Counts:
        """The engine's."""
        return self._plan.counts

    @counts.setter
    def counts(self, counts: Counts) -> None:
        self._plan.counts = counts

    @property
    def traps(self) -> Traps:
        """The engine's."""
        return self._plan.traps

    @traps.setter
    def traps(self, traps: Traps) -> None:
        self._plan.traps = traps

    @property
    def tells(self) -> bool:
        """The engine's."""
        return self._plan.tells

    @tells.setter
    def tells(self, tells: bool) -> None:
        self._plan.tells = tells

    @property
    def inputs(self) -> Inputs:
        """The engine's."""
        return self._plan.inputs

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        self._plan.inputs = inputs

    def matches(self, blocks: Iterable[Block], report: Report) -> Iterator[Match]:
        """Every match in the blocks, in their order."""
        for row in self._plan.rows(blocks, report):
            self._census.add(row)
            bound = self._plan.bound(row)
            for rule, fields, holds in self._plan.asking(bound):
                if holds(row):
                    record = record_of(row, bound.binding, bound.tie)
                    closes = row.action == "removed" and not asks_removed(rule)
                    yield Match(rule, record, fields, closes, self._plan.why)
