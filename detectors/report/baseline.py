"""A baseline as a table and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..baseline.census import Census
from ..baseline.rates import NONE, OVER, UNSURE, WITHIN, Rate, totals
from .machine import plain
from .safe import printable

FORMAT = "molehunt.baseline/1"


def baseline_lines(found: Sequence[Rate], census: Census) -> Iterator[str]:
    """What was measured, then a line for each rule with findings and its top values."""
    weeks = census.device_weeks
    days = f"{len(census.days):,} days of hosts"
    yield f"{len(census.hosts):,} hosts, {days} = {weeks:,.1f} device-weeks"
    yield ""
    yield f"{'per 1,000 devices and week':>36}"
    head = f"{'rate (95 % bounds)':>28}  {'budget':>7}  {'verdict':<9}"
    yield f"{'findings':>8}  {'hosts':>6}  {head}  rule"
    for one in found:
        if not one.findings:
            continue
        span = f"{one.rate:,.2f} ({one.low:,.2f} to {one.high:,.2f})"
        budget = "-" if one.budget is None else f"{one.budget:g}"
        yield printable(
            f"{one.findings:>8,}  {len(one.hosts):>6,}  {span:>28}  {budget:>7}  {one.verdict:<9}  "
            f"{one.rule.title} ({one.rule.level})"
        )
        for words, count in one.top:
            yield printable(f"{'':>8}  {count:>6,} × {words}", 118)
    yield ""
    counts = totals(found)
    listed = ", ".join(f"{counts[name]} {name}" for name in (OVER, WITHIN, UNSURE, NONE))
    quiet = sum(not one.findings for one in found)
    yield f"rules: {listed}; {quiet} of them found nothing"


def baseline_json(found: Sequence[Rate], census: Census) -> Any:
    """The same for machines; every rule with a budget is in it."""
    return plain(
        {
            "format": FORMAT,
            "hosts": len(census.hosts),
            "host_days": len(census.days),
            "device_weeks": census.device_weeks,
            "rows_without_time": census.timeless,
            "first": census.first,
            "last": census.last,
            "rules": [
                {
                    "id": one.rule.id,
                    "title": one.rule.title,
                    "level": str(one.rule.level),
                    "subject": one.rule.meta.subject,
                    "findings": one.findings,
                    "hosts": list(one.hosts),
                    "rate": one.rate,
                    "low": one.low,
                    "high": one.high,
                    "budget": one.budget,
                    "verdict": one.verdict,
                    "top": [{"value": words, "findings": count} for words, count in one.top],
                }
                for one in found
            ],
        }
    )
