"""From events to what correlations find: takes events in any order, evaluates when all are in."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import NamedTuple, Self

from molehunt.correlation import NUMERIC, VALUED, Correlation
from molehunt.problems import Problem, Severity
from molehunt.rule import RuleSet

from ..findings.organisation import Organisation
from ..matching.fields import FieldMap
from ..matching.match import Match
from ..records import Scalar
from .collector import Collected, Collector
from .events import Entry, Event, entries_for, uses_by_rule
from .store import Part, Shown, Store, Who
from .windows import Hit, hits, needed_places


class Caps(NamedTuple):
    """How many records are shown: of a finding, of a hit that another correlation counts, and of a
    finding that counts such hits."""

    evidence: int = 5
    handed_on: int = 3
    chained: int = 12


CAPS = Caps()
# All that contributed: for proofs, on logs that are short.
EVERYTHING = Caps(sys.maxsize, sys.maxsize, sys.maxsize)


@dataclass(frozen=True, slots=True)
class Correlated:
    """All hits of one correlation in one group.

    `group` are the values of its group-by fields. `count` is the number of contributing events,
    `last` the end of the last where one was seen, `who` all whom they are about. `shown` are some
    of the records: the first of each rule and of each counted value, then the earliest.
    """

    correlation: Correlation
    group: tuple[str, ...]
    hits: int
    first: float
    last: float
    count: int
    who: tuple[Who, ...]
    shown: tuple[Shown, ...]


class Correlator:
    """Takes matches or events, in any order; `results()` gives what they amount to, once.

    Use it in a `with` statement, or close it: it may hold a temporary file. Nothing is opened
    before the first event. Where the disk is full, `problems` says so and the rest goes on.
    `approved` counts the hits that an approval of the correlation covers, as a `Folder` does.
    """

    def __init__(
        self, ruleset: RuleSet, organisation: Organisation | None = None, caps: Caps = CAPS
    ) -> None:
        self._caps = caps
        self._organisation = organisation
        self.approved: dict[tuple[str, str], int] = {}
        self.correlations = ruleset.correlations
        self.rules = {rule.id: rule for rule in ruleset.rules}
        self._collector = Collector(ruleset)
        self._horizon = -inf
        self._untimed = 0
        self._store: Store | None = None
        self._failure: sqlite3.Error | None = None
        self._contexts: dict[tuple[object, ...], int] = {}
        self._fields: list[FieldMap] = []
        self._last: tuple[FieldMap | None, int] = (None, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what was spilled."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def add(self, match: Match) -> None:
        """Take a match in. One of a rule that no correlation refers to only says how far the logs
        go."""
        if self.correlations:
            self._collector.add(match)
            self.merge(self._collector.take())

    def problems(self) -> Iterator[Problem]:
        """What was left out, once the results were read."""
        if self._untimed:
            what = f"{self._untimed} matches without a time took part in no correlation"
            hint = "a log line needs unixTime"
            yield Problem(what, hint=hint, severity=Severity.WARNING)
        if self._failure is not None:
            hint = "name a directory with room in TMPDIR"
            yield Problem(f"correlations are not complete: {self._failure}", hint=hint)

    def merge(self, collected: Collected) -> None:
        """Take in what a collector gave. An absence counts up to the latest match of any."""
        self._horizon = max(self._horizon, collected.latest)
        self._untimed += collected.untimed
        self.extend(collected.events)

    def extend(self, events: Iterable[Event]) -> None:
        """Take events in."""
        if self._failure is not None:
            return
        try:
            for event in events:
                if self._store is None:
                    self._store = Store(self.correlations)
                self._horizon = max(self._horizon, event.at)
                self._store.add(event, self._context(event))
        except sqlite3.Error as error:
            self._failure = error

    def fields_of(self, shown: Shown) -> FieldMap:
        """How the rule behind a piece of evidence read its record."""
        return self._fields[shown.context]

    def _context(self, event: Event) -> int:
        if event.fields is self._last[0]:
            return self._last[1]
        key = (event.fields.key, event.fields.missing_filters)
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = len(self._fields)
            self._fields.append(event.fields)
        self._last = (event.fields, found)
        return found

    def results(self) -> Iterator[Correlated]:
        """What each correlation found, those referred to first, groups in order of their values."""
        if self._store is None or self._failure is not None:
            return
        try:
            self._store.fill()
            above = uses_by_rule(self.correlations)
            for number, one in enumerate(self.correlations):
                found = _Evaluation(
                    self._store,
                    one,
                    number,
                    [
                        (use, self.correlations[where.correlation], where.place)
                        for use, where in above.get(one.id, ())
                    ],
                    self._horizon,
                    self._caps,
                    self._is_approved,
                )
                yield from found.results()
        except sqlite3.Error as error:
            self._failure = error

    def _is_approved(self, one: Correlation, who: Iterable[Who], at: float) -> bool:
        """Whether each host of a hit is approved for the correlation at its beginning."""
        if self._organisation is None:
            return False
        owner = ""
        for each in who:
            names = {each.host, each.host_name or each.host}
            approval = self._organisation.approval(one.meta.subject, one.id, names, at)
            if approval is None:
                return False
            owner = owner or approval.owner
        if not owner:
            return False
        key = (one.meta.subject or one.id, owner)
        self.approved[key] = self.approved.get(key, 0) + 1
        return True


_Approves = Callable[[Correlation, Iterable[Who], float], bool]


class _Picked:
    """The parts to show: the first of each rule, the first of each value, then the earliest."""

    __slots__ = ("_cap", "_earliest", "_rules", "_values")

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._rules: dict[int, Part] = {}
        self._values: dict[tuple[int, object], Part] = {}
        self._earliest: list[Part] = []

    def add(self, part: Part, value: object) -> None:
        """Look at the next part, in order of time."""
        self._rules.setdefault(part.place, part)
        if len(self._values) < self._cap:
            self._values.setdefault((part.place, value), part)
        if len(self._earliest) < self._cap:
            self._earliest.append(part)

    def chosen(self) -> list[Part]:
        """At most the cap, or one of each rule if these are more."""
        parts = [*self._rules.values(), *self._values.values(), *self._earliest]
        cap = max(self._cap, len(self._rules))
        distinct = {(part.seen, part.id, part.place): part for part in reversed(parts)}
        ordered = [distinct[key] for key in dict.fromkeys((p.seen, p.id, p.place) for p in parts)]
        return ordered[:cap]


@dataclass(slots=True)
class _Pile:
    """What is kept of one group's hits."""

    picked: _Picked
    first: float = inf
    last: float = -inf
    count: int = 0
    who: set[int] = field(default_factory=set)


class _Evaluation:
    """One correlation over its groups."""

    def __init__(
        self,
        store: Store,
        one: Correlation,
        number: int,
        above: Sequence[tuple[int, Correlation, int]],
        horizon: float,
        caps: Caps,
        approves: _Approves,
    ) -> None:
        self._caps = caps
        self._approves = approves
        self._store = store
        self._one = one
        self._number = number
        self._horizon = horizon
        self._needed = needed_places(self._one.terms)
        # The uses of this correlation by others.
        self._above = above

    def results(self) -> Iterator[Correlated]:
        one, store = self._one, self._store
        for group, shown in store.groups(self._number):
            pile, found, after = self._pile(), 0, -inf
            for hit in hits(one, store.content(group), self._horizon):
                if self._approves(one, self._hosts(group, hit), hit.first):
                    after = hit.last
                    continue
                found += 1
                self._take(pile, self._parts(store.parts(group, hit, after)))
                if self._above:
                    self._hand_up(group, shown, hit, after)
                after = hit.last
            if found:
                yield Correlated(
                    correlation=one,
                    group=shown,
                    hits=found,
                    first=pile.first,
                    last=pile.last,
                    count=pile.count,
                    who=tuple(sorted(store.who(number) for number in pile.who)),
                    shown=self._evidence(pile.picked),
                )

    def _hosts(self, group: int, hit: Hit) -> Iterator[Who]:
        """Whom a hit is about, only read as far as needed."""
        for part in self._parts(self._store.parts(group, hit, -inf)):
            yield from map(self._store.who, self._who(part))

    def _pile(self) -> _Pile:
        return _Pile(_Picked(self._caps.evidence))

    def _parts(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Without what the condition does not count."""
        one = self._one
        for part in parts:
            if one.terms and part.place not in self._needed:
                continue
            if one.type in VALUED and part.value is None:
                continue
            yield part

    def _take(self, pile: _Pile, parts: Iterable[Part]) -> None:
        counted: tuple[float, int] | None = None
        for part in parts:
            if (part.start, part.id) != counted:
                counted = (part.start, part.id)
                pile.count += 1
            pile.first = min(pile.first, part.start)
            pile.last = max(pile.last, part.start if part.end == inf else part.end)
            pile.who.update(self._who(part))
            # Numbers differ all the time; that tells nothing.
            value = None if self._one.type in NUMERIC else part.value
            pile.picked.add(part, value)

    def _who(self, part: Part) -> Iterable[int]:
        return self._store.who_of_hit(part.id) if part.who is None else (part.who,)

    def _evidence(self, picked: _Picked) -> tuple[Shown, ...]:
        numbers = self._seen(picked)
        shown = [self._store.shown(number) for number in numbers]
        return tuple(sorted(shown, key=lambda one: (one.at, one.where, one.rule)))

    def _seen(self, picked: _Picked) -> list[int]:
        """The records behind what was picked: themselves, or some of a hit's."""
        found: dict[int, None] = {}
        for part in picked.chosen():
            if part.seen is not None:
                found[part.seen] = None
            else:
                handed = list(self._store.seen_of_hit(part.id))[: self._caps.handed_on]
                found.update(dict.fromkeys(handed))
        return list(found)[: self._caps.chained]

    def _hand_up(self, group: int, shown: tuple[str, ...], hit: Hit, after: float) -> None:
        """The hit as an event for the correlations above, with all that contributed."""
        store, pile = self._store, self._pile()
        carried: dict[str, None] = {}
        for parts in (store.older_parts(group, hit, after), store.parts(group, hit, after)):
            for part in self._parts(parts):
                self._take(pile, (part,))
                carried[part.carried] = None
        entries: dict[Entry, None] = {}
        own = {name: (value,) for name, value in zip(self._one.group_by, shown, strict=True)}
        for text in carried:
            found: dict[str, tuple[Scalar, ...]] = dict(own)
            for name in self._one.carried:
                found[name] = ()
            if text:
                found |= {name: tuple(values) for name, values in json.loads(text).items()}
            for use, above, place in self._above:
                asked = {name: found[above.field(place, name)] for name in above.asks}
                entries.update(dict.fromkeys(entries_for(above, use, asked)))
        store.add_hit(hit, entries, sorted(pile.who), self._seen(pile.picked))
