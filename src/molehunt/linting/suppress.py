"""Suppressions: comments in the file that say why a finding is accepted.

    # molehunt: ignore MH104 -- the vendor owns the whole domain
    # molehunt: ignore-file MH410 -- kept as the author wrote it

Behind a value it is about that line. On a line of its own it is about the next line and what is
indented below that. A reason is required; one that suppresses nothing is a finding itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .model import Finding, Span

_COMMENT = re.compile(r"(?:^|\s)#\s*molehunt:\s*(ignore(?:-file)?)\b(.*)$")
_ID = re.compile(r"\bMH[0-9]{3}\b")
# Never suppressed: what is said about suppressions, and what is not read at all.
_ALWAYS = ("MH001", "MH901", "MH902", "MH903")


class Suppression(NamedTuple):
    """One comment: the ids, the first and last line it is about (0: the whole file), its place."""

    ids: tuple[str, ...]
    first: int
    last: int
    reason: str
    span: Span


def suppressions_in(text: str) -> list[Suppression]:
    """All suppressing comments of a file, in order."""
    if "molehunt:" not in text or "ignore" not in text:
        return []
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = _COMMENT.search(line)
        if match is None or _in_quotes(line[: match.start()]):
            continue
        body, _, reason = match[2].partition("--")
        column = line.index("#", match.start()) + 1
        span = Span(number, column, number, len(line.rstrip()) + 1)
        first, last = _about(lines, number) if match[1] == "ignore" else (0, 0)
        found.append(Suppression(tuple(_ID.findall(body)), first, last, reason.strip(), span))
    return found


def _in_quotes(before: str) -> bool:
    """Whether what follows stands in a quoted value of this line."""
    return before.count("'") % 2 == 1 or before.count('"') % 2 == 1


def _about(lines: Sequence[str], number: int) -> tuple[int, int]:
    if not lines[number - 1].lstrip().startswith("#"):
        return number, number
    first = number + 1
    while first <= len(lines) and (
        not lines[first - 1].strip() or lines[first - 1].lstrip().startswith("#")
    ):
        first += 1
    if first > len(lines):
        return number, number
    indent = _indent(lines[first - 1])
    last = first
    for later in range(first + 1, len(lines) + 1):
        line = lines[later - 1]
        if line.strip() and _indent(line) <= indent:
            break
        last = later
    return first, last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def apply(
    findings: Iterable[Finding],
    suppressions: Sequence[Suppression],
    path: str,
    known: Iterable[str],
) -> tuple[list[Finding], int]:
    """The findings of one file that are left, with those about suppressions; how many are gone."""
    used: set[tuple[int, str]] = set()
    left, gone = [], 0
    for finding in findings:
        at = _matching(finding, suppressions)
        if at is None:
            left.append(finding)
        else:
            used.add((at, finding.check))
            gone += 1
    return [*left, *_about_them(suppressions, used, path, frozenset(known))], gone


def _matching(finding: Finding, suppressions: Sequence[Suppression]) -> int | None:
    if finding.check in _ALWAYS:
        return None
    for index, one in enumerate(suppressions):
        about = one.first == 0 or one.first <= finding.span.line <= one.last
        if one.reason and about and finding.check in one.ids:
            return index
    return None


def _about_them(
    suppressions: Sequence[Suppression],
    used: set[tuple[int, str]],
    path: str,
    known: frozenset[str],
) -> Iterator[Finding]:
    for index, one in enumerate(suppressions):
        if not one.reason or not one.ids:
            message = "a suppression needs ids and a reason; this one does nothing"
            hint = "# molehunt: ignore MH104 -- why that is right here"
            yield Finding("MH901", message, path, one.span, "", hint)
            continue
        for name in one.ids:
            if name not in known:
                yield Finding("MH903", f"there is no check {name}", path, one.span)
            elif (index, name) not in used and not name.startswith("MH80"):
                message = f"{name} is not found here: the suppression does nothing"
                yield Finding("MH902", message, path, one.span, "", "remove it")
