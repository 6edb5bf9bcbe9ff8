"""The part of a logged value that matched, with as much around it as fits."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..values import fold
from .safe import ELLIPSIS, printable
from .styled import cells_of

# The words of matching/describe.py; a regex, a network or a choice of values marks no part.
_WANTED = re.compile(
    r"(starts with|ends with|contains|is like) '(.*)'(?: \(case matters\))?", re.DOTALL
)
_WILDCARD = re.compile(r"[*?]")
_BREAK = re.compile(r"[\s/\\]")


class Excerpt(NamedTuple):
    """Three printable texts that follow one another; `matched` is empty if no part is known."""

    before: str
    matched: str
    after: str


def excerpt(value: str, wanted: str, width: int) -> Excerpt:
    """`value` in at most `width` cells, cut so that the part that met `wanted` stays in sight."""
    span = matched_span(value, wanted)
    if span is None:
        return Excerpt(printable(value, width), "", "")
    start, end = span
    whole = Excerpt(printable(value[:start]), printable(value[start:end]), printable(value[end:]))
    if sum(map(cells_of, whole)) <= width:
        return whole
    matched = printable(value[start:end], max(width - 2, 1))
    room = width - cells_of(matched)
    before = _end_of(value[:start], room // 2)
    after = _start_of(value[end:], room - cells_of(before))
    return Excerpt(_end_of(value[:start], room - cells_of(after)), matched, after)


def matched_span(value: str, wanted: str) -> tuple[int, int] | None:
    """Where in `value` the text that `wanted` names stands; None if it names no single text."""
    found = _WANTED.fullmatch(wanted)
    if found is None:
        return None
    relation, text = found.groups()
    part = max(_WILDCARD.split(text), key=len) if relation == "is like" else text
    folded, sought = fold(value), fold(part)
    start = folded.rfind(sought) if relation == "ends with" else folded.find(sought)
    return None if start < 0 or not part else (start, start + len(part))


def _end_of(text: str, room: int) -> str:
    """The last of `text` after an ellipsis; from a word or path boundary on, if that keeps half."""
    whole = printable(text)
    if cells_of(whole) <= room:
        return whole
    kept = text[max(len(text) - max(room - 1, 0), 0) :]
    while kept and cells_of(printable(kept)) > room - 1:
        kept = kept[1:]
    boundary = next((found.start() for found in _BREAK.finditer(kept)), len(kept))
    kept = kept[boundary if boundary <= len(kept) // 2 else 0 :]
    return ELLIPSIS + printable(kept) if room > 0 else ""


def _start_of(text: str, room: int) -> str:
    """The first of `text` before an ellipsis; up to a word or path boundary, if that keeps half."""
    whole = printable(text)
    if cells_of(whole) <= room:
        return whole
    kept = text[: max(room - 1, 0)]
    while kept and cells_of(printable(kept)) > room - 1:
        kept = kept[:-1]
    boundary = max((found.end() for found in _BREAK.finditer(kept)), default=0)
    kept = kept[: boundary if boundary > len(kept) // 2 else len(kept)]
    return printable(kept) + ELLIPSIS if room > 0 else ""
