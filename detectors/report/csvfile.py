"""Findings as CSV: one row each, safe to open in a spreadsheet.

RFC 4180 with every cell quoted, UTF-8, CRLF. What a spreadsheet would run as a formula is defused
as OWASP advises (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe goes before
it. docs/findings.md explains the columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from typing import TextIO

from ..findings.model import Finding
from .attack import tactic
from .hosts import hosts_of
from .order import in_order
from .safe import ELLIPSIS, printable
from .times import iso_time
from .words import reason_words, reasons_of, sentence, value_words

# A spreadsheet's cell holds 32,767 characters and what is more may become a cell of its own.
LONGEST = 32_000

# = + - @, the minus sign, and the forms of these: full width, small, raised, low, joined.
_ACTIVE = (
    r"=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
    r"\u207c\u207a\u207b\u208c\u208a\u208b\u2a75\u2a76\ufb29"
)
# What a reader may strip or take for quoting before it looks for a formula.
_PASSED_OVER = r"\s\"'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\uff02\uff07"
# Where the list separator is a semicolon, a spreadsheet ignores our commas and cuts there.
# There a cell of ours that ends with one would begin a cell with our closing quote.
_RUNS = re.compile(rf"\A(?=[{_PASSED_OVER}]*[{_ACTIVE}])|;(?=[{_PASSED_OVER}]*(?:[{_ACTIVE}]|\Z))")


def _joined(parts: Iterable[str]) -> str:
    return " | ".join(filter(None, parts))


_COLUMNS: dict[str, Callable[[Finding], str]] = {
    "level": lambda finding: str(finding.level),
    "first_seen": lambda finding: iso_time(finding.first_seen) or "",
    "last_seen": lambda finding: iso_time(finding.last_seen) or "",
    "host_name": lambda finding: _joined(host.name for host in hosts_of(finding)),
    "host_id": lambda finding: _joined(host.id for host in hosts_of(finding)),
    "users": lambda finding: _joined(finding.users),
    "title": lambda finding: finding.title,
    "identity": lambda finding: _joined(
        f"{field}: {value_words(value)}" for field, value in finding.identity
    ),
    "why": lambda finding: _joined(map(reason_words, reasons_of(finding))),
    "count": lambda finding: str(finding.count),
    "evidence": lambda finding: _joined(str(item.where) for item in finding.evidence),
    "raised_by": lambda finding: _joined(item.title for item in finding.raised_by),
    "missing_filters": lambda finding: _joined(finding.missing_filters),
    "techniques": lambda finding: _joined(f"{item.id} {item.name}" for item in finding.techniques),
    "tactics": lambda finding: _joined(
        dict.fromkeys(tactic(slug).name for item in finding.techniques for slug in item.tactics)
    ),
    "false_positives": lambda finding: _joined(map(sentence, finding.false_positives)),
    "next_steps": lambda finding: _joined(map(sentence, finding.next_steps)),
    "rule_id": lambda finding: finding.rule,
    "rule_level": lambda finding: str(finding.rule_level),
    "rule_status": lambda finding: finding.status,
    "id": lambda finding: finding.id,
}
HEADER = tuple(_COLUMNS)


def write_csv(findings: Iterable[Finding], stream: TextIO) -> None:
    """Write the header and one row a finding, in report order.

    `stream` must not translate line ends (`newline=""`) and should be UTF-8.
    """
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(HEADER)
    for finding in in_order(findings):
        writer.writerow(harmless(column(finding)) for column in _COLUMNS.values())


def harmless(text: str) -> str:
    """A cell that no spreadsheet runs: one line, visible characters, at most 32,000 of them.

    Control and format characters, line ends and lone surrogates are shown by their number, as in
    the table. An apostrophe is put before a text, or before what follows a semicolon in it, if that
    begins with `=`, `+`, `-`, `@` or a look-alike, also after blanks and quotes; and after a
    semicolon that nothing follows.
    """
    shown = _RUNS.sub(r"\g<0>'", printable(text))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + ELLIPSIS
