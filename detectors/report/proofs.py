"""Proofs as text: one line a rule, and the split by kind that every claim about proof carries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.rule import Rule

from ..proof.cases import Case
from ..proof.correlate import Happened
from ..proof.manifest import KINDS, Spot
from ..proof.prove import RuleProof
from .junit import JUnitCase, junit
from .safe import printable


def proof_lines(proofs: Sequence[RuleProof]) -> Iterator[str]:
    """A table of rules and correlations with their recorded proof by kind, and totals."""
    width = max((len(proof.rule.title) for proof in proofs), default=0)
    header = "  ".join(f"{kind:>9}" for kind in KINDS)
    yield f"{'':6} {'fires on records:':<{width}}  {header}  near misses"
    for proof in sorted(proofs, key=lambda p: (p.rule.path, p.rule.id)):
        state = "FAILED" if proof.problems else "proven"
        counts = "  ".join(f"{proof.positives.get(kind, 0) or '-':>9}" for kind in KINDS)
        near = sum(proof.near_misses.values())
        yield f"{state} {printable(proof.rule.title):<{width}}  {counts}  {near or '-':>11}"
    rules = [proof for proof in proofs if isinstance(proof.rule, Rule)]
    others = [proof for proof in proofs if isinstance(proof.rule, Correlation)]
    joins = [proof for proof in proofs if isinstance(proof.rule, Join)]
    for what, some in (("rules", rules), ("correlations", others), ("joins", joins)):
        if some:
            proven = sum(1 for proof in some if not proof.problems)
            best = f"strongest kind of proof: {_best(some)}"
            yield f"{proven} of {len(some)} {what} proven; {best}"


def _best(proofs: Sequence[RuleProof]) -> str:
    return ", ".join(f"{kind} {sum(1 for p in proofs if p.best == kind)}" for kind in KINDS)


def manifest_yaml(fired: Mapping[str, set[Spot]], rules: Sequence[Rule]) -> Iterator[str]:
    """What fired as the `fires` part of a manifest, to be read before it is believed."""
    yield "fires:"
    for rule in rules:
        spots = sorted(fired.get(rule.id, ()))
        if not spots:
            continue
        yield f"    - rule: {rule.id}    # {printable(rule.title)} ({rule.level})"
        yield "      records:"
        for log in sorted({spot.log for spot in spots}):
            yield from _entries(log, [spot for spot in spots if spot.log == log])


def _entries(log: str, spots: list[Spot]) -> Iterator[str]:
    plain = [spot.line for spot in spots if spot.row == 0]
    if plain:
        yield f"          - {{log: {log}, lines: {plain}}}"
    for line in sorted({spot.line for spot in spots if spot.row}):
        rows = [spot.row for spot in spots if spot.line == line and spot.row]
        yield f"          - {{log: {log}, lines: [{line}], rows: {rows}}}"


def happened_yaml(
    happened: Mapping[str, Sequence[Happened]], correlations: Sequence[Correlation | Join]
) -> Iterator[str]:
    """What correlations and joins fired, as further entries under `fires`."""
    for one in correlations:
        if isinstance(one, Correlation) and one.silent and not one.meta.context_only:
            continue
        for found in happened.get(one.id, ()):
            yield f"    - rule: {one.id}    # {printable(one.title)}"
            yield f"      group: {json.dumps(found.group)}"
            yield f"      hosts: {json.dumps(found.hosts)}"
            yield f"      count: {found.number}"
            yield "      records:"
            for log in sorted({spot.log for spot in found.spots}):
                yield from _entries(log, sorted(s for s in found.spots if s.log == log))


FORMAT = "molehunt.proof/1"


def proofs_json(proofs: Sequence[RuleProof], cases: Sequence[Case]) -> dict[str, Any]:
    """Rules with what stands behind them, and every case with what is wrong with it."""
    return {
        "format": FORMAT,
        "rules": [
            {
                "id": proof.rule.id,
                "title": proof.rule.title,
                "level": str(proof.rule.level),
                "status": proof.rule.status,
                "path": proof.rule.path,
                "proven": not proof.problems,
                "best": proof.best,
                "positives": dict(proof.positives),
                "near_misses": dict(proof.near_misses),
            }
            for proof in proofs
        ],
        "cases": [
            {
                "name": case.name,
                "rule": case.rule.id if case.rule else None,
                "recording": case.scenario or None,
                "path": case.path,
                "holds": not case.problems,
                "problems": [str(problem) for problem in case.problems],
            }
            for case in cases
        ],
    }


def proofs_junit(cases: Sequence[Case]) -> str:
    """The cases as JUnit XML."""
    return junit("molehunt test", [_junit_case(case) for case in cases])


def _junit_case(case: Case) -> JUnitCase:
    place = JUnitCase(case.scenario or "rules", case.name, case.path)
    if not case.problems:
        return place
    text = "\n".join(printable(str(problem)) for problem in case.problems)
    return place._replace(failure=case.problems[0].what, text=text)
