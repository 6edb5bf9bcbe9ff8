"""What reports say about a finding in words, as plain text that is not yet safe to show."""

from __future__ import annotations

from collections.abc import Iterable

from ..findings.model import Evidence, Finding, Reason
from ..records import Value
from ..values import as_text


def value_words(value: Value) -> str:
    """A logged value as one text; the items of a list are joined by commas."""
    return ", ".join(map(as_text, value)) if isinstance(value, tuple) else as_text(value)


def reason_words(reason: Reason) -> str:
    """`field wanted: value`, as in `Image ends with '/x11vnc': /usr/bin/x11vnc`."""
    head = f"{reason.field or 'any value'} {reason.wanted}"
    value = value_words(reason.value)
    return f"{head}: {value}" if value else head


def reasons_of(finding: Finding) -> tuple[Reason, ...]:
    """The reasons of the first record kept, each once, in the rule's order."""
    first: Iterable[Evidence] = finding.evidence[:1]
    return tuple(dict.fromkeys(reason for item in first for reason in item.reasons))


def sentence(text: str) -> str:
    """A text that a rule file breaks into lines, in one line."""
    return " ".join(text.split())
