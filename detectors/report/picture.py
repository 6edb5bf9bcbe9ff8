"""The table as a picture for documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from io import StringIO

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ..findings.model import Finding
from .safe import printable
from .table import NARROWEST, report


def render_svg(
    findings: Iterable[Finding],
    *,
    width: int = 120,
    title: str = "molehunt",
    when_zone: tzinfo = UTC,
) -> str:
    """The table as an SVG picture.

    The same findings give the same picture, and it loads nothing from elsewhere.
    """
    console = _console(max(width, NARROWEST))
    for line in report(findings, width, when_zone):
        console.print(Text.assemble(*line))
    picture = console.export_svg(
        title=printable(title), theme=_THEME, font_aspect_ratio=0.6, unique_id="molehunt"
    )
    style, end, rest = picture.partition("</style>")
    style = re.sub(r"@font-face \{.*?\}", "", style, flags=re.DOTALL)
    return style.replace("Fira Code, monospace", _FONTS) + end + rest


def _console(width: int) -> Console:
    """A console that asks neither the environment nor the terminal anything."""
    return Console(
        file=StringIO(),
        width=width,
        height=25,
        color_system="standard",
        force_terminal=True,
        force_jupyter=False,
        force_interactive=False,
        no_color=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=True,
        _environ={},
    )


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
