"""Joins while following: what they want to know is kept on disk and evaluated as in a hunt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from molehunt.joins import STOP, Join

from ..findings.model import Finding
from ..findings.organisation import Organisation
from ..joins.facts import Fact, fact_of
from ..joins.together import Together
from .findings import Findings
from .state import State, from_text, to_text

DAY = 86400.0
# Joins ask for days: they are evaluated so many seconds apart at least, and use this part of time.
PERIOD = 60.0
SHARE = 0.05
# What begins or ends a row; all else says that it is there.
_TURNS = ("added", "removed")


class Stood:
    """Facts in the state, and the findings that they amount to.

    Of sightings of one row, what it told on one day is kept by the first and the last: those in
    between add neither a day nor an earlier record (docs/joins.md).
    """

    def __init__(
        self,
        state: State,
        joins: Sequence[Join],
        organisation: Organisation | None,
        findings: Findings,
    ) -> None:
        self._state, self._joins = state, tuple(joins)
        self._organisation, self._findings = organisation, findings
        self._evaluate_at = 0.0

    def add(self, facts: Iterable[Fact]) -> None:
        """Take facts in."""
        for fact in facts:
            self._add(fact)
            self._state.put("stood_stale", 1)

    def _add(self, fact: Fact) -> None:
        run, text = self._state.db.execute, json.dumps(fact)
        key, day = _key(fact), int(fact.at // DAY)
        insert = "INSERT INTO fact (key, day, at, data) VALUES (?,?,?,?)"
        if fact.action in _TURNS or fact.what == STOP:
            run(insert, (key, None, fact.at, text))
            return
        run(insert, (key, day, fact.at, text))
        same = run("SELECT id FROM fact WHERE key = ? AND day = ? ORDER BY at, data", (key, day))
        between = same.fetchall()[1:-1]
        self._state.db.executemany("DELETE FROM fact WHERE id = ?", between)

    def evaluate(self, final: bool = False) -> None:
        """Bring the findings up to date, if there is news and it is time. That the last record is a
        later one is told on another day, or when following ends."""
        now = time.monotonic()
        if not self._state.get("stood_stale") or (not final and now < self._evaluate_at):
            return
        run, found = self._state.db.execute, self._found()
        for finding in found:
            row = run("SELECT data FROM finding WHERE id = ?", (finding.id,)).fetchone()
            earlier = None if row is None else from_text(row[0])
            if earlier is None or _news(earlier, finding, final):
                self._findings.put(finding, False)
        here = {finding.id for finding in found}
        for (key,) in run("SELECT id FROM stood").fetchall():
            if key not in here:
                self._findings.drop(key)
        run("DELETE FROM stood")
        self._state.db.executemany("INSERT INTO stood VALUES (?)", [(key,) for key in here])
        # What was left for another day is told in the end.
        self._state.put("stood_stale", int(not final))
        took = time.monotonic() - now
        self._evaluate_at = now + max(PERIOD, took / SHARE)

    def _found(self) -> list[Finding]:
        together = Together(self._joins, self._organisation)
        together.extend(self._facts())
        found = [finding for finding, _ in together.findings()]
        for problem in together.problems():
            raise OSError(str(problem))
        return found

    def _facts(self) -> Iterator[Fact]:
        for (text,) in self._state.db.execute("SELECT data FROM fact ORDER BY id"):
            yield fact_of(text)


def _key(fact: Fact) -> str:
    """The same for sightings of one row that tell one thing."""
    plain = fact._replace(at=0.0, values=(), where=None, basis="")  # type: ignore[arg-type]
    return sha256(json.dumps(plain).encode()).hexdigest()


def _news(earlier: Finding, finding: Finding, final: bool) -> bool:
    if final or earlier.last_seen is None or finding.last_seen is None:
        return to_text(earlier) != to_text(finding)
    same_day = int(earlier.last_seen // DAY) == int(finding.last_seen // DAY)
    seen = earlier.last_seen if same_day else finding.last_seen
    return to_text(earlier) != to_text(replace(finding, last_seen=seen))
