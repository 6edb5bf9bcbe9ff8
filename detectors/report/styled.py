"""Text in styles, as lines of runs, and its folding into so many cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# A text and its style: words of `_CODES`, or nothing.
Run = tuple[str, str]
Line = tuple[Run, ...]

# Select Graphic Rendition (ECMA-48, 8.3.117).
_CODES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "cyan": "36"}
_WORD = re.compile(r"\s*\S+\s*")


def line(text: str, style: str = "") -> Line:
    """One text in one style."""
    return ((text, style),)


def said(of: Line) -> str:
    """What a line says, without its styles."""
    return "".join(text for text, _ in of)


def cells_of(text: str) -> int:
    """How many cells a printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def folded(of: Line, width: int) -> Iterator[Line]:
    """The line in as many as it takes at `width` cells: broken between words, and within those that
    are wider."""
    text = said(of)
    if cells_of(text) <= width:
        yield of
        return
    ends = [*_breaks(text, width), len(text)]
    start = 0
    for end in ends:
        yield tuple(_part(of, start, start + len(text[start:end].rstrip())))
        start = end


def _part(of: Line, start: int, end: int) -> Iterator[Run]:
    """The runs of a line between two places of its text."""
    for text, style in of:
        if start < len(text) and end > 0:
            yield text[max(start, 0) : end], style
        start -= len(text)
        end -= len(text)


def _breaks(text: str, width: int) -> Iterator[int]:
    """Where a text is broken."""
    used = 0
    for found in _WORD.finditer(text):
        word, start = found.group(), found.start()
        if cells_of(word.rstrip()) <= width - used:
            used += cells_of(word)
            continue
        pieces = [word] if cells_of(word.rstrip()) <= width else _chopped(word, width)
        for piece in pieces:
            if start:
                yield start
            start += len(piece)
        used = cells_of(pieces[-1])


def _chopped(word: str, width: int) -> list[str]:
    if word.isascii():
        return [word[at : at + width] for at in range(0, len(word), width)]
    from rich.cells import chop_cells

    return chop_cells(word, width)


def written(of: Iterable[Run], colour: bool) -> str:
    """Runs as a terminal takes them; without `colour` only what they say."""
    if not colour:
        return "".join(text for text, _ in of)
    return "".join(_escaped(text, style) for text, style in of)


def _escaped(text: str, style: str) -> str:
    if not style or not text:
        return text
    return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"
