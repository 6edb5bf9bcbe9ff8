"""What the loader says about a file, as findings: MH001 to MH007."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..problems import Problem
from .model import Finding, Span

_KINDS = (
    ("MH003", re.compile(r"unknown key ")),
    ("MH004", re.compile(r"regex is not supported|.*[Rr]egular expression")),
    ("MH005", re.compile(r"placeholder without a value")),
    ("MH006", re.compile(r"molehunt[.:]|molehunt$")),
    ("MH007", re.compile(r"condition")),
    (
        "MH001",
        re.compile(
            r"not YAML|cannot be read|not UTF-8|larger than|duplicate key|nested more|"
            r"an alias|expands to|a key that is|a rule is a mapping"
        ),
    ),
)


def findings(problems: Iterable[Problem], path: str, lines: Sequence[str]) -> Iterator[Finding]:
    """One finding for each problem, on the line that it names."""
    for problem in problems:
        check = next((name for name, kind in _KINDS if kind.match(problem.what)), "MH002")
        span = line_span(problem.line or 1, lines)
        what = problem.what.splitlines()[0] if problem.what else "cannot be loaded"
        yield Finding(check, what, path, span, problem.rule or "", problem.hint)


def line_span(number: int, lines: Sequence[str]) -> Span:
    """A whole line without its indent."""
    text = lines[number - 1] if 0 < number <= len(lines) else ""
    indent = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return Span(number, indent + 1, number, max(end, indent) + 1)
