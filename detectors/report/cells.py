"""What stands in each cell of the table: `Text` objects, so that no value is read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from itertools import islice

from rich.cells import cell_len
from rich.text import Text

from molehunt.levels import Level

from ..findings.model import Finding, Reason
from ..records import Value
from .excerpt import excerpt, matched_span
from .safe import printable
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


def level(finding: Finding) -> Text:
    """The level in its colour, with a sign if other observations raised it."""
    sign = f" {RAISED}" if finding.level > finding.rule_level else ""
    return Text(f"{finding.level}{sign}", _LEVELS[finding.level])


def sure(finding: Finding) -> Text:
    """How sure: the level, and the rule's status unless it is stable."""
    status = printable(finding.status, 12)
    return _lines([level(finding)] + ([] if status == "stable" else [Text(status, _DIM)]))


def host(finding: Finding, width: int, shared: frozenset[str]) -> Text:
    """The host's name, its identifier if it has no name of its own, and the users concerned."""
    others = len(finding.all_hosts) - 1
    more = f" (+{others})" if others else ""
    lines = [Text(printable(name_of(finding), width - len(more)) + more, "bold")]
    if name_of(finding) in shared and finding.host != name_of(finding):
        lines.append(Text(printable(finding.host, width), _DIM))
    if finding.users:
        lines.append(Text(printable(", ".join(finding.users), width), _DIM))
    return _lines(lines)


def name_of(finding: Finding) -> str:
    """What people call the host."""
    return finding.host_name or finding.host


def when(finding: Finding, zone: tzinfo) -> Text:
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
    known = Text(f"{first:%Y-%m-%d %H:%M:%S}") if first else Text("time unknown", _DIM)
    return _lines([known, *(Text(line, _DIM) for line in _filled(more, WHEN))])


def _filled(parts: Iterable[str], width: int) -> Iterator[str]:
    """The parts in as few lines as hold them whole."""
    line = ""
    for part in parts:
        if line and len(line) + 2 + len(part) > width:
            yield line
            line = part
        else:
            line = f"{line}  {part}" if line else part
    if line:
        yield line


def _short(at: datetime, first: datetime | None) -> str:
    """A time after another, without what the two share."""
    if first is not None and at.date() == first.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%m-%d %H:%M}" if first is not None and at.year == first.year else f"{at:%Y-%m-%d}"


def what(finding: Finding, width: int) -> Text:
    """The title; below it the telling values, one line each."""
    values = (Text(printable(value, width), _DIM) for value in islice(telling(finding), _VALUES))
    return _lines([Text(printable(finding.title)), *values])


def telling(finding: Finding) -> Iterable[str]:
    """The identity's values; where the rule has no identity, those that made it match first."""
    values: Iterable[Value] = (value for _, value in finding.identity)
    if not finding.identity:
        values = (reason.value for item in finding.evidence[:1] for reason in item.reasons)
    return dict.fromkeys(filter(None, map(value_words, values)))


def why(finding: Finding, width: int) -> Text:
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
        text.plain: text
        for reason in reasons
        for text in [_reason(reason, width, value_words(reason.value) in above)]
    }
    lines = _without_repeated_heads(list(shown.values())[:_REASONS])
    if len(shown) > _REASONS:
        lines.append(Text(f"and {len(shown) - _REASONS} more", _DIM))
    if finding.raised_by:
        sign = RAISED if finding.level > finding.rule_level else "with"
        others = len(finding.raised_by) - 1
        more = f", {others} more" if others else ""
        lines.append(Text(f"{sign} {printable(finding.raised_by[0].title)}{more}", _DIM))
    if finding.missing_filters:
        names = printable(", ".join(finding.missing_filters))
        lines.append(Text(f"not checked: {names}", _DIM))
    return _lines(lines)


def _reason(reason: Reason, width: int, shown: bool) -> Text:
    """`field: value` around the part that matched, in one line or, where that is too long, in two.

    Without a value (a keyword, or a field that is empty) it says what was wanted.
    A value that `shown` above stands whole is cut to its telling part.
    """
    field, value = printable(reason.field or "any value", width - 1), value_words(reason.value)
    room, break_ = width - cell_len(field) - 2, " "
    if not value:
        return Text(f"{field} {printable(reason.wanted)}", _DIM)
    start, end = matched_span(value, reason.wanted) or (0, 0)
    matched = cell_len(printable(value[start:end]))
    if room < max(min(cell_len(printable(value)), _SHORT), matched + 2):
        room, break_ = width, "\n"
    part = excerpt(value, reason.wanted, min(room, max(_SHORT, matched + 2)) if shown else room)
    line = Text().append(f"{field}:{break_}", _DIM)
    return line.append(part.before).append(part.matched, "bold").append(part.after)


def _without_repeated_heads(reasons: list[Text]) -> list[Text]:
    """Reasons in two lines keep the first, which names the field, only where the field changes."""
    lines: list[Text] = []
    last = ""
    for reason in reasons:
        head, *rest = reason.split("\n")
        lines += rest if rest and head.plain == last else [head, *rest]
        last = head.plain
    return lines


def rule(finding: Finding) -> Text:
    """The first eight characters of the rule's id, by which `explain` and grep find it."""
    return Text(printable(finding.rule[:8], 8), _DIM)


def summary(findings: list[Finding]) -> Text:
    """How many findings of each level, on how many hosts."""
    parts = []
    for step in sorted(Level, reverse=True):
        if count := sum(finding.level is step for finding in findings):
            parts.append(Text(f"{count} {step}", _LEVELS[step]))
    hosts = len({host for finding in findings for host, _ in finding.all_hosts})
    return Text(", ").join(parts) + Text(f" on {hosts} host{'s' if hosts != 1 else ''}")


def stacked(*cells: Text) -> Text:
    """Cells below one another, without the empty ones."""
    return _lines([cell for cell in cells if cell.plain])


def _lines(lines: Iterable[Text]) -> Text:
    return Text("\n").join(lines)
