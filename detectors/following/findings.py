"""Piles and correlated findings in the state, and what of them changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from molehunt.rule import Rule, RuleSet

from ..findings.fold import Folder, Pile
from ..findings.model import Finding
from .state import State, from_text, pile_of, pile_text, to_text

PILE, CORRELATED = "pile", "correlated"
_MANY = 500


class Findings:
    """All findings so far, on disk."""

    def __init__(self, state: State, ruleset: RuleSet) -> None:
        self._state = state
        self._rules: dict[str, Rule] = {rule.id: rule for rule in ruleset.rules}

    def merge(self, piles: Mapping[str, Pile]) -> None:
        """Take in what a folder gave."""
        folder = Folder(None, self._rules)
        folder.merge(
            {key: pile_of(text) for key, kind, _, text in self._rows(piles) if kind == PILE}
        )
        folder.merge(piles)
        for key, pile in folder.take().items():
            context = self._rules[pile.rule].meta.context_only
            self._put(key, PILE, context, pile_text(pile), [pile.front[1]])

    def put(self, finding: Finding, context: bool) -> None:
        """A finding of a correlation, as it is now."""
        hosts = [host for host, _ in finding.all_hosts]
        self._put(finding.id, CORRELATED, context, to_text(finding), hosts)

    def drop(self, key: str) -> None:
        """A finding of a correlation that no longer holds."""
        self._soil(key)
        self._state.db.execute("DELETE FROM finding WHERE id = ?", (key,))
        self._state.db.execute("DELETE FROM finding_host WHERE finding = ?", (key,))

    def dirty(self) -> list[str]:
        """Ids of findings that changed since they were told."""
        return [key for (key,) in self._state.db.execute("SELECT id FROM dirty ORDER BY rowid")]

    def clean(self, keys: Collection[str]) -> None:
        """These are told."""
        self._state.db.executemany("DELETE FROM dirty WHERE id = ?", [(key,) for key in keys])

    def current(self, keys: Collection[str]) -> dict[str, Finding]:
        """Those of these ids that are findings, with their levels raised by what is near."""
        rows = list(self._rows(keys))
        context = list(self._rows(self._context_near([key for key, *_ in rows])))
        piles, others = {}, []
        for key, kind, only, text in {row[0]: row for row in (*rows, *context)}.values():
            if kind == PILE:
                piles[key] = pile_of(text)
            else:
                others.append((from_text(text), bool(only)))
        folder = Folder(None, self._rules)
        folder.merge(piles)
        return {finding.id: finding for finding in folder.findings(others)}

    def _put(self, key: str, kind: str, context: bool, text: str, hosts: list[str]) -> None:
        run = self._state.db.execute
        run("INSERT OR REPLACE INTO finding VALUES (?,?,?,?)", (key, kind, context, text))
        for host in hosts:
            run("INSERT OR IGNORE INTO finding_host VALUES (?,?)", (_plain(host), key))
        self._soil(key)

    def _soil(self, key: str) -> None:
        """It changed; if it is context, so may have what is on its hosts."""
        run = self._state.db.execute
        row = run("SELECT context FROM finding WHERE id = ?", (key,)).fetchone()
        if row is None:
            return
        run("INSERT OR IGNORE INTO dirty VALUES (?)", (key,))
        if row[0]:
            run(
                "INSERT OR IGNORE INTO dirty SELECT other.finding FROM finding_host AS mine"
                " JOIN finding_host AS other USING (host) JOIN finding ON id = other.finding"
                " WHERE mine.finding = ? AND NOT context",
                (key,),
            )

    def _context_near(self, keys: list[str]) -> list[str]:
        found: dict[str, None] = {}
        for some in _batches(keys):
            marks = ",".join("?" * len(some))
            query = (
                "SELECT DISTINCT other.finding FROM finding_host AS mine"  # noqa: S608
                " JOIN finding_host AS other USING (host) JOIN finding ON id = other.finding"
                f" WHERE mine.finding IN ({marks}) AND context"
            )
            found.update((key, None) for (key,) in self._state.db.execute(query, some))
        return list(found)

    def _rows(self, keys: Collection[str]) -> Iterator[tuple[str, str, int, str]]:
        for some in _batches(list(keys)):
            marks = ",".join("?" * len(some))
            query = f"SELECT id, kind, context, data FROM finding WHERE id IN ({marks})"  # noqa: S608
            yield from self._state.db.execute(query, some).fetchall()


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _MANY):
        yield keys[start : start + _MANY]


def _plain(text: str) -> str:
    return text.encode(errors="replace").decode()
