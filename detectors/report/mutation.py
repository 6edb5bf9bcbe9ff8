"""What mutation found, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molehunt.levels import Level

from ..proof.mutate import Mutation
from ..proof.survivors import Reasons
from .safe import printable

FORMAT = "molehunt.mutation/1"


def scores(found: Sequence[Mutation], reasons: Reasons) -> dict[str, dict[str, int]]:
    """By level, the highest first: rules, mutants, killed, explained and unexplained survivors."""
    table: dict[str, dict[str, int]] = {}
    for level in sorted(Level, reverse=True):
        mine = [one for one in found if one.rule.level == level]
        if not mine:
            continue
        mutants = sum(len(one.verdicts) for one in mine)
        killed = sum(one.killed for one in mine)
        explained = sum((one.rule.id, m.name) in reasons for one in mine for m in one.survivors)
        table[str(level)] = {
            "rules": len(mine),
            "mutants": mutants,
            "killed": killed,
            "explained": explained,
            "unexplained": mutants - killed - explained,
        }
    return table


def mutation_lines(found: Sequence[Mutation], reasons: Reasons) -> Iterator[str]:
    """The survivors of each rule with file and line, then the score by level."""
    for one in sorted(found, key=lambda one: (-one.rule.level, one.rule.path)):
        if one.problems:
            continue
        head = f"{one.killed} of {len(one.verdicts)} killed"
        yield printable(f"{one.rule.title} ({one.rule.level}): {head}")
        for mutant in one.survivors:
            reason = reasons.get((one.rule.id, mutant.name))
            place = f"{one.rule.path}:{mutant.line}" if mutant.line else one.rule.path
            yield printable(f"    {place}: {mutant.name}")
            if reason is not None:
                yield printable(f"        {reason[0]}")
    yield ""
    yield from score_lines(scores(found, reasons))


def score_lines(table: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The score as a table."""
    names = ("rules", "mutants", "killed", "explained", "unexplained")
    yield f"{'level':<14}" + "".join(f"{name:>13}" for name in names) + f"{'score':>8}"
    total = {name: sum(row[name] for row in table.values()) for name in names}
    for level, row in (*table.items(), ("all", total)):
        share = row["killed"] / row["mutants"] if row["mutants"] else 1.0
        cells = "".join(f"{row[name]:>13,}" for name in names)
        yield f"{level:<14}{cells}{share:>8.0%}"


def mutation_json(found: Sequence[Mutation], reasons: Reasons) -> dict[str, Any]:
    """The same for machines."""
    return {
        "format": FORMAT,
        "score": scores(found, reasons),
        "rules": [
            {
                "id": one.rule.id,
                "title": one.rule.title,
                "level": str(one.rule.level),
                "path": one.rule.path,
                "mutants": [
                    {
                        "name": verdict.mutant.name,
                        "line": verdict.mutant.line,
                        "killed_by": verdict.killed_by,
                        "reason": reasons.get((one.rule.id, verdict.mutant.name), (None,))[0],
                    }
                    for verdict in one.verdicts
                ],
                "far_misses": [
                    {
                        "manifest": path,
                        "records": [list(spot) for spot in expectation.spots],
                        "why": expectation.why,
                    }
                    for path, expectation in one.far_misses
                ],
            }
            for one in found
        ],
    }
