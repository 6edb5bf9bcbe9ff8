"""The table that people read: one row a finding, nothing hidden, nothing interpreted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, tzinfo
from io import StringIO
from typing import NamedTuple, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ..findings.model import Finding
from . import cells
from .order import in_order
from .safe import printable

NARROWEST = 60
_WIDE = 110
_HOST = 20
_RULE = 8
_HEAD = 8
_GAP = 2
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
    shown = StringIO()
    _print(findings, _console(shown, width, colour), when_zone, top)
    lines = (line.rstrip(" ") for line in shown.getvalue().split("\n"))
    file.write(_encodable("\n".join(lines), file.encoding or "utf-8"))


def render_svg(
    findings: Iterable[Finding],
    *,
    width: int = 120,
    title: str = "molehunt",
    when_zone: tzinfo = UTC,
) -> str:
    """The table as an SVG picture for documents.

    The same findings give the same picture, and it loads nothing from elsewhere.
    """
    console = _console(StringIO(), width, colour=True, record=True)
    _print(findings, console, when_zone)
    picture = console.export_svg(
        title=printable(title), theme=_THEME, font_aspect_ratio=0.6, unique_id="molehunt"
    )
    style, end, rest = picture.partition("</style>")
    style = re.sub(r"@font-face \{.*?\}", "", style, flags=re.DOTALL)
    return style.replace("Fira Code, monospace", _FONTS) + end + rest


def _print(findings: Iterable[Finding], console: Console, zone: tzinfo, top: int = 0) -> None:
    console.print(_report(in_order(findings), console.width, zone, top))


def _console(file: TextIO, width: int, colour: bool, record: bool = False) -> Console:
    """A console that asks neither the environment nor the terminal anything."""
    return Console(
        file=file,
        width=max(width, NARROWEST),
        height=25,
        color_system="standard" if colour else None,
        force_terminal=colour,
        force_jupyter=False,
        force_interactive=False,
        no_color=not colour,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=record,
        _environ={},
    )


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _report(findings: list[Finding], width: int, zone: tzinfo, top: int) -> Group:
    if not findings:
        return Group(Text(NOTHING))
    shown = findings[:top] if top else findings
    table = _wide(shown, width, zone) if width >= _WIDE else _narrow(shown, width, zone)
    parts: list[RenderableType] = [cells.summary(findings), Text(), table]
    if more := len(findings) - len(shown):
        parts += [Text(), Text(f"… and {more:,} more ({MORE})")]
    return Group(*parts)


class _Column(NamedTuple):
    head: str
    width: int


def _grid(columns: Iterable[_Column]) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        leading=1,
        header_style="dim",
        border_style="dim",
    )
    for column in columns:
        table.add_column(column.head, width=column.width, overflow="fold")
    return table


def _wide(findings: list[Finding], width: int, zone: tzinfo) -> Table:
    shared = _shared_names(findings)
    host = _widest(cells.host(finding, _HOST, shared) for finding in findings)
    sure = _widest(cells.sure(finding) for finding in findings)
    free = width - host - cells.WHEN - sure - _RULE - 5 * _GAP
    why = min(free * 9 // 20, _widest(cells.why(finding, free) for finding in findings))
    what = free - why
    head = [_Column("host", host), _Column(f"when ({zone})", cells.WHEN), _Column("what", what)]
    table = _grid([*head, _Column("how sure", sure), _Column("why", why), _Column("rule", _RULE)])
    for finding in findings:
        table.add_row(
            cells.host(finding, host, shared),
            cells.when(finding, zone),
            cells.what(finding, what),
            cells.sure(finding),
            cells.why(finding, why),
            cells.rule(finding),
        )
    return table


def _narrow(findings: list[Finding], width: int, zone: tzinfo) -> Table:
    sure = _widest(cells.sure(finding) for finding in findings)
    what = width - cells.WHEN - sure - 2 * _GAP
    head = _Column(f"where, when ({zone})", cells.WHEN)
    table = _grid([head, _Column("what, why", what), _Column("how sure", sure)])
    shared = _shared_names(findings)
    for finding in findings:
        table.add_row(
            cells.stacked(cells.host(finding, cells.WHEN, shared), cells.when(finding, zone)),
            cells.stacked(cells.what(finding, what), cells.why(finding, what)),
            cells.stacked(cells.sure(finding), cells.rule(finding)),
        )
    return table


def _shared_names(findings: list[Finding]) -> frozenset[str]:
    """Names that more than one host bears."""
    pairs = {(cells.name_of(finding), finding.host) for finding in findings}
    hosts = Counter(name for name, _ in pairs)
    return frozenset(name for name, count in hosts.items() if count > 1)


def _widest(column: Iterable[Text]) -> int:
    """The width of the longest line, and room for a head."""
    return max(_HEAD, *(cell_len(line) for cell in column for line in cell.plain.split("\n")))


_FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
_THEME = TerminalTheme(
    (24, 26, 31),
    (212, 215, 221),
    [
        (24, 26, 31),
        (224, 108, 117),
        (152, 195, 121),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 182, 194),
        (212, 215, 221),
    ],
)
