"""What a check says, as plain values."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """`error`: the rule cannot do what it says. `warning`: it most likely does not. `info`: worth
    a look. `hint`: a matter of style."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    HINT = "hint"


class Span(NamedTuple):
    """A place in a file. Lines and columns count from 1; the end is not part of it."""

    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0


class Edit(NamedTuple):
    """Replace the characters from `start` to `end` (from 0, without byte order mark)."""

    start: int
    end: int
    text: str


class Finding(NamedTuple):
    """One finding. `edits` mend it without changing what the rule means; empty if none do."""

    check: str
    message: str
    path: str
    span: Span
    rule: str = ""
    hint: str = ""
    edits: tuple[Edit, ...] = ()


def span_of(node: object) -> Span:
    """The place of a YAML node."""
    start, end = node.start_mark, node.end_mark  # type: ignore[attr-defined]
    if end.line > start.line and end.column == 0:
        # The end of a block is the beginning of what follows it.
        return Span(start.line + 1, start.column + 1)
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
