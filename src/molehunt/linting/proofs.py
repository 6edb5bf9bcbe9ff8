"""What the recordings say about rules: MH601 to MH603."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..levels import Level
from ..problems import Problem
from . import across
from .model import Finding
from .summary import Summary


def evidence(folder: str) -> tuple[dict[str, tuple[list[str], int]], list[Problem]]:
    """By rule id: the kinds of the records on which it must fire, and its near misses' count."""
    from molehunt.detectors.proof.manifest import load_scenarios

    scenarios, problems = load_scenarios(folder)
    kinds: dict[str, list[str]] = defaultdict(list)
    misses: dict[str, int] = defaultdict(int)
    for scenario in scenarios:
        for one in scenario.fires:
            kinds[one.rule.lower()] += [scenario.kinds.get(spot.log, "") for spot in one.spots]
        for one in scenario.near_misses:
            misses[one.rule.lower()] += len(one.spots)
    both = kinds.keys() | misses.keys()
    return {rule: (sorted(set(kinds[rule])), misses[rule]) for rule in both}, problems


def check(rules: Sequence[Summary], found: dict[str, tuple[list[str], int]]) -> Iterator[Finding]:
    """Rules without a recorded positive or near miss, or of a status that they do not bear out."""
    silent = across.silent(rules)
    for rule in rules:
        if rule.kind == "filter" or not rule.ours or {rule.id, rule.called} & silent:
            continue
        kinds, misses = found.get(rule.id, ([], 0))
        if not kinds:
            yield _finding("MH601", rule, "no recording on which this must fire")
        if not misses:
            message = "no near miss is recorded: a record that differs in the one thing"
            yield _finding("MH602", rule, message)
        if kinds == ["invented"] and rule.level >= Level.HIGH and not rule.experimental:
            message = "proven on invented records only, at a level that makes people act"
            hint = "write status: experimental, or record the real thing"
            yield Finding("MH603", message, rule.path, rule.place, rule.id, hint)


def _finding(check: str, rule: Summary, message: str) -> Finding:
    return Finding(check, message, rule.path, rule.place, rule.id, "see docs/recordings.md")
