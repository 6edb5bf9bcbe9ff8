"""Correlations while following: events are kept, and groups in which something is new are evaluated
again, by the same code as in a hunt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf

from molehunt.correlation import Correlation
from molehunt.rule import RuleSet

from ..correlating.collector import Collected
from ..correlating.correlator import Correlator
from ..correlating.events import POINT, Event, uses_of
from ..findings.correlated import correlated_findings
from ..findings.fold import finding_id
from ..findings.model import Finding
from ..values import fold
from .findings import CORRELATED, Findings
from .state import State, from_text, to_text

_GROUPS_AT_ONCE = 500


class Groups:
    """Events by group. Correlations that refer to one another are a family, evaluated as a whole;
    of others only groups with news are."""

    def __init__(self, state: State, ruleset: RuleSet, findings: Findings, lateness: float) -> None:
        self._state = state
        self._findings = findings
        self._lateness = lateness
        self._correlations = ruleset.correlations
        self._uses = uses_of(ruleset.correlations)
        wanted = {rule for one in ruleset.correlations for rule in one.rules}
        self._rules = RuleSet(
            tuple(rule for rule in ruleset.rules if rule.id in wanted), ruleset.correlations
        )
        self._families = _families(ruleset.correlations)
        self._span = max((one.timespan for one in ruleset.correlations), default=0)
        self._horizon = state.get("horizon", -inf)
        self._floor = state.get("floor", -inf)
        self._waits = any(term.lacks for one in ruleset.correlations for term in one.terms)

    @property
    def horizon(self) -> float:
        """The latest time seen."""
        return float(self._horizon)

    def add(self, collected: Collected) -> int:
        """Take events in; gives how many of them were too late to count on."""
        late = 0
        for event in collected.events:
            late += event.at < self._floor
            self._add(event)
        if collected.latest > self._horizon:
            if self._waits:
                self._wake(self._horizon, collected.latest)
            self._horizon = collected.latest
            self._state.put("horizon", collected.latest)
        return late

    def _add(self, event: Event) -> None:
        run = self._state.db.execute
        fields = self._fields_number(to_text(event.fields))
        text = to_text(event._replace(fields=None))  # type: ignore[arg-type]
        number = run(
            "INSERT INTO event (rule, key, at, fields, data) VALUES (?,?,?,?,?)",
            (event.rule, event.key, event.at, fields, text),
        ).lastrowid
        for correlation, key in {self._group(entry.use, entry.group) for entry in event.entries}:
            run(
                "INSERT INTO grp (correlation, key, dirty) VALUES (?,?,1)"
                " ON CONFLICT (correlation, key) DO UPDATE SET dirty = 1",
                (correlation, key),
            )
            run(
                "INSERT OR IGNORE INTO event_grp SELECT id, ? FROM grp"
                " WHERE correlation = ? AND key = ?",
                (number, correlation, key),
            )
        if event.kind != POINT:
            run(
                "UPDATE grp SET dirty = 1 WHERE id IN (SELECT grp FROM event_grp JOIN event"
                " ON event.id = event WHERE rule = ? AND event.key = ?)",
                (event.rule, event.key),
            )

    def _fields_number(self, text: str) -> int:
        run = self._state.db.execute
        run("INSERT OR IGNORE INTO fields (data) VALUES (?)", (text,))
        return int(run("SELECT id FROM fields WHERE data = ?", (text,)).fetchone()[0])

    def _group(self, use: int, group: tuple[str, ...]) -> tuple[int, str]:
        return self._uses[use].correlation, json.dumps(list(map(fold, group)))

    def _wake(self, before: float, now: float) -> None:
        """Absences that can be told since the logs go on."""
        for number, one in enumerate(self._correlations):
            if any(term.lacks for term in one.terms):
                self._state.db.execute(
                    "UPDATE grp SET dirty = 1 WHERE correlation = ? AND id IN (SELECT grp FROM"
                    " event_grp JOIN event ON event.id = event WHERE at > ? AND at <= ?)",
                    (number, before - one.timespan, now - one.timespan),
                )

    def evaluate(self) -> bool:
        """Bring the findings of all groups with news up to date; whether there were any."""
        run, news = self._state.db.execute, False
        for family in self._families:
            marks = ",".join("?" * len(family))
            where = f"correlation IN ({marks}) AND dirty"
            groups = run(
                f"SELECT id, correlation, key FROM grp WHERE {where}",  # noqa: S608
                family,
            ).fetchall()
            if not groups:
                continue
            news = True
            if len(family) > 1:
                query = f"SELECT id, correlation, key FROM grp WHERE correlation IN ({marks})"  # noqa: S608
                self._evaluate(run(query, family).fetchall(), family)
            else:
                for start in range(0, len(groups), _GROUPS_AT_ONCE):
                    self._evaluate(groups[start : start + _GROUPS_AT_ONCE], family)
            run(f"UPDATE grp SET dirty = 0 WHERE {where}", family)  # noqa: S608
        return news

    def _evaluate(self, groups: Sequence[tuple[int, int, str]], family: Sequence[int]) -> None:
        found: dict[str, Finding] = {}
        for finding, only in self._found(groups):
            found[finding.id] = finding
            earlier = self._settled(finding.id)
            self._findings.put(finding if earlier is None else _joined(earlier, finding), only)
        ids = [self._id(correlation, key) for _, correlation, key in groups]
        if len(family) > 1:
            ids += [
                key
                for number in family
                for (key,) in self._state.db.execute(
                    "SELECT id FROM finding WHERE kind = ? AND instr(data, ?)",
                    (CORRELATED, json.dumps(self._correlations[number].id)),
                )
            ]
        for key in ids:
            if key not in found:
                earlier = self._settled(key)
                if earlier is None:
                    self._findings.drop(key)

    def _settled(self, key: str) -> Finding | None:
        row = self._state.db.execute("SELECT data FROM settled WHERE id = ?", (key,)).fetchone()
        return None if row is None else from_text(row[0])

    def _id(self, correlation: int, key: str) -> str:
        one = self._correlations[correlation]
        return finding_id(one.id, "", tuple(zip(one.group_by, json.loads(key), strict=True)))

    def _found(self, groups: Sequence[tuple[int, int, str]]) -> list[tuple[Finding, bool]]:
        wanted = {(correlation, key) for _, correlation, key in groups}
        with Correlator(self._rules) as correlator:
            correlator.merge(Collected([], self._horizon, 0))
            correlator.extend(
                event._replace(
                    entries=tuple(e for e in event.entries if self._group(e.use, e.group) in wanted)
                )
                for event in self._events([number for number, _, _ in groups])
            )
            found = list(correlated_findings(correlator))
            for problem in correlator.problems():
                raise OSError(str(problem))
        return found

    def _events(self, groups: Sequence[int]) -> Iterable[Event]:
        """The events of groups, and all that is known of the same states."""
        run = self._state.db.execute
        run("CREATE TEMP TABLE IF NOT EXISTS asked (grp INTEGER PRIMARY KEY)")
        run("DELETE FROM asked")
        self._state.db.executemany("INSERT INTO asked VALUES (?)", [(g,) for g in groups])
        own = "SELECT DISTINCT event FROM event_grp JOIN asked USING (grp)"
        rows = run(
            f"SELECT event.data, fields.data FROM event JOIN fields ON fields.id = fields"  # noqa: S608
            f" WHERE event.id IN ({own}) UNION SELECT event.data, fields.data FROM event"
            f" JOIN fields ON fields.id = fields JOIN (SELECT DISTINCT rule, key FROM event"
            f" WHERE id IN ({own}) AND key <> '') AS known USING (rule, key)"
        )
        maps: dict[str, object] = {}
        for data, fields in rows:
            if fields not in maps:
                maps[fields] = from_text(fields)
            yield from_text(data)._replace(fields=maps[fields])

    def settle(self, now: float) -> None:
        """Forget groups in which everything ended longer ago than their timespan and the lateness;
        what they amount to stays, and counts on if the group comes again.

        Families are kept: what a hit of a hit was made of may be asked for again.
        """
        floor = min(self._horizon, now) - self._lateness
        if floor - self._floor < max(60.0, self._lateness / 16):
            return
        self._floor = floor
        self._state.put("floor", floor)
        run = self._state.db.execute
        for family in self._families:
            if len(family) > 1:
                continue
            one = self._correlations[family[0]]
            old = run(
                "SELECT grp.id, correlation, grp.key FROM grp JOIN event_grp ON grp = grp.id"
                " JOIN event ON event.id = event WHERE correlation = ? AND NOT dirty"
                " GROUP BY grp.id HAVING max(at) < ? AND max(event.key) = ''",
                (family[0], floor - one.timespan * 2),
            ).fetchall()
            for number, correlation, key in old:
                self._settle(number, self._id(correlation, key))
        run("DELETE FROM event WHERE key = '' AND id NOT IN (SELECT event FROM event_grp)")

    def _settle(self, number: int, key: str) -> None:
        run = self._state.db.execute
        row = run("SELECT data FROM finding WHERE id = ?", (key,)).fetchone()
        if row is not None:
            run("INSERT OR REPLACE INTO settled VALUES (?,?)", (key, row[0]))
        run("DELETE FROM event_grp WHERE grp = ?", (number,))
        run("DELETE FROM grp WHERE id = ?", (number,))


def _families(correlations: Sequence[Correlation]) -> list[tuple[int, ...]]:
    """Numbers of correlations that refer to one another, directly or not."""
    by_id = {one.id: number for number, one in enumerate(correlations)}
    family = {number: {number} for number in range(len(correlations))}
    for number, one in enumerate(correlations):
        for reference in one.rules:
            if reference in by_id:
                joined = family[number] | family[by_id[reference]]
                for member in joined:
                    family[member] = joined
    return sorted({tuple(sorted(members)) for members in family.values()})


def _joined(earlier: Finding, later: Finding) -> Finding:
    """What is forgotten and what is new of one group, which share no window."""
    assert earlier.first_seen is not None and later.first_seen is not None
    assert earlier.last_seen is not None and later.last_seen is not None
    hosts = tuple(sorted(dict((*later.all_hosts, *earlier.all_hosts)).items()))
    cap = max(len(earlier.evidence), len(later.evidence))
    return replace(
        later,
        host=hosts[0][0],
        host_name=hosts[0][1],
        hosts=hosts,
        users=tuple(sorted({*earlier.users, *later.users})),
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        count=earlier.count + later.count,
        evidence=(*earlier.evidence, *later.evidence)[:cap],
        missing_filters=tuple(sorted({*earlier.missing_filters, *later.missing_filters})),
    )
