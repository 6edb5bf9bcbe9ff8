"""Matches to findings: the same thing on the same entity, once, with exact counts.

Folding does not depend on the order of the matches, so parts of the input can be folded apart.
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from molehunt.data import techniques
from molehunt.levels import Level
from molehunt.rule import Rule
from molehunt.schema import tables

from ..matching.evaluate import View
from ..matching.match import Match
from ..records import Record, Value
from ..values import as_text, fold
from .model import Evidence, Finding, Raise, Technique
from .organisation import Organisation

EVIDENCE_CAP = 5
CLOSES_CAP = 64
RAISE_WINDOW = 7 * 86400.0


class Rank(NamedTuple):
    """The canonical order of evidence: by time (unknown last), then by place."""

    at: float
    file: str
    offset: int
    row: int


class Kept(NamedTuple):
    """A piece of evidence. `row` tells its row from others of its query, where it is a state that
    can end; "" otherwise."""

    rank: Rank
    evidence: Evidence
    row: str


class _Order(tuple[Rank, Match]):
    """Reversed, so that a heap drops the latest."""

    __slots__ = ()

    def __lt__(self, other: tuple[object, ...]) -> bool:
        return bool(self[0] > other[0])  # type: ignore[operator]


@dataclass(slots=True)
class Pile:
    """What is kept of one finding while matches come in; plain values but for `heap`.

    `front` is the record that comes first, with the host and the identity as spelled there.
    """

    rule: str
    front: tuple[Rank, str, tuple[tuple[str, Value], ...]]
    names: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    first: float = inf
    last: float = -inf
    count: int = 0
    heap: list[_Order] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    closes: list[tuple[float, str]] = field(default_factory=list)
    last_close: float = -inf


@dataclass(slots=True)
class Folder:
    """Takes matches one by one; `findings()` gives what they amount to.

    Memory grows with the number of findings, not of matches. `approved` counts the matches that an
    approval covers, by (subject or rule id, owner). A process that only reads has a folder of its
    own and sends what it `take()`s to the one that folds all together; that one must know the
    `rules`.
    """

    organisation: Organisation | None = None
    rules: dict[str, Rule] = field(default_factory=dict)
    approved: dict[tuple[str, str], int] = field(default_factory=dict)
    _piles: dict[str, Pile] = field(default_factory=dict)

    def add(self, match: Match) -> bool:
        """Count one match in; False if it is approved and so must not count elsewhere either. A
        closing match ends a state and is no finding of its own, nor is one of a rule that only
        serves correlations."""
        rule, record = match.rule, match.record
        if self._is_approved(rule, record) or self._is_at_site(match):
            # That something has ended holds all the same.
            return match.closes
        if rule.silent and not rule.meta.context_only:
            return True
        identity, rank = match.identity, _rank(record)
        key = finding_id(rule.id, record.host, identity)
        pile = self._piles.get(key)
        if pile is None:
            self.rules[rule.id] = rule
            pile = self._piles[key] = Pile(rule.id, (rank, record.host, identity))
        elif rank < pile.front[0]:
            pile.front = (rank, record.host, identity)
        if match.closes:
            _close(pile, record)
        else:
            _count(pile, match, rank)
        return True

    def take(self) -> dict[str, Pile]:
        """What came in since the last call, by finding id; it can be pickled and merged."""
        taken, self._piles = self._piles, {}
        for pile in taken.values():
            _settle(pile)
        return taken

    def merge(self, piles: Mapping[str, Pile], lines: int = 0) -> None:
        """Take in what another folder gave; `lines` stand before its part of the file."""
        for key, pile in piles.items():
            _settle(pile)
            if lines:
                pile.kept = [_moved(kept, lines) for kept in pile.kept]
            mine = self._piles.get(key)
            if mine is None:
                self._piles[key] = pile
            else:
                _merge(mine, pile)

    def findings(self, others: Iterable[tuple[Finding, bool]] = ()) -> tuple[Finding, ...]:
        """All findings, highest level first; context-only rules lift others and are not shown.

        `others` are findings from elsewhere, each with whether its rule is context only.
        """
        found = [*self._found(), *others]
        context: dict[str, list[Finding]] = {}
        for finding in (finding for finding, only in found if only):
            for host, _ in finding.all_hosts:
                context.setdefault(host, []).append(finding)
        return tuple(
            sorted((_lifted(finding, context) for finding, only in found if not only), key=_order)
        )

    def context(self) -> tuple[Finding, ...]:
        """The findings of context-only rules, which are never shown by themselves."""
        return tuple(sorted((finding for finding, only in self._found() if only), key=_order))

    def _found(self) -> Iterator[tuple[Finding, bool]]:
        for key, pile in self._piles.items():
            if pile.count:
                _settle(pile)
                rule = self.rules[pile.rule]
                yield _finding(key, pile, rule), rule.meta.context_only

    def _is_approved(self, rule: Rule, record: Record) -> bool:
        if self.organisation is None:
            return False
        names = {record.host, record.decorations.get("hostname", record.host)}
        approval = self.organisation.approval(rule.meta.subject, rule.id, names, record.at)
        if approval is None:
            return False
        return self._note(rule, approval.owner)

    def _is_at_site(self, match: Match) -> bool:
        """Whether a rule that tells where a host is tells of a site of the organisation's own."""
        place = match.rule.meta.place
        if not place or self.organisation is None or not self.organisation.sites:
            return False
        for value in View(match.record, match.fields).values(place):
            site = self.organisation.site(as_text(value))
            if site is not None:
                return self._note(match.rule, site.owner)
        return False

    def _note(self, rule: Rule, owner: str) -> bool:
        key = (rule.meta.subject or rule.id, owner)
        self.approved[key] = self.approved.get(key, 0) + 1
        return True


def finding_id(rule: str, host: str, identity: tuple[tuple[str, Value], ...]) -> str:
    """16 hexadecimal digits of SHA-256 over rule id, entity and identity values, case aside."""
    parts = [rule, fold(host)]
    for name, value in identity:
        values = value if isinstance(value, tuple) else (value,)
        parts += [name, *(fold(as_text(item)) for item in values)]
    return hashlib.sha256("\x1f".join(parts).encode(errors="replace")).hexdigest()[:16]


def _rank(record: Record) -> Rank:
    at, where = record.at, record.locator
    return Rank(inf if at is None else at, where.file, where.offset, where.row)


def _count(pile: Pile, match: Match, rank: Rank) -> None:
    record = match.record
    pile.count += 1
    if record.at is not None:
        pile.first, pile.last = min(pile.first, record.at), max(pile.last, record.at)
    if record.user:
        pile.users.add(record.user)
    if name := record.decorations.get("hostname"):
        pile.names.add(name)
    pile.missing.update(match.fields.missing_filters)
    entry = _Order((rank, match))
    if len(pile.heap) < EVIDENCE_CAP:
        heapq.heappush(pile.heap, entry)
    elif pile.heap[0] < entry:
        heapq.heapreplace(pile.heap, entry)


def _settle(pile: Pile) -> None:
    """Turn the matches of a pile into evidence, in order."""
    if pile.heap:
        fresh = [Kept(rank, _evidence(match), _state(match.record)) for rank, match in pile.heap]
        pile.kept = _earliest([*pile.kept, *fresh])
        pile.heap = []


def _earliest(kept: list[Kept]) -> list[Kept]:
    return sorted(kept, key=lambda one: one.rank)[:EVIDENCE_CAP]


def _moved(kept: Kept, lines: int) -> Kept:
    where = kept.evidence.where
    moved = where._replace(line=where.line + lines)
    return kept._replace(evidence=replace(kept.evidence, where=moved))


def _merge(mine: Pile, other: Pile) -> None:
    _settle(mine)
    mine.front = min(mine.front, other.front, key=lambda front: front[0])
    mine.names |= other.names
    mine.users |= other.users
    mine.missing |= other.missing
    mine.first, mine.last = min(mine.first, other.first), max(mine.last, other.last)
    mine.count += other.count
    mine.kept = _earliest([*mine.kept, *other.kept])
    mine.closes = sorted([*mine.closes, *other.closes])[:CLOSES_CAP]
    mine.last_close = max(mine.last_close, other.last_close)


def _row_key(record: Record) -> str:
    """A row told from others of its query on its host: what a removed row shares with its added."""
    return repr((record.query, sorted(record.values.items())))


def _state(record: Record) -> str:
    return _row_key(record) if record.action == "added" and record.at is not None else ""


def _close(pile: Pile, record: Record) -> None:
    """Remember when a state ended: the earliest few, since the earliest matches are shown."""
    if record.at is None:
        return
    pile.last_close = max(pile.last_close, record.at)
    insort(pile.closes, (record.at, _row_key(record)))
    del pile.closes[CLOSES_CAP:]


def _ended(pile: Pile, kept: Kept) -> Evidence:
    """The evidence with the end of its state, where one was seen."""
    at = kept.evidence.at
    if not kept.row or at is None:
        return kept.evidence
    until = next((end for end, row in pile.closes if row == kept.row and end >= at), None)
    return kept.evidence if until is None else replace(kept.evidence, until=until)


def _finding(key: str, pile: Pile, rule: Rule) -> Finding:
    _, host, identity = pile.front
    last = max(pile.last, pile.last_close) if pile.last_close >= pile.first else pile.last
    return Finding(
        id=key,
        rule=rule.id,
        title=rule.title,
        description=rule.description,
        rule_level=rule.level,
        level=rule.level,
        status=rule.status,
        host=host,
        host_name=min(pile.names, default=host),
        users=tuple(sorted(pile.users)),
        identity=identity,
        first_seen=None if pile.first == inf else pile.first,
        last_seen=None if last == -inf else last,
        count=pile.count,
        evidence=tuple(_ended(pile, kept) for kept in pile.kept),
        techniques=tuple(techniques_of(rule.techniques)),
        raised_by=(),
        missing_filters=tuple(sorted(pile.missing)),
        false_positives=rule.false_positives,
        next_steps=rule.meta.next_steps,
        references=rule.references,
    )


def _evidence(match: Match) -> Evidence:
    record = match.record
    return Evidence(
        where=record.locator,
        query=record.query,
        at=record.at,
        until=None,
        basis=basis_of(record),
        reasons=match.evidence,
        values=tuple(sorted(record.values.items())),
        host=record.host,
        rule=match.rule.id,
    )


def basis_of(record: Record) -> str:
    """What a record says: something happened, appeared, or was there already.

    The first full result of a state query (counter 0) and snapshots say only "present".
    """
    shape = record.binding.shape
    schema = tables()
    evented = shape is not None and any(
        use.table in schema and schema[use.table].evented for use in shape.tables
    )
    if record.event_at is not None or evented or record.action == "event":
        return "event"
    if record.action == "removed":
        return "gone"
    return "present" if record.action == "snapshot" or record.counter == 0 else "new"


def techniques_of(ids: Iterable[str]) -> Iterable[Technique]:
    """The ATT&CK techniques with these ids; one that is not known goes by its id."""
    known = techniques()
    for technique in ids:
        entry = known.get(technique, {})
        yield Technique(technique, entry.get("name", technique), tuple(entry.get("tactics", ())))


def _lifted(finding: Finding, context: Mapping[str, Sequence[Finding]]) -> Finding:
    """One level up, never past high, if context, by host, lies within seven days. What is
    informational is a fact of an inventory: context beside it makes no observation of it."""
    if finding.level is Level.INFORMATIONAL:
        return finding
    beside = {other.id: other for host, _ in finding.all_hosts for other in context.get(host, ())}
    near = [other for other in beside.values() if _near(finding, other)]
    if not near:
        return finding
    level = Level(finding.level + 1) if finding.level < Level.HIGH else finding.level
    raises = tuple(
        Raise(other.rule, other.title, other.count, other.evidence[0].where)
        for other in sorted(near, key=_order)
    )
    return replace(finding, level=level, raised_by=raises)


def _near(one: Finding, other: Finding) -> bool:
    if one.first_seen is None or other.first_seen is None:
        return False
    assert one.last_seen is not None and other.last_seen is not None
    return (
        other.first_seen - RAISE_WINDOW <= one.last_seen
        and one.first_seen <= other.last_seen + RAISE_WINDOW
    )


def _order(finding: Finding) -> tuple[object, ...]:
    first = inf if finding.first_seen is None else finding.first_seen
    return (-finding.level, first, finding.host, finding.rule, finding.id)
