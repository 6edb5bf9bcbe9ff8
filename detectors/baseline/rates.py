"""Findings per 1,000 devices and week, held against the budget of the rule's level.

With few device-weeks a count says little, so the verdict rests on exact Poisson bounds (Garwood
1936, "Fiducial limits for the Poisson distribution"), each one-sided at 95 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import exp, inf, lgamma, log

from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.rule import Rule

from ..findings.model import Finding
from ..records import Value
from ..report.words import value_words

# Alerts per 1,000 devices and week, at most: docs/rule_style.md.
BUDGET = {Level.CRITICAL: 0.05, Level.HIGH: 0.5, Level.MEDIUM: 3.0}
DEVICES = 1000
RISK = 0.05
TOP = 3

OVER = "over"
WITHIN = "within"
UNSURE = "unsure"
NONE = "no budget"


@dataclass(frozen=True, slots=True)
class Rate:
    """One rule's findings. `rate`, `low` and `high` are per 1,000 devices and week; `budget` is
    None for observations and context. `hosts` are identifiers; `top` are values with their number
    of findings."""

    rule: Rule | Correlation
    findings: int
    hosts: tuple[str, ...]
    names: tuple[str, ...]
    rate: float
    low: float
    high: float
    budget: float | None
    top: tuple[tuple[str, int], ...]

    @property
    def verdict(self) -> str:
        """`over` or `within` the budget where the data can tell, else `unsure`."""
        if self.budget is None:
            return NONE
        if self.low > self.budget:
            return OVER
        return WITHIN if self.high <= self.budget else UNSURE


def rates(
    rules: Iterable[Rule | Correlation], findings: Iterable[Finding], device_weeks: float
) -> list[Rate]:
    """A rate for each rule that could alert or did find something; the highest level first, then
    the noisiest. `device_weeks` must be above 0."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    found = [_rate(rule, by_rule.get(rule.id, []), device_weeks) for rule in rules]
    kept = [one for one in found if one.findings or one.budget is not None]
    return sorted(kept, key=lambda one: (-one.rule.level, -one.findings, one.rule.title))


def _rate(rule: Rule | Correlation, found: list[Finding], device_weeks: float) -> Rate:
    count = len(found)
    hosts = {identifier: name for one in found for identifier, name in one.all_hosts}
    low, high = bounds(count)
    per = DEVICES / device_weeks
    budget = None if rule.meta.context_only else BUDGET.get(rule.level)
    return Rate(
        rule,
        count,
        tuple(sorted(hosts)),
        tuple(sorted(set(hosts.values()))),
        count * per,
        low * per,
        high * per,
        budget,
        tuple(Counter(words for one in found for words in _values(one)).most_common(TOP)),
    )


def _values(finding: Finding) -> set[str]:
    """What a finding is about: its identity, or else what made the first record match."""
    named: list[tuple[str, Value]] = [
        (field, value) for field, value in finding.identity if value not in (None, "")
    ]
    if not named and finding.evidence:
        named = [(one.field or "any value", one.value) for one in finding.evidence[0].reasons]
    return {f"{field}: {value_words(value)}" for field, value in named}


def bounds(count: int, risk: float = RISK) -> tuple[float, float]:
    """The lowest and the highest mean for which `count` events are not too rare, each side at
    `risk`."""
    low = 0.0 if count == 0 else _root(lambda mean: 1 - _cdf(count - 1, mean) - risk, count)
    return low, _root(lambda mean: risk - _cdf(count, mean), count + 1)


def _cdf(count: int, mean: float) -> float:
    """The chance of at most `count` events."""
    if mean <= 0:
        return 1.0
    return min(1.0, sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count + 1)))


def _root(rising: Callable[[float], float], near: float) -> float:
    """Where a rising function crosses 0, to twelve digits."""
    low, high = 0.0, near + 1.0
    while rising(high) < 0 and high < inf:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def totals(found: Iterable[Rate]) -> Mapping[str, int]:
    """How many rules have which verdict."""
    return Counter(one.verdict for one in found)
