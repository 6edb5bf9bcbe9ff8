"""What went wrong, where, and what to do next; collected as values and shown together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error` means something was left out; `warning` means all was used, but look at this."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect in rules or input.

    `path` is the file as the user named it, `line` counts from 1, `rule` is a rule id,
    `hint` says what to do next.
    """

    what: str
    path: str = ""
    line: int | None = None
    rule: str | None = None
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = self.path + (f":{self.line}" if self.line else "")
        head = (
            f"{place}: {self.severity}: {self.what}" if place else f"{self.severity}: {self.what}"
        )
        tail = f" [rule {self.rule}]" if self.rule else ""
        return head + tail + (f"; {self.hint}" if self.hint else "")


class MolehuntError(Exception):
    """Base of every error that molehunt raises on purpose; its text is meant for people."""


class UsageError(MolehuntError):
    """The command was called in a way that cannot work; exit code 3."""
