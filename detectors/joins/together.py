"""Which hosts stood together, who went too fast: facts in any order, findings when all are in.

Facts lie in a SQLite database without a name, which spills to a private temporary file. In memory
are the hosts, their network cards and the links between them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import itemgetter

from molehunt.joins import NEAR, OWN, ROUTER, STOP, Join, Travel
from molehunt.levels import Level
from molehunt.problems import Problem

from ..findings.fold import finding_id, techniques_of
from ..findings.model import Evidence, Finding
from ..findings.organisation import Organisation, hardware_address
from ..records import Reason, Value
from ..values import fold
from .facts import Fact, fact_of
from .links import DAY, SITE, Link, groups, moving, spans
from .staying import Away, away_from, rather_an_office
from .travel import Journey, stops_of, told, too_fast

EVIDENCE_CAP = 6
# From so many accounts on an address that a log places is an office's or a company VPN's.
SHARED = 3
_TABLE = """
CREATE TABLE fact (join_ INT, what TEXT, host TEXT, mark TEXT, row_ TEXT, at REAL, rank INT,
    detail TEXT);
"""
# Of one time: what ends before what begins.
_RANKS = ("removed", "added", "snapshot", "event")


class Together:
    """Takes facts in any order; `findings()` gives what they amount to, once."""

    def __init__(
        self,
        joins: Sequence[Join],
        organisation: Organisation | None = None,
        cap: int = EVIDENCE_CAP,
    ) -> None:
        self._joins = joins
        self._cap = cap
        self._organisation = organisation
        self._db: sqlite3.Connection | None = None
        self._failure: sqlite3.Error | None = None
        self._horizon = -inf
        self._names: dict[str, set[str]] = defaultdict(set)
        self._spelled: dict[str, str] = {}
        self.approved: dict[tuple[str, str], int] = {}

    def extend(self, facts: Iterable[Fact]) -> None:
        """Take facts in."""
        if self._failure is not None:
            return
        try:
            for fact in facts:
                self._add(fact)
        except sqlite3.Error as error:
            self._failure = error

    def _add(self, fact: Fact) -> None:
        if self._db is None:
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.executescript(_TABLE)
            self._db.execute("BEGIN")
        host = fold(fact.host)
        self._spelled[host] = min(self._spelled.get(host, fact.host), fact.host)
        if fact.host_name:
            self._names[host].add(fact.host_name)
        self._horizon = max(self._horizon, fact.at)
        rank = _RANKS.index(fact.action) if fact.action in _RANKS else _RANKS.index("event")
        self._db.execute(
            "INSERT INTO fact VALUES (?,?,?,?,?,?,?,?)",
            (fact.join, fact.what, host, fact.mark, fact.row, fact.at, rank, json.dumps(fact)),
        )

    def problems(self) -> Iterator[Problem]:
        """What was left out, once the findings were read."""
        if self._failure is not None:
            hint = "name a directory with room in TMPDIR"
            yield Problem(f"joins are not complete: {self._failure}", hint=hint)

    def findings(self) -> list[tuple[Finding, bool]]:
        """The findings of all joins, each with False: none is only context."""
        if self._db is None or self._failure is not None:
            return []
        try:
            found = [
                finding
                for number in range(len(self._joins))
                for finding in self._found(number, self._db)
            ]
        except sqlite3.Error as error:
            self._failure = error
            return []
        finally:
            self._db.close()
            self._db = None
        return [(finding, False) for finding in found]

    def _found(self, number: int, db: sqlite3.Connection) -> Iterator[Finding]:
        one = self._joins[number]
        if one.travel is not None:
            yield from self._travelled(number, one.travel, db)
            return
        seen: dict[str, list[Link]] = defaultdict(list)
        links = [link for link in self._links(number, db, seen) if len(link.days) >= one.days]
        for hosts, inside in groups(links):
            away = away_from(hosts, inside, seen) if one.asks_who_stays else {}
            finding = self._finding(one, hosts, inside, away, db)
            if finding is not None:
                yield finding

    def _links(
        self, number: int, db: sqlite3.Connection, seen: dict[str, list[Link]]
    ) -> Iterator[Link]:
        """What ties hosts together; a router only where another host was on the same days. All
        routers of a host go to `seen`."""
        away: dict[str, set[int]] = defaultdict(set)
        routers: dict[str, list[Link]] = defaultdict(list)
        for host, mark, days, fact in self._seen(number, ROUTER, db):
            kind = SITE if self._is_site(mark) else ROUTER
            link = Link(kind, host, mark, frozenset(days), fact)
            seen[host].append(link)
            if kind == SITE:
                away[host] |= days
            else:
                routers[mark].append(link)
        owners: dict[str, set[str]] = defaultdict(set)
        query = "SELECT DISTINCT mark, host FROM fact WHERE join_ = ? AND what = ?"
        for mark, host in db.execute(query, (number, OWN)):
            owners[mark].add(host)
        for host, mark, days, fact in self._seen(number, NEAR, db):
            # A card of two hosts is a docking station's, or cloned: it names nobody.
            if len(owners.get(mark, ())) == 1 and host not in owners[mark]:
                (other,) = owners[mark]
                yield Link(NEAR, host, other, frozenset(days - away[host] - away[other]), fact)
        for host, days in moving(routers).items():
            away[host] |= days
        for links in routers.values():
            on_day: dict[int, int] = defaultdict(int)
            for link in links:
                for day in link.days - away[link.host]:
                    on_day[day] += 1
            for link in links:
                days = {day for day in link.days - away[link.host] if on_day[day] > 1}
                yield link._replace(days=frozenset(days))

    def _seen(
        self, number: int, what: str, db: sqlite3.Connection
    ) -> Iterator[tuple[str, str, set[int], int]]:
        """Host, mark, the days (since 1970 UTC) on which it was there, and the first row."""
        rows = db.execute(
            "SELECT host, mark, row_, at, rank, rowid, detail FROM fact WHERE join_ = ? AND"
            " what = ? ORDER BY host, mark, row_, at, rank, detail",
            (number, what),
        )
        for (host, mark), same in groupby(rows, key=itemgetter(0, 1)):
            days: set[int] = set()
            first: tuple[float, str, int] | None = None
            for _, sightings in groupby(same, key=itemgetter(2)):
                listed = [row[3:] for row in sightings]
                for start, end in spans([(at, _RANKS[rank]) for at, rank, _, _ in listed]):
                    last = min(end, self._horizon)
                    days.update(range(int(start // DAY), int(last // DAY) + 1))
                begun = [(at, detail, i) for at, rank, i, detail in listed if rank]
                first = min([*begun, *([first] if first else [])], default=None)
            if first is not None:
                yield host, mark, days, first[2]

    def _finding(
        self,
        one: Join,
        hosts: Sequence[str],
        links: Sequence[Link],
        away: Mapping[str, Away],
        db: sqlite3.Connection,
    ) -> Finding | None:
        days = sorted({day for link in links for day in link.days})
        first, last = days[0] * DAY, min((days[-1] + 1) * DAY, self._horizon)
        named = self._named(hosts)
        if self._is_approved(one, named, first, last):
            return None
        facts = [self._fact(link.fact, db) for link in links]
        facts.sort(key=lambda fact: (fact.at, fact.where, fact.rule))
        identity = (("first host", named[0][0]),)
        evidence = [_evidence(fact) for fact in _chosen(facts, self._cap - bool(away))]
        level = one.level(len(hosts))
        routers = (fact for fact in facts if fact.what == ROUTER)
        if one.asks_who_stays and rather_an_office(routers, one.homes):
            level = min(level, one.level(0))
        if away:
            level = min(level, one.level(len(hosts) - len(away)))
            left = away[min(away)]
            days_away = f"another place, on {len(left.days)} days"
            evidence.append(_evidence(self._fact(left.fact, db), days_away))
        span = (max(first, facts[0].at), last)
        return _made(one, level, named, identity, span, len(days), tuple(evidence))

    def _travelled(self, number: int, limits: Travel, db: sqlite3.Connection) -> Iterator[Finding]:
        """One finding for each account that went too fast, away from the organisation's sites."""
        rows = db.execute(
            "SELECT host, mark, rowid, detail FROM fact WHERE join_ = ? AND what = ?"
            " ORDER BY host, at, detail",
            (number, STOP),
        )
        shared = _shared(number, db)
        for account, same in groupby(rows, key=itemgetter(0)):
            away = (row[2:] for row in same if not self._is_site(row[1]))
            stops = (one for one in stops_of(away) if not (one.by and one.address in shared))
            journeys = list(too_fast(stops, limits))
            if not journeys:
                continue
            one, named = self._joins[number], self._named([account])
            span = (journeys[0].start.at, journeys[-1].end.at)
            if self._is_approved(one, named, *span):
                continue
            evidence = tuple(self._ends(journeys, db))[: self._cap]
            many = len(journeys)
            identity = (("account", named[0][0]),)
            yield _made(one, one.level(many), named, identity, span, many, evidence)

    def _is_site(self, mark: str) -> bool:
        return self._organisation is not None and self._organisation.site(mark) is not None

    def _ends(self, journeys: Sequence[Journey], db: sqlite3.Connection) -> Iterator[Evidence]:
        """Both ends of each journey, each record once."""
        wanted: dict[int, str] = {}
        for journey in journeys:
            wanted.setdefault(journey.start.number, "where a journey begins")
            wanted[journey.end.number] = told(journey)
        for number, why in wanted.items():
            yield _evidence(self._fact(number, db), why)

    def _named(self, hosts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple(
            sorted((self._spelled[h], min(self._names[h], default=self._spelled[h])) for h in hosts)
        )

    def _is_approved(
        self, one: Join, hosts: Sequence[tuple[str, str]], first: float, last: float
    ) -> bool:
        """Whether every host is approved from the first day to the last."""
        if self._organisation is None:
            return False
        owner = ""
        for names in hosts:
            for at in (first, last):
                approval = self._organisation.approval(one.subject, one.id, names, at)
                if approval is None:
                    return False
                owner = owner or approval.owner
        self.approved[(one.subject, owner)] = self.approved.get((one.subject, owner), 0) + 1
        return True

    def _fact(self, number: int, db: sqlite3.Connection) -> Fact:
        (detail,) = db.execute("SELECT detail FROM fact WHERE rowid = ?", (number,)).fetchone()
        return fact_of(detail)


def _shared(number: int, db: sqlite3.Connection) -> frozenset[str]:
    """Addresses of so many accounts that they are a company's exit rather than anybody's place."""
    rows = db.execute(
        "SELECT mark FROM fact WHERE join_ = ? AND what = ? GROUP BY mark"
        " HAVING COUNT(DISTINCT host) >= ?",
        (number, STOP, SHARED),
    )
    return frozenset(mark for (mark,) in rows)


def _chosen(facts: Sequence[Fact], cap: int) -> list[Fact]:
    """The earliest of each host, then the earliest."""
    each: dict[str, Fact] = {}
    for fact in facts:
        each.setdefault(fold(fact.host), fact)
    ordered = dict.fromkeys([*each.values(), *facts])
    return sorted(list(ordered)[:cap], key=lambda fact: (fact.at, fact.where, fact.rule))


def _made(
    one: Join,
    level: Level,
    named: tuple[tuple[str, str], ...],
    identity: tuple[tuple[str, Value], ...],
    span: tuple[float, float],
    count: int,
    evidence: tuple[Evidence, ...],
) -> Finding:
    return Finding(
        id=finding_id(one.id, "", identity),
        rule=one.id,
        title=one.title,
        description=one.description,
        rule_level=level,
        level=level,
        status=one.status,
        host=named[0][0],
        host_name=named[0][1],
        users=(),
        identity=identity,
        first_seen=span[0],
        last_seen=span[1],
        count=count,
        evidence=evidence,
        techniques=tuple(techniques_of(one.techniques)),
        raised_by=(),
        missing_filters=(),
        false_positives=one.false_positives,
        next_steps=one.next_steps,
        references=one.references,
        hosts=named,
    )


def _evidence(fact: Fact, wanted: str = "") -> Evidence:
    if not wanted:
        shared = "the same router as another host"
        if not hardware_address(fact.mark):
            shared = "the same network address as another account"
        wanted = shared if fact.what == ROUTER else "another host's card"
    value = dict(fact.values).get(fact.column)
    return Evidence(
        where=fact.where,
        query=fact.query,
        at=fact.at,
        until=None,
        basis=fact.basis,
        reasons=(Reason(fact.column, fact.column, value, wanted),),
        values=fact.values,
        host=fact.host,
        rule=fact.rule,
    )
