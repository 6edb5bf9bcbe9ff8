"""What a rule tells people, in Markdown, for products that show it beside the alert."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from molehunt.correlation import Correlation
from molehunt.data import read_bytes
from molehunt.lock import LOCK, parse_lock
from molehunt.rule import Rule


def guide(rule: Rule | Correlation) -> str:
    """The investigation guide: what to do, what it does not see, how to try it."""
    parts = [
        _section("Next steps", rule.meta.next_steps),
        _section("False positives", rule.false_positives),
        _section("What it does not see", rule.meta.blind_spots),
        _section("How to check that it works", rule.meta.validate),
    ]
    return "\n\n".join(filter(None, parts))


def needs(rule: Rule | Correlation) -> str:
    """What must be collected for the rule."""
    tables = ", ".join(f"`{table}`" for table in rule.meta.tables)
    lines = ["osquery with molehunt's pack (`backends/osquery/molehunt.conf`)."]
    if tables:
        lines.append(f"Tables: {tables}.")
    if rule.meta.min_version:
        lines.append(f"osquery {rule.meta.min_version} or newer.")
    if rule.meta.flags:
        lines.append("osqueryd options: " + " ".join(f"`{flag}`" for flag in rule.meta.flags))
    lines.append("Snapshots must be logged as events (`--logger_snapshot_event_type=true`).")
    return "\n\n".join(lines)


def _section(title: str, items: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {item}" for item in items) if items else ""


@cache
def _locked() -> dict[str, int]:
    entries, _ = parse_lock(read_bytes(LOCK).decode().splitlines())
    return {rule: entry.version for rule, entry in entries.items()}


def version(rule: Rule | Correlation) -> int:
    """The version of a shipped rule by the rule lock; 1 of any other."""
    return _locked().get(rule.id, 1)
