"""What mutation found, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molehunt.levels import Level
from molehunt.rule import Rule

from ..proof.mutate import Mutation
from ..proof.survivors import Reasons, must_be_excused
from .junit import JUnitCase, junit
from .safe import printable

FORMAT = "molehunt.mutation/1"
_FAR = "kills nothing: no one change lets it in"


def scores(
    found: Sequence[Mutation], reasons: Reasons, joint: bool = False
) -> dict[str, dict[str, int]]:
    """By level, the highest first: rules, or (`joint`) correlations and joins, their mutants,
    killed, explained and unexplained survivors."""
    table: dict[str, dict[str, int]] = {}
    for level in sorted(Level, reverse=True):
        mine = [one for one in found if one.level == level and is_joint(one) is joint]
        if not mine:
            continue
        mutants = sum(len(one.verdicts) for one in mine)
        killed = sum(one.killed for one in mine)
        explained = sum((one.rule.id, m.name) in reasons for one in mine for m in one.survivors)
        table[str(level)] = {
            "correlations" if joint else "rules": len(mine),
            "mutants": mutants,
            "killed": killed,
            "explained": explained,
            "unexplained": mutants - killed - explained,
        }
    return table


def mutation_lines(found: Sequence[Mutation], reasons: Reasons) -> Iterator[str]:
    """The survivors of each rule with file and line, then the score by level."""
    for one in sorted(found, key=lambda one: (is_joint(one), -one.level, one.rule.path)):
        if one.problems:
            continue
        head = f"{one.killed} of {len(one.verdicts)} killed"
        yield printable(f"{one.rule.title} ({one.level}): {head}")
        for mutant in one.survivors:
            reason = reasons.get((one.rule.id, mutant.name))
            place = f"{one.rule.path}:{mutant.line}" if mutant.line else one.rule.path
            yield printable(f"    {place}: {mutant.name}")
            if reason is not None:
                yield printable(f"        {reason[0]}")
    for joint in (False, True):
        table = scores(found, reasons, joint)
        if table:
            yield ""
            yield from score_lines(table)


def score_lines(table: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The score as a table."""
    names = tuple(next(iter(table.values()), ()))
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
        "correlation_score": scores(found, reasons, joint=True),
        "rules": [_listed(one, reasons) for one in found if not is_joint(one)],
        "correlations": [_listed(one, reasons) for one in found if is_joint(one)],
    }


def _listed(one: Mutation, reasons: Reasons) -> dict[str, Any]:
    return {
        "id": one.rule.id,
        "title": one.rule.title,
        "level": str(one.level),
        "path": one.rule.path,
        "mutants": [
            {
                "name": verdict.name,
                "line": verdict.line,
                "killed_by": verdict.killed_by,
                "reason": reasons.get((one.rule.id, verdict.name), (None,))[0],
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


def is_joint(one: Mutation) -> bool:
    """Whether it is one of a correlation or join."""
    return not isinstance(one.rule, Rule)


def mutation_junit(found: Sequence[Mutation], reasons: Reasons) -> str:
    """Each mutant as a case of JUnit XML: it passes if it is killed.

    A survivor fails where the level asks for a reason and it has none, else it is skipped, and so
    is a near miss that kills nothing.
    """
    return junit("molehunt test --mutate", [case for one in found for case in _cases(one, reasons)])


def _cases(one: Mutation, reasons: Reasons) -> Iterator[JUnitCase]:
    title, path = one.rule.title, one.rule.path
    for problem in one.problems:
        yield JUnitCase(title, "is mutated", path, None, problem.what, str(problem))
    for verdict in one.verdicts:
        name, place = verdict.name, f"{path}:{verdict.line}" if verdict.line else path
        reason = reasons.get((one.rule.id, verdict.name), ("",))[0]
        case = JUnitCase(title, name, path, verdict.line)
        if verdict.killed_by is not None:
            yield case
        elif reason or not must_be_excused(one):
            why = reason or f"survives ({one.level}): no recording needs it"
            yield case._replace(skipped=why)
        else:
            yield case._replace(failure="mutant survives", text=f"{place}: {name}")
    for manifest, expectation in one.far_misses:
        spot = expectation.spots[0]
        name = f"near miss {spot.log}:{spot.line}"
        yield JUnitCase(title, name, manifest, None, skipped=_FAR)
