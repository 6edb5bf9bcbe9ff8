"""Which rules may match rows that were read already: those of exports, which no scan of raw lines
understands, and those that events tell.

Such rows are written as osqueryd would have written them and judged by the part in C, many at a
time. Without it, or where a row has more than texts, gates tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

import orjson

from ..reading.osquery import NAME as OSQUERY
from ..records import Row
from .judge import Judge
from .programs import Reader
from .route import EVERY_RULE, Told

# A row and the rules that may match it, as a mask.
Asked: TypeAlias = tuple[Row, int]
# The judge is fitted to the first rows, and takes in a shape that it has met so often since.
FIRST = 64
OFTEN = 64
MAX_KNOWN = 20_000
_EVENT = "event:"


class Queries(Protocol):
    """Knows which rules look at which rows."""

    def of_row(self, source: str, query: str, columns: tuple[str, ...], /) -> Told:
        """The rules for rows of a source with these columns, and their gates."""

    def of_rows(
        self, query: str, columns: tuple[str, ...], among: int, source: str, /
    ) -> list[Reader]:
        """Those of some rules (a mask) that read them, and how."""


class ReadRows:
    """Narrows down the rules of rows for which every rule is asked. `fit` fits the judge to rows,
    which were written as lines."""

    def __init__(
        self,
        queries: Queries,
        judges: bool,
        fit: Callable[[Judge, bytes], object] = lambda judge, lines: judge.fit(lines, {}),
    ) -> None:
        self._queries = queries
        self._judge = Judge(self._readers, every=True) if judges else None
        self._fit = fit
        self._fitted = False
        self._told: dict[tuple[str, str, tuple[str, ...]], Told] = {}

    def narrowed(self, asked: Sequence[Asked]) -> Iterator[Asked]:
        """The same rows, each with those of its rules that may match."""
        open_to_all = [row for row, rules in asked if rules == EVERY_RULE and _is_osquery(row)]
        masks = iter(self._judged(open_to_all))
        for row, rules in asked:
            if rules != EVERY_RULE or not _is_osquery(row):
                yield row, rules
                continue
            mask = next(masks)
            yield row, self._passing(row) if mask == EVERY_RULE else mask

    def _judged(self, rows: Sequence[Row]) -> list[int]:
        """The rules that may match in each of the rows, as far as the judge tells."""
        masks = [EVERY_RULE] * len(rows)
        if self._judge is None or not (self._fitted or len(rows) >= FIRST):
            return masks
        data = b"".join(map(_line, rows))
        if not self._fitted:
            self._fit(self._judge, data)
            self._fitted = True
        lines, kept = self._judge.sift(data, OFTEN)
        assert lines == len(rows)
        masks = [0] * len(rows)
        for one in kept:
            masks[one.before] = EVERY_RULE if one.rules is None else one.rules
        return masks

    def _readers(
        self, name: str, columns: tuple[str, ...], among: int = EVERY_RULE
    ) -> Sequence[Reader]:
        source, _, query = name.partition(" ")
        return self._queries.of_rows(query, columns, among, source)

    def _passing(self, row: Row) -> int:
        key = (row.source, row.query, tuple(row.values))
        told = self._told.get(key)
        if told is None:
            if len(self._told) >= MAX_KNOWN:
                self._told.clear()
            told = self._told[key] = self._queries.of_row(*key)
        rules, gates = told
        return rules if gates is None else gates.passing(row.values, rules)


def _is_osquery(row: Row) -> bool:
    return row.source == OSQUERY or row.source.startswith(_EVENT)


def _line(row: Row) -> bytes:
    """A row as a line of osqueryd's, for the judge; what it cannot hold, as one that it leaves."""
    line = {"name": f"{row.source} {row.query}", "hostIdentifier": "", "columns": row.values}
    try:
        return orjson.dumps(line) + b"\n"
    except (TypeError, ValueError):
        return b"\n"
