"""Hold what an engine found against what the rule matches, record by record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from molehunt.problems import Problem, Severity

from .corpus import Corpus
from .model import Answer, Artefact, Engine, Evidence, Profile
from .support import Support, digest

SHOWN = 3
Group: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one engine says of one artefact.

    `evidence` is what it is worth. `missed` are places of records that the rule matches and the
    query did not find, `extra` the others way round; both empty if they agree. Of a correlation
    there are groups instead.
    """

    artefact: Artefact
    engine: str
    evidence: Evidence
    missed: tuple[int, ...] = ()
    extra: tuple[int, ...] = ()
    error: str = ""
    positives: int = 0
    missed_groups: tuple[Group, ...] = ()
    extra_groups: tuple[Group, ...] = ()

    @property
    def disagrees(self) -> bool:
        """Whether query and rule differ on a record, or the engine would not run it."""
        groups = self.missed_groups or self.extra_groups
        return bool(self.missed or self.extra or groups or self.error)


def prove(
    engine: Engine, profile: Profile, artefacts: Sequence[Artefact], corpus: Corpus
) -> list[Verdict]:
    """Start an engine, load the records, and judge every answer. Engine failures come through."""
    by_rule = {artefact.rule: artefact for artefact in artefacts}
    with engine.open(profile) as session:
        session.load(corpus.records)
        return [
            judge(by_rule[answer.rule], engine, answer, corpus.matched, corpus.groups)
            for answer in session.ask(artefacts)
        ]


def judge(
    artefact: Artefact,
    engine: Engine,
    answer: Answer,
    matched: Mapping[str, frozenset[int]],
    groups: Mapping[str, frozenset[Group]] = MappingProxyType({}),
) -> Verdict:
    """The verdict on one answer.

    Agreement is worth what the engine is only if something was to be found; else it has shown no
    more than that it accepts the query. Of correlations the groups are compared.
    """
    if answer.error:
        return Verdict(artefact, engine.name, Evidence.NONE, error=answer.error)
    if answer.groups is not None:
        return _judge_groups(artefact, engine, answer.groups, groups.get(artefact.rule))
    if answer.found is None:
        known = min(engine.evidence, Evidence.PARSER) if answer.accepted else Evidence.NONE
        return Verdict(artefact, engine.name, known)
    expected = matched.get(artefact.rule)
    if expected is None:
        return Verdict(artefact, engine.name, min(engine.evidence, Evidence.PARSER))
    missed = tuple(sorted(expected - answer.found))
    extra = tuple(sorted(answer.found - expected))
    if missed or extra:
        return Verdict(artefact, engine.name, Evidence.NONE, missed, extra)
    known = engine.evidence if expected else min(engine.evidence, Evidence.PARSER)
    return Verdict(artefact, engine.name, known, positives=len(expected))


def _judge_groups(
    artefact: Artefact,
    engine: Engine,
    found: frozenset[Group],
    expected: frozenset[Group] | None,
) -> Verdict:
    if expected is None:
        return Verdict(artefact, engine.name, min(engine.evidence, Evidence.PARSER))
    missed, extra = tuple(sorted(expected - found)), tuple(sorted(found - expected))
    if missed or extra:
        return Verdict(
            artefact, engine.name, Evidence.NONE, missed_groups=missed, extra_groups=extra
        )
    known = engine.evidence if expected else min(engine.evidence, Evidence.PARSER)
    return Verdict(artefact, engine.name, known, positives=len(expected))


def best(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str], Support]:
    """The strongest evidence of each artefact; one disagreement anywhere leaves none."""
    found: dict[tuple[str, str, str], Support] = {}
    spoilt: set[tuple[str, str, str]] = set()
    for verdict in verdicts:
        artefact = verdict.artefact
        key = (artefact.target, artefact.profile, artefact.rule)
        one = Support(*key, verdict.evidence, digest(artefact), verdict.engine)
        if verdict.disagrees:
            spoilt.add(key)
            found[key] = one._replace(evidence=Evidence.NONE, engine="")
        elif key not in spoilt and (key not in found or _weaker(found[key], one)):
            found[key] = one
    return found


def _weaker(one: Support, other: Support) -> bool:
    return (one.evidence or 0) < (other.evidence or 0)


def disagreements(verdicts: Iterable[Verdict], corpus: Corpus) -> Iterator[Problem]:
    """Each disagreement in words: the record, both verdicts, the query."""
    for verdict in verdicts:
        artefact = verdict.artefact
        name = f"{artefact.target} ({artefact.profile}) on {verdict.engine}"
        if verdict.error:
            what = f"{name} does not run the query: {verdict.error}"
            yield Problem(what, artefact.title, rule=artefact.rule)
        for groups, text in (
            (verdict.missed_groups, "does not find a group in which the correlation holds"),
            (verdict.extra_groups, "finds a group in which the correlation does not hold"),
        ):
            for group in groups[:SHOWN]:
                more = f" ({len(groups) - SHOWN} more)" if len(groups) > SHOWN else ""
                what = f"{name} {text}: {', '.join(group)}{more}"
                yield Problem(what, artefact.title, rule=artefact.rule)
        for places, text in (
            (verdict.missed, "does not find a record that the rule matches"),
            (verdict.extra, "finds a record that the rule does not match"),
        ):
            for place in places[:SHOWN]:
                record = corpus.records[place]
                more = f" ({len(places) - SHOWN} more)" if len(places) > SHOWN else ""
                yield Problem(
                    f"{name} {text}: {record.query} {dict(record.values)}{more}",
                    record.locator.file,
                    record.locator.line,
                    artefact.rule,
                    f"molehunt explain {artefact.rule[:8]} {record.locator.file}:"
                    f"{record.locator.line} shows why",
                )


def weakened(
    found: Mapping[tuple[str, str, str], Support], known: Mapping[tuple[str, str, str], Support]
) -> Iterator[Problem]:
    """Lines that are not as locked: evidence lost, gained, or of another artefact."""
    for key, line in sorted(found.items()):
        before = known.get(key)
        if before != line:
            said = "nothing" if before is None else str(before)
            yield Problem(
                f"the support lock has {said}, now it is {line}",
                "backends/support.lock",
                rule=line.rule,
                hint="read the change, then: molehunt prove --update",
            )


def not_had(engine: Engine, why: str, required: bool) -> Problem:
    """That an engine was not there to prove on: an error where it must be."""
    severity = Severity.ERROR if required else Severity.WARNING
    return Problem(f"NOT PROVEN on {engine.name}: {why}", severity=severity)
