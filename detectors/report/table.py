"""The table that people read: one row a finding, nothing hidden, nothing interpreted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from typing import TextIO

from ..findings.model import Finding
from . import cells
from .grid import GAP, Column, grid
from .order import in_order
from .styled import Line, cells_of, folded, line, said, written

NARROWEST = 60
_WIDE = 110
_HOST = 20
_RULE = 8
_HEAD = 8
NOTHING = "Nothing to report."
MORE = "--top 0 shows all, --output FILE keeps them"

# What an old code page cannot show, in signs of the same width.
_PLAIN = str.maketrans("…↑×─", "~^x-")


def render_table(
    findings: Iterable[Finding],
    *,
    width: int,
    colour: bool,
    file: TextIO,
    when_zone: tzinfo = UTC,
    top: int = 0,
) -> None:
    """Write the findings to `file` as a table `width` cells wide (at least 60); of many the `top`
    most severe, and how many there are beside them (0: all).

    From 110 cells on every column stands by itself; below that, host and time share one and so do
    the title and the reasons. With `colour` false no escape sequence is written. Characters that
    the encoding of `file` lacks are replaced, never an error.
    """
    lines = report(findings, width, when_zone, top)
    text = "".join(f"{written(one, colour).rstrip(' ')}\n" for one in lines)
    file.write(_encodable(text, file.encoding or "utf-8"))


def report(
    findings: Iterable[Finding], width: int, zone: tzinfo = UTC, top: int = 0
) -> Iterator[Line]:
    """The lines of the table, with their styles."""
    ordered, width = in_order(findings), max(width, NARROWEST)
    if not ordered:
        yield line(NOTHING)
        return
    shown = ordered[:top] if top else ordered
    yield from folded(cells.summary(ordered), width)
    yield ()
    yield from _wide(shown, width, zone) if width >= _WIDE else _narrow(shown, width, zone)
    if more := len(ordered) - len(shown):
        yield ()
        yield from folded(line(f"… and {more:,} more ({MORE})"), width)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _wide(findings: list[Finding], width: int, zone: tzinfo) -> Iterator[Line]:
    shared = _shared_names(findings)
    host = _widest(cells.host(finding, _HOST, shared) for finding in findings)
    sure = _widest(cells.sure(finding) for finding in findings)
    free = width - host - cells.WHEN - sure - _RULE - 5 * GAP
    why = min(free * 9 // 20, _widest(cells.why(finding, free) for finding in findings))
    what = free - why
    columns = [
        Column("host", host),
        Column(f"when ({zone})", cells.WHEN),
        Column("what", what),
        Column("how sure", sure),
        Column("why", why),
        Column("rule", _RULE),
    ]
    rows = (
        (
            cells.host(finding, host, shared),
            cells.when(finding, zone),
            cells.what(finding, what),
            cells.sure(finding),
            cells.why(finding, why),
            cells.rule(finding),
        )
        for finding in findings
    )
    return grid(columns, rows)


def _narrow(findings: list[Finding], width: int, zone: tzinfo) -> Iterator[Line]:
    sure = _widest(cells.sure(finding) for finding in findings)
    what = width - cells.WHEN - sure - 2 * GAP
    columns = [
        Column(f"where, when ({zone})", cells.WHEN),
        Column("what, why", what),
        Column("how sure", sure),
    ]
    shared = _shared_names(findings)
    rows = (
        (
            cells.stacked(cells.host(finding, cells.WHEN, shared), cells.when(finding, zone)),
            cells.stacked(cells.what(finding, what), cells.why(finding, what)),
            cells.stacked(cells.sure(finding), cells.rule(finding)),
        )
        for finding in findings
    )
    return grid(columns, rows)


def _shared_names(findings: list[Finding]) -> frozenset[str]:
    """Names that more than one host bears."""
    pairs = {(cells.name_of(finding), finding.host) for finding in findings}
    hosts = Counter(name for name, _ in pairs)
    return frozenset(name for name, count in hosts.items() if count > 1)


def _widest(column: Iterable[list[Line]]) -> int:
    """The width of the longest line, and room for a head."""
    return max((_HEAD, *(cells_of(said(of)) for cell in column for of in cell)))
