"""Cells laid out in columns of fixed widths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .styled import Line, Run, cells_of, folded, line, said

GAP = 2
_DIM = "dim"


class Column(NamedTuple):
    """A column's head and its width in cells."""

    head: str
    width: int


def grid(columns: Sequence[Column], rows: Iterable[Sequence[Sequence[Line]]]) -> Iterator[Line]:
    """The lines of a table: heads, a rule, then the rows with an empty line between them. A row has
    for each column some lines, which are folded into its width."""
    yield from _row(columns, [[line(column.head, _DIM)] for column in columns])
    yield line("─" * (sum(column.width for column in columns) + GAP * (len(columns) - 1)), _DIM)
    for number, row in enumerate(rows):
        if number:
            yield ()
        yield from _row(columns, row)


def _row(columns: Sequence[Column], row: Sequence[Sequence[Line]]) -> Iterator[Line]:
    fitted = [
        [part for one in cell for part in folded(one, column.width)]
        for column, cell in zip(columns, row, strict=True)
    ]
    for number in range(max(map(len, fitted))):
        yield tuple(_joined(columns, [cell[number : number + 1] for cell in fitted]))


def _joined(columns: Sequence[Column], parts: Sequence[Sequence[Line]]) -> Iterator[Run]:
    """The parts beside one another; what is missing at the end is left out."""
    missing = 0
    for column, part in zip(columns, parts, strict=True):
        used = 0
        for of in part:
            used = cells_of(said(of))
            if used and missing:
                yield " " * missing, ""
                missing = 0
            yield from of
        missing += column.width - used + GAP
