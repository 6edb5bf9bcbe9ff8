"""Subjects in, artefacts and refusals out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from molehunt.correlation import Correlation
from molehunt.processes import mapped
from molehunt.taxonomy import taxonomy

from .model import Compiled, Evidence, Profile, Refusal, Subject, Target
from .support import Support, evidence_of

NO_QUERY = "no_query"
NO_INPUT = "no_input"
HUNT_ONLY = "hunt_only"


def compile_all(target: Target, profile: Profile, made: Iterable[Subject]) -> list[Compiled]:
    """Every subject for one target. What no query of the pack feeds, or what needs an input that
    only `molehunt hunt` has, is refused before the target sees it."""

    def compiled(one: Subject) -> Compiled:
        return _general(one, target, profile) or target.compile(one, profile)

    return mapped(compiled, list(made))


def _general(one: Subject, target: Target, profile: Profile) -> Refusal | None:
    def refusal(code: str, reason: str) -> Refusal:
        return Refusal(one.rule.id, one.rule.title, target.name, profile.name, code, reason)

    if isinstance(one.rule, Correlation):
        for member in one.members:
            found = _general(member, target, profile)
            if found is not None:
                return refusal(found.code, f"member {member.rule.title}: {found.reason}")
        return None
    if one.rule.meta.inputs:
        return refusal(NO_INPUT, f"needs {', '.join(one.rule.meta.inputs)}, which no store holds")
    if not one.bounds:
        maps = taxonomy().maps(one.rule.category, one.rule.product, one.rule.service)
        if maps and not any(each.compiled for each in maps):
            return refusal(HUNT_ONLY, "no target reads this log yet; `molehunt hunt` does")
        return refusal(NO_QUERY, "no query of the pack feeds it")
    return None


def at_least(
    compiled: Iterable[Compiled],
    level: Evidence,
    known: Mapping[tuple[str, str, str], Support],
) -> list[Compiled]:
    """Artefacts with that evidence or more, and all refusals."""
    if level is Evidence.NONE:
        return list(compiled)
    kept = []
    for one in compiled:
        evidence = evidence_of(one, known)
        if evidence is None or evidence >= level:
            kept.append(one)
    return kept
