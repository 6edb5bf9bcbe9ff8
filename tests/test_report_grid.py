"""The table's own layout, against that of Rich, which is slower and does far more."""

from __future__ import annotations

import re
from io import StringIO

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from molehunt.detectors.report.grid import GAP, Column, grid
from molehunt.detectors.report.safe import printable
from molehunt.detectors.report.styled import Line, cells_of, folded, line, said, written

STYLES = ("", "dim", "bold", "red", "bold red", "yellow", "cyan")
WORDS = st.text(st.sampled_from("ab/\\.-é漢字ー"), max_size=14) | st.text(max_size=6).map(printable)
TEXTS = st.lists(WORDS, max_size=5).map(" ".join) | st.text(st.sampled_from("a漢 "), max_size=30)
LINES = st.lists(st.tuples(TEXTS, st.sampled_from(STYLES)), min_size=1, max_size=3).map(tuple)
CELLS = st.lists(LINES, min_size=1, max_size=3)
WIDTHS = st.lists(st.integers(8, 24), min_size=1, max_size=4)
_STYLE = re.compile(r"(\x1b\[[\d;]*m)")


@st.composite
def grids(draw: st.DrawFn) -> tuple[list[Column], list[list[list[Line]]]]:
    """Columns and rows for them."""
    columns = [Column(draw(st.sampled_from(("host", "how sure", "a"))), w) for w in draw(WIDTHS)]
    row = st.tuples(*[CELLS] * len(columns)).map(list)
    return columns, draw(st.lists(row, min_size=1, max_size=4))


def _by_rich(columns: list[Column], rows: list[list[list[Line]]]) -> str:
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        leading=1,
        header_style="dim",
        border_style="dim",
    )
    for column in columns:
        table.add_column(column.head, width=column.width, overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n").join(Text.assemble(*one) for one in cell) for cell in row))
    file = StringIO()
    Console(
        file=file,
        width=500,
        color_system="standard",
        force_terminal=True,
        legacy_windows=False,
        _environ={},
    ).print(table)
    return file.getvalue()


def _seen(text: str) -> list[list[tuple[str, frozenset[str]]]]:
    """The characters of each line with their styles; of blanks nothing is seen but their place."""
    lines: list[list[tuple[str, frozenset[str]]]] = [[]]
    style: frozenset[str] = frozenset()
    for part in _STYLE.split(text):
        if _STYLE.fullmatch(part):
            codes = frozenset(part[2:-1].split(";"))
            style = frozenset() if codes <= {"0", ""} else codes
            continue
        for character in part:
            if character == "\n":
                lines.append([])
            elif character.isspace():
                lines[-1].append((" ", frozenset()))
            else:
                lines[-1].append((character, style))
    for one in lines:
        while one and one[-1][0] == " ":
            one.pop()
    return lines


@settings(deadline=None, max_examples=100)
@given(grids())
@example(([Column("host", 8)], [[[(("", ""),)]]]))
@example(([Column("host", 8), Column("a", 9)], [[[(("漢" * 9, "red"),)], [(("", "dim"),)]]]))
def test_as_rich_lays_it_out(made: tuple[list[Column], list[list[list[Line]]]]) -> None:
    """What is seen, and in which styles, is the same. Behind it all stands a column that is empty:
    Rich 14.0 gives the last one a cell more."""
    columns = [*made[0], Column("last", 8)]
    rows = [[*row, [line("")]] for row in made[1]]
    ours = _seen("".join(f"{written(one, True)}\n" for one in grid(columns, rows)))
    theirs = _seen(_by_rich(columns, rows))
    rule = next(place for place, one in enumerate(ours) if one and one[0][0] == "─")
    assert theirs[rule][: len(ours[rule])] == ours[rule]
    assert len(theirs[rule]) <= len(ours[rule]) + 1
    theirs[rule] = ours[rule]
    assert ours == theirs


@settings(deadline=None)
@given(LINES, st.integers(2, 30))
def test_nothing_is_lost_in_folds(whole: Line, width: int) -> None:
    """Every line fits, and together they say the same, blanks aside."""
    parts = list(folded(whole, width))
    assert all(cells_of(said(part)) <= width for part in parts)
    assert "".join("".join(map(said, parts)).split()) == "".join(said(whole).split())
