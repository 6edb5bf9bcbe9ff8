"""What the HTML report shows, as plain values for its template; nothing here is markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molehunt.levels import Level

from ..findings.model import Evidence, Finding, Reason
from . import attack
from .excerpt import matched_span
from .hosts import Host, hosts_of
from .machine import plain
from .order import in_order
from .timeline import Timeline, timeline
from .times import moment
from .words import reasons_of, sentence, value_words

# Only what stands in this pattern becomes a link: https, a host, and printable ASCII without
# quotes, brackets, backslashes and the like (RFC 3986, appendix A; credentials are left out).
_LINK = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]*)?"
)
_BASES = {
    "event": "happened",
    "new": "appeared",
    "present": "was there, perhaps from before",
    "gone": "went away",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A text and the address it leads to; empty if it may lead nowhere."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Part:
    """A reason: the rule's field, what was wanted, and the value around what matched."""

    field: str
    wanted: str
    before: str
    matched: str
    after: str


@dataclass(frozen=True, slots=True)
class Row:
    """A record kept as evidence."""

    at: str
    until: str
    basis: str
    where: str
    query: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One finding as it is shown; `number` names its place in the page."""

    number: int
    finding: Finding
    raised: bool
    first: str
    last: str
    before: bool
    gone: str
    hosts: tuple[Host, ...]
    description: str
    identity: tuple[tuple[str, str], ...]
    reasons: tuple[Part, ...]
    evidence: tuple[Row, ...]
    techniques: tuple[tuple[Link, str], ...]
    false_positives: tuple[str, ...]
    next_steps: tuple[str, ...]
    references: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One host with its findings, the gravest first."""

    number: int
    host: Host
    users: tuple[str, ...]
    level: Level
    counts: tuple[tuple[str, int], ...]
    timeline: Timeline | None
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report. `run` follows run.schema.json."""

    counts: tuple[tuple[str, int], ...]
    findings: int
    span: tuple[str, str]
    run: Mapping[str, Any]
    sections: tuple[Section, ...]


def page(findings: Iterable[Finding], run: Mapping[str, Any]) -> Page:
    """The findings in report order, grouped by host; hosts in the order of their first finding."""
    ordered = in_order(findings)
    by_host: dict[Host, list[tuple[int, Finding]]] = {}
    for number, finding in enumerate(ordered, 1):
        by_host.setdefault(hosts_of(finding)[0], []).append((number, finding))
    sections = (_section(number, *item) for number, item in enumerate(by_host.items(), 1))
    return Page(_counts(ordered), len(ordered), _span(ordered), plain(run), tuple(sections))


def _section(number: int, host: Host, found: Sequence[tuple[int, Finding]]) -> Section:
    findings = [finding for _, finding in found]
    return Section(
        number,
        host,
        tuple(sorted({user for finding in findings for user in finding.users})),
        max(finding.level for finding in findings),
        tuple((word, count) for word, count in _counts(findings) if count),
        timeline(found),
        tuple(_card(*item) for item in found),
    )


def _counts(findings: Iterable[Finding]) -> tuple[tuple[str, int], ...]:
    counts = Counter(finding.level for finding in findings)
    return tuple((str(level), counts[level]) for level in sorted(Level, reverse=True))


def _span(findings: Iterable[Finding]) -> tuple[str, str]:
    """From the first to the last time seen; empty texts if none is known."""
    known = sorted(
        at
        for finding in findings
        for at in map(moment, (finding.first_seen, finding.last_seen))
        if at is not None
    )
    return (f"{known[0]:%Y-%m-%d}", f"{known[-1]:%Y-%m-%d}") if known else ("", "")


def _card(number: int, finding: Finding) -> Card:
    first, last = _time(finding.first_seen), _time(finding.last_seen)
    ends = [moment(item.until) for item in finding.evidence]
    over = bool(ends) and finding.count == len(ends) and None not in ends
    return Card(
        number=number,
        finding=finding,
        raised=finding.level > finding.rule_level,
        first=first,
        last=last if last != first and not over else "",
        before=bool(finding.evidence) and finding.evidence[0].basis == "present",
        gone=f"{max(filter(None, ends)):%Y-%m-%d %H:%M:%S}" if over else "",
        hosts=hosts_of(finding),
        description=sentence(finding.description),
        identity=tuple((field, value_words(value)) for field, value in finding.identity),
        reasons=tuple(map(_part, reasons_of(finding))),
        evidence=tuple(map(_row, finding.evidence)),
        techniques=tuple(
            (
                Link(f"{item.id} {item.name}", attack.technique(item).url),
                ", ".join(attack.tactic(slug).name for slug in item.tactics),
            )
            for item in finding.techniques
        ),
        false_positives=tuple(map(sentence, finding.false_positives)),
        next_steps=tuple(map(sentence, finding.next_steps)),
        references=tuple(map(link, finding.references)),
    )


def link(text: str) -> Link:
    """A reference; it leads somewhere only if it is a plain https address."""
    return Link(text, text if _LINK.fullmatch(text) else "")


def _part(reason: Reason) -> Part:
    value = value_words(reason.value)
    start, end = matched_span(value, reason.wanted) or (len(value), len(value))
    field = reason.field or "any value"
    return Part(field, reason.wanted, value[:start], value[start:end], value[end:])


def _row(item: Evidence) -> Row:
    return Row(
        _time(item.at) or "time unknown",
        _time(item.until),
        _BASES.get(item.basis, item.basis),
        str(item.where),
        item.query,
        tuple((column, value_words(value)) for column, value in item.values),
    )


def _time(at: float | None) -> str:
    known = moment(at)
    return f"{known:%Y-%m-%d %H:%M:%S}" if known else ""
