"""Mutation of correlations and joins: which of their parts some recording needs.

The rules are matched once. A mutant is evaluated with what it refers to and what refers to it; it
is killed where one of them, in any recording, does not do what the manifest says: other groups,
other records, other hosts or another count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from molehunt.correlation import Correlation
from molehunt.joins import Join
from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.references import tie
from molehunt.rule import RuleSet
from molehunt.taxonomy import SUBJECT
from molehunt.yamlfile import read_file

from ..values import fold
from .correlate import Gathered, Happened, together
from .manifest import Expectation, Scenario, Spot
from .mutate import Mutation, Verdict
from .turned import Turned, loosened_joint, turned

# What happened in a recording, by the id of the correlation or join.
Outcome = dict[str, tuple[Happened, ...]]
# Near misses that nothing let in yet, numbered.
_Far = dict[int, tuple[Gathered, Expectation]]


def widened(ruleset: RuleSet) -> RuleSet:
    """The rules asked for every field that any correlation knows, so that what was matched once
    serves every mutant."""
    names: dict[str, None] = {}
    for one in ruleset.correlations:
        names.update(dict.fromkeys((*one.group_by, *one.value_fields, *one.aliases)))
        for fields in one.aliases.values():
            names.update(dict.fromkeys(fields.values()))
    names.pop(SUBJECT, None)
    referred = {reference for one in ruleset.correlations for reference in one.rules}
    rules = tuple(
        replace(rule, asked=tuple(dict.fromkeys((*rule.asked, *names))))
        if rule.id in referred
        else rule
        for rule in ruleset.rules
    )
    return replace(ruleset, rules=rules)


def outcomes(
    ruleset: RuleSet, joins: Sequence[Join], recorded: Sequence[Gathered]
) -> dict[str, Outcome]:
    """What happens in each recording as the rules are, by its folder."""
    return {
        gathered.scenario.folder: together(gathered, ruleset, joins)[0]
        for gathered in recorded
        if gathered.matches
    }


def mutate_joint(
    ones: Sequence[Correlation | Join],
    ruleset: RuleSet,
    joins: Sequence[Join],
    recorded: Sequence[Gathered],
    before: Mapping[str, Outcome] | None = None,
) -> Iterator[Mutation]:
    """Try every mutant of each of `ones` on all recordings. `recorded` was gathered with `widened`
    rules; `before` is what `outcomes` says of it, for who calls more than once.

    One that does not do what the manifests say is not mutated: that would measure nothing.
    """
    bases = outcomes(ruleset, joins, recorded) if before is None else before
    for one in ones:
        yield _Trial(one, ruleset, joins, recorded, bases).mutation()


def sourced(one: Correlation) -> Correlation:
    """A correlation with its source, which kept ones do not have."""
    documents, _ = read_file(one.path)
    for document in documents:
        if isinstance(document.data, dict) and str(document.data.get("id")) == one.id:
            return replace(one, raw=document.data, lines=document.lines)
    return one


def _around(
    one: Correlation, correlations: Sequence[Correlation]
) -> tuple[list[Correlation], list[Correlation]]:
    """It and all above it; and these with all that they need. In the order of `correlations`."""
    above = {one.id}
    for other in correlations:  # Those referred to stand first.
        if above & set(other.rules):
            above.add(other.id)
    needed = set(above)
    for other in reversed(correlations):
        if other.id in needed:
            needed |= set(other.rules)
    return (
        [other for other in correlations if other.id in above],
        [other for other in correlations if other.id in needed],
    )


class _Trial:
    """One correlation or join on all recordings."""

    def __init__(
        self,
        one: Correlation | Join,
        ruleset: RuleSet,
        joins: Sequence[Join],
        recorded: Sequence[Gathered],
        bases: Mapping[str, Outcome],
    ) -> None:
        self._one, self._bases = one, bases
        self._joins = tuple(joins) if isinstance(one, Join) else ()
        self._above: list[Correlation] = []
        self._needed: list[Correlation] = []
        if isinstance(one, Correlation):
            self._above, self._needed = _around(one, ruleset.correlations)
        self._told = [o.id for o in self._above if not o.silent or o.meta.context_only]
        if isinstance(one, Join):
            self._told = [one.id]
        used = {rule for other in self._needed for rule in other.rules}
        used |= {rule for join in self._joins for rule in join.uses}
        self._rules = tuple(rule for rule in ruleset.rules if rule.id in used)
        self._known = {other.id: other for other in self._needed}
        own = self._leaves(one.rules if isinstance(one, Correlation) else one.uses)
        self._places = [_only(place, used) for place in recorded if own & place.events.keys()]

    def _leaves(self, references: Iterable[str]) -> set[str]:
        """The rules behind references."""
        found: set[str] = set()
        for reference in references:
            below = self._known.get(reference)
            found |= {reference} if below is None else self._leaves(below.rules)
        return found

    def mutation(self) -> Mutation:
        """All its mutants, and the near misses that none lets in."""
        found = Mutation(self._one, self._level())
        if any(self._wrong(gathered.scenario, self._base(gathered)) for gathered in self._places):
            what = "does not do what the manifests say, so it was not mutated"
            hint = "run molehunt test without --mutate"
            found.problems.append(Problem(what, self._one.path, rule=self._one.id, hint=hint))
            return found
        misses = [
            (gathered, expectation)
            for gathered in self._places
            for expectation in gathered.scenario.near_misses
            if expectation.rule == self._one.id
        ]
        far: _Far = dict(enumerate(misses))
        for mutant in turned(self._one):
            found.verdicts.append(self._verdict(mutant, far))
        self._let_in(far)
        found.far_misses = [
            (gathered.scenario.path("manifest.yml"), expectation)
            for gathered, expectation in far.values()
        ]
        return found

    def _level(self) -> Level:
        """Of a join its highest level; of one that only serves others, theirs."""
        if isinstance(self._one, Join):
            return max(level for _, level in self._one.levels)
        above = [other.level for other in self._above if not other.silent]
        return max(above, default=self._one.level)

    def _verdict(self, mutant: Turned, far: _Far) -> Verdict:
        run = self._runner(mutant.one)
        for place in self._places:
            if run is None or self._same_there(mutant.one, place):
                continue
            outcome = run(place)
            self._strike(far, place, outcome)
            if self._differs(place.scenario, self._base(place), outcome, mutant.regrouped):
                return Verdict(mutant.name, mutant.line, place.scenario.path("manifest.yml"))
        return Verdict(mutant.name, mutant.line, None)

    def _let_in(self, far: _Far) -> None:
        """Take out the near misses that come together where it, or what it refers to, is read more
        loosely, or where nothing is approved."""
        below = [other for other in self._needed if other not in self._above]
        for one in (self._one, *below):
            for looser in loosened_joint(one):
                run = self._runner(looser) if far else None
                if run is not None:
                    for place in _places(far):
                        self._strike(far, place, run(place))
        run = self._runner(self._one)
        if run is not None:
            for place in _places(far):
                everything = tuple((match, True) for match, _ in place.matches)
                free = place._replace(organisation=None, matches=everything)
                self._strike(far, place, run(free))

    def _same_there(self, changed: Correlation | Join, place: Gathered) -> bool:
        """Whether a mutant plainly finds the same in a recording: it only lacks a rule that has no
        match there."""
        one = self._one
        if isinstance(one, Join) or isinstance(changed, Join):
            return False
        gone = [
            rule
            for ref, rule in zip(one.refers, one.rules, strict=True)
            if ref not in changed.refers
        ]
        if not gone or one.comparisons != changed.comparisons:
            return False
        return not self._leaves(gone) & place.events.keys()

    def _strike(self, far: _Far, gathered: Gathered, outcome: Outcome) -> None:
        """Take out the near misses that came together. A join shows only what first tied hosts."""
        found = outcome.get(self._one.id, ())
        for number, (place, expectation) in list(far.items()):
            spots, shown = set(expectation.spots), isinstance(self._one, Join)
            if place is gathered and any(
                spots & one.spots if shown else spots <= one.spots for one in found
            ):
                del far[number]

    def _base(self, gathered: Gathered) -> Outcome:
        return self._bases.get(gathered.scenario.folder, {})

    def _runner(self, changed: Correlation | Join) -> Callable[[Gathered], Outcome] | None:
        """What runs a mutant in the place of the original; None if it leaves nothing to run."""
        if isinstance(changed, Join):
            joins = [changed if other.id == changed.id else other for other in self._joins]
            return lambda place: together(place, RuleSet(()), joins)[0]
        listed = [changed if other.id == changed.id else other for other in self._needed]
        problems: list[Problem] = []
        tied = tie(self._rules, listed, problems)
        ruleset = RuleSet(tied.rules, tied.correlations)
        return None if problems else lambda place: together(place, ruleset)[0]

    def _wrong(self, scenario: Scenario, outcome: Outcome) -> bool:
        """Whether the manifest says anything else than what happened."""
        for told in self._told:
            wanted: dict[tuple[str, ...], set[Spot]] = {}
            for expectation in scenario.fires:
                if expectation.rule == told:
                    key = tuple(map(fold, expectation.group or ()))
                    wanted.setdefault(key, set()).update(expectation.spots)
            found = {tuple(map(fold, h.group)): set(h.spots) for h in outcome.get(told, ())}
            if wanted != found:
                return True
        return False

    def _differs(
        self, scenario: Scenario, base: Outcome, outcome: Outcome, regrouped: bool
    ) -> bool:
        for told in self._told:
            without = regrouped and told == self._one.id
            stated = {tuple(map(fold, e.group or ())): e for e in scenario.fires if e.rule == told}
            before, after = (
                _told(found.get(told, ()), stated, without) for found in (base, outcome)
            )
            if before != after:
                return True
        return False


def _told(
    happened: Sequence[Happened],
    stated: Mapping[tuple[str, ...], Expectation],
    without_groups: bool,
) -> set[tuple[object, ...]]:
    """What a manifest says of it. Without groups, only which records came together."""
    if without_groups:
        return {(one.spots,) for one in happened}
    found: set[tuple[object, ...]] = set()
    for one in happened:
        key = tuple(map(fold, one.group))
        said = stated.get(key)
        hosts = tuple(map(fold, one.hosts)) if said is not None and said.hosts is not None else ()
        count = one.number if said is not None and said.count is not None else None
        found.add((key, one.spots, hosts, count))
    return found


def _places(far: _Far) -> list[Gathered]:
    """The recordings of near misses."""
    return list({id(place): place for place, _ in far.values()}.values())


def _only(gathered: Gathered, used: set[str]) -> Gathered:
    """Without the matches of other rules, but for the latest: they say how far the logs go."""
    timed = [(m.record.at, takes_part) for m, takes_part in gathered.matches if m.record.at]
    last = {
        max((at for at, takes_part in timed if takes_part), default=None),
        max((at for at, _ in timed), default=None),
    }
    kept = tuple(
        (match, takes_part)
        for match, takes_part in gathered.matches
        if match.rule.id in used or match.record.at in last
    )
    return gathered._replace(matches=kept)
