"""What stands in each cell of the table: lines of text and styles, so that no value is read as
markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from itertools import islice

from molehunt.levels import Level

from ..findings.model import Finding, Reason
from ..records import Value
from .excerpt import excerpt, matched_span
from .safe import printable
from .styled import Line, Run, cells_of, line, said
from .times import moment
from .words import value_words

RAISED = "↑"
_DIM = "dim"
_LEVELS = {
    Level.CRITICAL: "bold red",
    Level.HIGH: "red",
    Level.MEDIUM: "yellow",
    Level.LOW: "cyan",
    Level.INFORMATIONAL: "dim",
}
WHEN = len("2026-11-23 10:22:00")
_VALUES = 2
_REASONS = 3
# What is left of a value in `why` when `what` already shows it whole.
_SHORT = 20


def level(finding: Finding) -> Line:
    """The level in its colour, with a sign if other observations raised it."""
    sign = f" {RAISED}" if finding.level > finding.rule_level else ""
    return line(f"{finding.level}{sign}", _LEVELS[finding.level])


def sure(finding: Finding) -> list[Line]:
    """How sure: the level, and the rule's status unless it is stable."""
    status = printable(finding.status, 12)
    return [level(finding)] + ([] if status == "stable" else [line(status, _DIM)])


def host(finding: Finding, width: int, shared: frozenset[str]) -> list[Line]:
    """The host's name, its identifier if it has no name of its own, and the users concerned."""
    others = len(finding.all_hosts) - 1
    more = f" (+{others})" if others else ""
    lines = [line(printable(name_of(finding), width - len(more)) + more, "bold")]
    if name_of(finding) in shared and finding.host != name_of(finding):
        lines.append(line(printable(finding.host, width), _DIM))
    if finding.users:
        lines.append(line(printable(", ".join(finding.users), width), _DIM))
    return lines


def name_of(finding: Finding) -> str:
    """What people call the host."""
    return finding.host_name or finding.host


def when(finding: Finding, zone: tzinfo) -> list[Line]:
    """First seen; below it, where it says more: already there, last seen or gone, how often."""
    first, last = moment(finding.first_seen, zone), moment(finding.last_seen, zone)
    ends = [moment(item.until, zone) for item in finding.evidence]
    more = []
    if finding.evidence and finding.evidence[0].basis == "present":
        more.append("or before")
    if ends and finding.count == len(ends) and None not in ends:
        more.append(f"gone {_short(max(filter(None, ends)), first)}")
    elif last is not None and last != first:
        more.append(f"… {_short(last, first)}")
    if finding.count != 1:
        more.append(f"×{finding.count}")
    known = line(f"{first:%Y-%m-%d %H:%M:%S}") if first else line("time unknown", _DIM)
    return [known, *(line(part, _DIM) for part in _filled(more, WHEN))]


def _filled(parts: Iterable[str], width: int) -> Iterator[str]:
    """The parts in as few lines as hold them whole."""
    filled = ""
    for part in parts:
        if filled and len(filled) + 2 + len(part) > width:
            yield filled
            filled = part
        else:
            filled = f"{filled}  {part}" if filled else part
    if filled:
        yield filled


def _short(at: datetime, first: datetime | None) -> str:
    """A time after another, without what the two share."""
    if first is not None and at.date() == first.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%m-%d %H:%M}" if first is not None and at.year == first.year else f"{at:%Y-%m-%d}"


def what(finding: Finding, width: int) -> list[Line]:
    """The title; below it the telling values, one line each."""
    values = (line(printable(value, width), _DIM) for value in islice(telling(finding), _VALUES))
    return [line(printable(finding.title)), *values]


def telling(finding: Finding) -> Iterable[str]:
    """The identity's values; where the rule has no identity, those that made it match first."""
    values: Iterable[Value] = (value for _, value in finding.identity)
    if not finding.identity:
        values = (reason.value for item in finding.evidence[:1] for reason in item.reasons)
    return dict.fromkeys(filter(None, map(value_words, values)))


def why(finding: Finding, width: int) -> list[Line]:
    """The first record's reasons, what raised the level, and which filters could not be applied.

    Of several rules, which a correlation brought together, the first reason of each.
    """
    by_rule: dict[str, tuple[Reason, ...]] = {}
    for item in finding.evidence:
        by_rule.setdefault(item.rule, item.reasons)
    each = [found if len(by_rule) == 1 else found[:1] for found in by_rule.values()]
    reasons = list(dict.fromkeys(reason for found in each for reason in found))
    above = {
        value for value in islice(telling(finding), _VALUES) if printable(value, width) == value
    }
    # Two conditions may have met the same part of a value; it is shown once.
    shown = {
        tuple(map(said, lines)): lines
        for reason in reasons
        for lines in [_reason(reason, width, value_words(reason.value) in above)]
    }
    lines = _without_repeated_heads(list(shown.values())[:_REASONS])
    if len(shown) > _REASONS:
        lines.append(line(f"and {len(shown) - _REASONS} more", _DIM))
    if finding.raised_by:
        sign = RAISED if finding.level > finding.rule_level else "with"
        others = len(finding.raised_by) - 1
        more = f", {others} more" if others else ""
        lines.append(line(f"{sign} {printable(finding.raised_by[0].title)}{more}", _DIM))
    if finding.missing_filters:
        names = printable(", ".join(finding.missing_filters))
        lines.append(line(f"not checked: {names}", _DIM))
    return lines


def _reason(reason: Reason, width: int, shown: bool) -> list[Line]:
    """`field: value` around the part that matched, in one line or, where that is too long, in two.

    Without a value (a keyword, or a field that is empty) it says what was wanted.
    A value that `shown` above stands whole is cut to its telling part.
    """
    field, value = printable(reason.field or "any value", width - 1), value_words(reason.value)
    room = width - cells_of(field) - 2
    if not value:
        return [line(f"{field} {printable(reason.wanted)}", _DIM)]
    start, end = matched_span(value, reason.wanted) or (0, 0)
    matched = cells_of(printable(value[start:end]))
    two = room < max(min(cells_of(printable(value)), _SHORT), matched + 2)
    if two:
        room = width
    part = excerpt(value, reason.wanted, min(room, max(_SHORT, matched + 2)) if shown else room)
    around: Line = ((part.before, ""), (part.matched, "bold"), (part.after, ""))
    head = f"{field}:"
    return [line(head, _DIM), around] if two else [(*line(f"{head} ", _DIM), *around)]


def _without_repeated_heads(reasons: Iterable[list[Line]]) -> list[Line]:
    """Reasons in two lines keep the first, which names the field, only where the field changes."""
    lines: list[Line] = []
    last = ""
    for head, *rest in reasons:
        lines += rest if rest and said(head) == last else [head, *rest]
        last = said(head)
    return lines


def rule(finding: Finding) -> list[Line]:
    """The first eight characters of the rule's id, by which `explain` and grep find it."""
    return [line(printable(finding.rule[:8], 8), _DIM)]


def summary(findings: list[Finding]) -> Line:
    """How many findings of each level, on how many hosts."""
    parts: list[Run] = []
    for step in sorted(Level, reverse=True):
        if count := sum(finding.level is step for finding in findings):
            parts += [(", ", "")] * bool(parts) + [(f"{count} {step}", _LEVELS[step])]
    hosts = len({host for finding in findings for host, _ in finding.all_hosts})
    return (*parts, (f" on {hosts} host{'s' if hosts != 1 else ''}", ""))


def stacked(*cells: list[Line]) -> list[Line]:
    """Cells below one another, without the empty ones."""
    return [of for cell in cells if any(map(said, cell)) for of in cell]
