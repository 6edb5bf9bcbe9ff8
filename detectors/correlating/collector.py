"""From matches to the events that correlations count."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from molehunt.rule import RuleSet

from ..matching.match import Match
from .events import Event, events_of, wanted_by


class Collected(NamedTuple):
    """What a process has to send on: events, the time of the latest match (-inf without any), and
    the number of matches that could not be placed in time."""

    events: list[Event]
    latest: float
    untimed: int


class Collector:
    """Matches in, events out: for a process that only reads and sends what it takes to the one that
    has the `Correlator`."""

    def __init__(self, ruleset: RuleSet) -> None:
        self._latest = -inf
        self._untimed = 0
        self._wanted = wanted_by(ruleset.correlations, ruleset.rules)
        self._events: list[Event] = []

    @property
    def waiting(self) -> int:
        """How many events `take` would give."""
        return len(self._events)

    def add(self, match: Match) -> None:
        """Take a match in. One of a rule that no correlation refers to makes no event."""
        at = match.record.at
        if at is not None:
            self._latest = max(self._latest, at)
        elif match.rule.id in self._wanted.uses:
            self._untimed += 1
        self._events += events_of(match, self._wanted)

    def take(self) -> Collected:
        """What came in since the last call; it can be pickled."""
        taken = Collected(self._events, self._latest, self._untimed)
        self._events, self._latest, self._untimed = [], -inf, 0
        return taken
