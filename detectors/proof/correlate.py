"""Prove correlations and joins on recordings: each fires in the groups, and on the records, that
the manifest lists, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.problems import Problem
from molehunt.rule import RuleSet
from molehunt.taxonomy import Taxonomy

from ..correlating.correlator import EVERYTHING, Correlated, Correlator
from ..enriching.inputs import NO_INPUTS, Inputs
from ..findings.fold import Folder
from ..findings.model import Finding
from ..findings.organisation import Organisation
from ..joins.facts import facts_of
from ..joins.together import Together
from ..matching.match import Match
from ..reading.inputs import blocks
from ..schedule.binding import Binder
from ..values import fold
from .manifest import Expectation, Scenario, Spot
from .plans import Plans
from .prove import RuleProof, lacking, place


class Happened(NamedTuple):
    """A correlation fired: group values, hosts (sorted), number of events, contributing records."""

    group: tuple[str, ...]
    hosts: tuple[str, ...]
    number: int
    spots: frozenset[Spot]


class Correlations(NamedTuple):
    """What happened in one scenario by correlation id, and the events that each could count."""

    happened: Mapping[str, tuple[Happened, ...]]
    events: Mapping[str, frozenset[Spot]]
    problems: tuple[Problem, ...] = ()


class Gathered(NamedTuple):
    """What the correlations and joins of one scenario are made from: every match of a rule that one
    of them uses, and whether it takes part, which an approved one does not. `events` are the
    records of each rule, `logs` has the name of each log by its path."""

    scenario: Scenario
    organisation: Organisation | None
    matches: tuple[tuple[Match, bool], ...]
    events: Mapping[str, frozenset[Spot]]
    logs: Mapping[str, str]


def gather(
    scenario: Scenario,
    plans: Plans,
    binder: Binder,
    organisation: Organisation | None,
    inputs: Inputs = NO_INPUTS,
) -> Gathered:
    """Match the rules that correlations and joins use over one scenario, by the engine. Scenarios
    share `plans`, which are of `plans_for`.

    Nothing is gathered from samples that mean nothing together.
    """
    logs = {scenario.path(log): log for log in scenario.kinds}
    if not scenario.correlate:
        return Gathered(scenario, organisation, (), {}, logs)
    plan = plans.plan(scenario, binder, inputs)
    folder, events = Folder(organisation), dict[str, set[Spot]]()
    matches: list[tuple[Match, bool]] = []
    for path, log in logs.items():
        # Broken lines were told when the rules were proven.
        for match in plan.matches(blocks(path, _ignored), _ignored):
            where = match.record.locator
            events.setdefault(match.rule.id, set()).add(Spot(log, where.line, where.row))
            matches.append((match, folder.add(match)))
    kept = {rule: frozenset(spots) for rule, spots in events.items()}
    return Gathered(scenario, organisation, tuple(matches), kept, logs)


def plans_for(ruleset: RuleSet, taxonomy: Taxonomy, joins: Sequence[Join] = ()) -> Plans:
    """Plans of the rules that correlations and joins use."""
    referred = {reference for one in ruleset.correlations for reference in one.rules}
    referred |= {rule for one in joins for rule in one.uses}
    return Plans([rule for rule in ruleset.rules if rule.id in referred], taxonomy)


def together(
    gathered: Gathered, ruleset: RuleSet, joins: Sequence[Join] = ()
) -> tuple[dict[str, tuple[Happened, ...]], tuple[Problem, ...]]:
    """Run correlations and joins over what was gathered, as a hunt does: what happened by id."""
    happened: dict[str, list[Happened]] = {}
    logs, problems = gathered.logs, list[Problem]()
    stood = Together(joins, gathered.organisation, sys.maxsize)
    with Correlator(ruleset, gathered.organisation, EVERYTHING) as correlator:
        for match, takes_part in gathered.matches:
            stood.extend(facts_of(match, joins))
            if takes_part:
                correlator.add(match)
        for found in correlator.results():
            happened.setdefault(found.correlation.id, []).append(_happened(found, logs))
        problems += correlator.problems()
    for finding, _ in stood.findings():
        happened.setdefault(finding.rule, []).append(_stood(finding, logs))
    problems += stood.problems()
    return {key: tuple(value) for key, value in happened.items()}, tuple(problems)


def correlate(
    scenario: Scenario,
    ruleset: RuleSet,
    plans: Plans,
    binder: Binder,
    organisation: Organisation | None,
    joins: Sequence[Join] = (),
    inputs: Inputs = NO_INPUTS,
) -> Correlations:
    """Run all correlations and joins over one scenario, by the engine, as a hunt does.

    Approved records take no part, yet are named in `events`, so that an approved one can be a near
    miss.
    """
    gathered = gather(scenario, plans, binder, organisation, inputs)
    if not gathered.matches:
        return Correlations({}, {})
    happened, problems = together(gathered, ruleset, joins)
    seen: dict[str, frozenset[Spot]] = dict(gathered.events)
    nothing: frozenset[Spot] = frozenset()
    for one in joins:
        seen[one.id] = nothing.union(*(seen.get(rule, ()) for rule in one.uses))
    for correlation in ruleset.correlations:
        seen[correlation.id] = nothing.union(*(seen.get(ref, ()) for ref in correlation.rules))
    return Correlations(happened, seen, problems)


def _ignored(problem: Problem) -> None:
    pass


def _happened(found: Correlated, logs: Mapping[str, str]) -> Happened:
    return Happened(
        found.group,
        tuple(sorted({who.host for who in found.who})),
        found.count,
        frozenset(Spot(logs[one.where.file], one.where.line, one.where.row) for one in found.shown),
    )


def _stood(found: Finding, logs: Mapping[str, str]) -> Happened:
    return Happened(
        tuple(str(value) for _, value in found.identity),
        tuple(host for host, _ in found.all_hosts),
        found.count,
        frozenset(
            Spot(logs[one.where.file], one.where.line, one.where.row) for one in found.evidence
        ),
    )


def prove_correlations(
    correlations: Sequence[Correlation | Join], seen: Sequence[tuple[Scenario, Correlations]]
) -> list[RuleProof]:
    """Hold what happened against what the manifests say.

    One that only serves others has no finding; it is proven by theirs and not asked for here.
    """
    proofs = []
    for one in correlations:
        if isinstance(one, Correlation) and one.silent and not one.meta.context_only:
            continue
        proof = RuleProof(one)
        for scenario, found in seen:
            proof.problems += found.problems
            _hold(proof, one, scenario, found)
        proof.problems += lacking(proof)
        proofs.append(proof)
    return proofs


def _hold(
    proof: RuleProof, one: Correlation | Join, scenario: Scenario, found: Correlations
) -> None:
    path = scenario.path("manifest.yml")
    happened = {_key(each.group): each for each in found.happened.get(one.id, ())}
    wanted: dict[tuple[str, ...], list[Expectation]] = {}
    for expectation in (each for each in scenario.fires if each.rule == one.id):
        if expectation.group is None:
            what = "a correlation's entry names its group: the values of its group-by fields"
            proof.problems.append(Problem(what, path, rule=one.id))
        else:
            wanted.setdefault(_key(expectation.group), []).append(expectation)
    for key in sorted(set(happened) - set(wanted)):
        what = f"fires in group {_text(happened[key].group)}, which the manifest does not list"
        what += f": {_places(scenario, happened[key].spots)}"
        proof.problems.append(Problem(what, path, rule=one.id))
    for key, expectations in sorted(wanted.items()):
        for what in _wrong(scenario, expectations, happened.get(key)):
            proof.problems.append(Problem(what, path, rule=one.id))
        for spot in happened[key].spots if key in happened else ():
            kind = scenario.kinds[spot.log]
            proof.positives[kind] = proof.positives.get(kind, 0) + 1
    for expectation in (each for each in scenario.near_misses if each.rule == one.id):
        what = _missed(scenario, expectation, one, found)
        if what:
            proof.problems.append(Problem(what, path, rule=one.id))
        else:
            kind = scenario.kinds[expectation.spots[0].log]
            proof.near_misses[kind] = proof.near_misses.get(kind, 0) + 1


def _wrong(
    scenario: Scenario, wanted: Sequence[Expectation], happened: Happened | None
) -> Iterator[str]:
    group = _text(wanted[0].group or ())
    if happened is None:
        yield f"should fire in group {group} but does not"
        return
    spots = {spot for expectation in wanted for spot in expectation.spots}
    if missing := spots - happened.spots:
        yield f"group {group}: should count {_places(scenario, missing)} but does not"
    if more := happened.spots - spots:
        yield f"group {group}: counts {_places(scenario, more)}, which the manifest does not list"
    for expectation in wanted:
        hosts = expectation.hosts
        if hosts is not None and set(map(fold, hosts)) != set(map(fold, happened.hosts)):
            yield f"group {group}: the hosts are {', '.join(happened.hosts)}"
        if expectation.count is not None and expectation.count != happened.number:
            yield f"group {group}: the count is {happened.number}, not {expectation.count}"


def _missed(
    scenario: Scenario, expectation: Expectation, one: Correlation | Join, found: Correlations
) -> str:
    """What is wrong with a near miss: records that are events of the correlation and that it must
    not bring together."""
    spots = set(expectation.spots)
    if other := spots - found.events.get(one.id, frozenset()):
        return f"near miss: {_places(scenario, other)} is no event of the correlation"
    for happened in found.happened.get(one.id, ()):
        if spots <= happened.spots:
            where = _places(scenario, spots)
            return f"near miss fires: group {_text(happened.group)} counts {where}"
    return ""


def _key(group: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(fold, group))


def _text(group: Sequence[str]) -> str:
    return f"[{', '.join(group)}]"


def _places(scenario: Scenario, spots: frozenset[Spot] | set[Spot]) -> str:
    shown = sorted(spots)
    text = ", ".join(place(scenario, spot) for spot in shown[:4])
    return text + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
