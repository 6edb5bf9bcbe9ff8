"""The pytest plugin: plain `pytest` in a rule repository proves its rules.

It wakes up only where pytest's configuration names recordings:

    [tool.pytest.ini_options]
    molehunt_recordings = "recordings"
    molehunt_rules = ["rules"]

Then every `manifest.yml` below that folder is a file of tests, one item for each rule and
recording; the folder has one for each rule, correlation and join over all recordings. With
`--molehunt-mutate` it has another for the mutants of each.
Nothing heavy is imported before the first item is collected: every pytest run on the machine loads
this module.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from molehunt.correlation import Correlation
    from molehunt.detectors.proof.manifest import Scenario
    from molehunt.detectors.proof.plans import Plans
    from molehunt.detectors.proof.prove import Observed
    from molehunt.joins import Join
    from molehunt.problems import Problem
    from molehunt.pytest_mutation import Measuring
    from molehunt.rule import Rule, RuleSet

RECORDINGS = "molehunt_recordings"
RULES = "molehunt_rules"
MUTATE = "--molehunt-mutate"
# Records whose explanation a failure shows.
EXPLAINED = 3

_SESSION: pytest.StashKey[_Proving | None] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two settings of the configuration file, and the option that asks for mutants."""
    text = "also look which parts of the molehunt rules no recording needs (slow)"
    parser.getgroup("molehunt").addoption(MUTATE, action="store_true", help=text)
    text = "folder of molehunt recordings, from the root directory; empty: nothing is proven"
    parser.addini(RECORDINGS, text, default="")
    text = (
        "Sigma rule files and folders to prove, from the root directory (default: molehunt's own)"
    )
    parser.addini(RULES, text, type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Remember where the recordings are, if anywhere."""
    named = str(config.getini(RECORDINGS) or "").strip()
    root = config.rootpath
    found = None
    if named:
        rules = [str(root / path) for path in config.getini(RULES)]
        found = _Proving((root / named).resolve(), rules)
    config.stash[_SESSION] = found


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A manifest below the recordings is a file of tests."""
    proving = parent.config.stash.get(_SESSION, None)
    if proving is None or file_path.name != "manifest.yml":
        return None
    if proving.recordings not in file_path.resolve().parents:
        return None
    found: pytest.Collector = _Manifest.from_parent(parent, path=file_path)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The folder of the recordings also holds what is true of whole rules."""
    report = yield
    proving = collector.config.stash.get(_SESSION, None)
    if proving is None or not isinstance(collector, pytest.Dir) or not report.passed:
        return report
    if collector.path.resolve() == proving.recordings:
        report.result.append(_Rules.from_parent(collector, name="rules"))
        if collector.config.getoption(MUTATE):
            report.result.append(_Mutants.from_parent(collector, name="mutants"))
    return report


class _Proving:
    """What all items share, each made when it is first asked for."""

    def __init__(self, recordings: Path, rules: list[str]) -> None:
        self.recordings = recordings
        self._paths = rules
        self._observed: dict[Path, tuple[Scenario, Observed]] = {}
        self._loaded: dict[Path, tuple[Scenario | None, list[Problem]]] = {}

    @cached_property
    def ruleset(self) -> RuleSet:
        """The rules; pySigma is loaded here and not before."""
        from molehunt.rulefiles import builtin_rules_path
        from molehunt.ruleset import load_rules

        return load_rules(self._paths or [builtin_rules_path()])

    @cached_property
    def plans(self) -> Plans:
        """The engine over the rules, shared by the recordings."""
        from molehunt.detectors.proof.plans import Plans
        from molehunt.taxonomy import taxonomy

        return Plans(self.ruleset.rules, taxonomy())

    @cached_property
    def known(self) -> dict[str, Rule | Correlation | Join]:
        from molehunt.joins import load_joins
        from molehunt.rulefiles import builtin_rules_path

        joins, _ = load_joins(self._paths or [builtin_rules_path()], self.ruleset.rules)
        return {one.id: one for one in (*self.ruleset.both, *joins)}

    @cached_property
    def joint(self) -> list[Correlation | Join]:
        """Correlations and joins."""
        from molehunt.rule import Rule

        return [one for one in self.known.values() if not isinstance(one, Rule)]

    @cached_property
    def measuring(self) -> Measuring:
        """What goes over all sound recordings."""
        from molehunt.joins import Join
        from molehunt.pytest_mutation import Measuring

        joins = [one for one in self.joint if isinstance(one, Join)]
        manifests = sorted(self.recordings.rglob("manifest.yml"))
        scenarios = [one for one, _ in map(self.scenario, manifests) if one is not None]
        return Measuring(self.ruleset, joins, scenarios, str(self.recordings))

    def scenario(self, manifest: Path) -> tuple[Scenario | None, list[Problem]]:
        from molehunt.detectors.proof.manifest import load_scenario

        if manifest not in self._loaded:
            self._loaded[manifest] = load_scenario(str(manifest))
        return self._loaded[manifest]

    def observed(self, manifest: Path, scenario: Scenario) -> Observed:
        from molehunt.commands.common import inputs_of, make_binder
        from molehunt.detectors.proof.prove import observe_with

        if manifest not in self._observed:
            binder = make_binder(scenario.config, [])
            inputs = inputs_of(scenario, [])
            plan = self.plans.plan(scenario, binder, inputs)
            seen = observe_with(plan, scenario, self.plans.evaluator)
            self._observed[manifest] = (scenario, seen)
        return self._observed[manifest][1]

    def all_observed(self) -> Iterator[tuple[Scenario, Observed]]:
        """Every sound scenario with what happened in it."""
        for manifest in sorted(self.recordings.rglob("manifest.yml")):
            scenario, _ = self.scenario(manifest)
            if scenario is not None:
                yield scenario, self.observed(manifest, scenario)

    @cached_property
    def whole(self) -> dict[str, list[Problem]]:
        """What each rule lacks when all recordings are counted."""
        from molehunt.detectors.proof.prove import lacking, prove

        rules = self.ruleset.rules
        proofs, _ = prove(rules, list(self.all_observed()), self.known)
        for proof in proofs:
            proof.problems.clear()
        return {proof.rule.id: list(lacking(proof)) for proof in proofs}


def _proving(node: pytest.Item | pytest.Collector) -> _Proving:
    proving = node.config.stash[_SESSION]
    assert proving is not None
    return proving


class _Rules(pytest.Collector):
    """What must hold of whole rules, whatever the recording."""

    def collect(self) -> Iterator[pytest.Item]:
        from molehunt.joins import Join

        proving = _proving(self)
        yield _Item.from_parent(self, name="rules load", rule=None)
        for rule in proving.ruleset.rules:
            yield _Item.from_parent(self, name=f"{rule.title} is proven", rule=rule)
        for one in proving.joint:
            # One that only serves others is proven by theirs.
            if isinstance(one, Join) or not one.silent or one.meta.context_only:
                yield _Joint.from_parent(self, name=f"{one.title} is proven", one=one)


class _Mutants(pytest.Collector):
    """Whether some recording needs each part of each rule, correlation and join."""

    def collect(self) -> Iterator[pytest.Item]:
        yield _Mutant.from_parent(self, name="reasons for survivors are sound", one=None)
        for one in _proving(self).known.values():
            yield _Mutant.from_parent(self, name=f"{one.title} [mutants]", one=one)


class _Manifest(pytest.File):
    """One recording: an item for itself and one for each rule that its manifest names."""

    def collect(self) -> Iterator[pytest.Item]:
        proving = _proving(self)
        scenario, _ = proving.scenario(self.path)
        name = self.path.parent.name
        yield _Item.from_parent(self, name=f"{name} is sound", rule=None)
        if scenario is None:
            return
        named = {one.rule for one in (*scenario.fires, *scenario.near_misses)}
        for rule in proving.ruleset.rules:
            if rule.id in named:
                yield _Item.from_parent(self, name=f"{rule.title} [{name}]", rule=rule)
        yield _Item.from_parent(self, name=f"every other rule stays quiet [{name}]", rule=None)


class _Failed(Exception):
    """An item that does not hold, with all that is to be said."""


class _Told(pytest.Item):
    """An item that fails with what `_told` says."""

    def _told(self) -> Iterator[str]:
        raise NotImplementedError

    def runtest(self) -> None:
        told = list(self._told())
        if told:
            raise _Failed("\n".join(told))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None
    ) -> Any:
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def _titled(one: Rule | Correlation | Join, name: str) -> tuple[Path, int | None, str]:
    line = one.lines.get(("title",))
    return Path(one.path), None if line is None else line - 1, name


class _Joint(_Told):
    """A correlation or join over all recordings: it fires in the groups, and on the records, that
    the manifests list, and nowhere else."""

    def __init__(self, *, one: Correlation | Join, **more: Any) -> None:
        super().__init__(**more)
        self.one = one

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return _titled(self.one, self.name)

    def _told(self) -> Iterator[str]:
        yield from map(str, _proving(self).measuring.proven[self.one.id])


class _Mutant(_Told):
    """The mutants of a rule, correlation or join; without one, survivors.yml."""

    def __init__(self, *, one: Rule | Correlation | Join | None, **more: Any) -> None:
        super().__init__(**more)
        self.one = one

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return (self.path, None, self.name) if self.one is None else _titled(self.one, self.name)

    def _told(self) -> Iterator[str]:
        from molehunt.problems import Severity

        measuring = _proving(self).measuring
        found = measuring.reasons() if self.one is None else measuring.mutated(self.one)
        for problem in found:
            if problem.severity is Severity.ERROR:
                yield str(problem)
            else:
                self.warn(pytest.PytestWarning(str(problem)))


class _Item(_Told):
    """One proof; it fails with the problems and, for records, why the rule does so."""

    def __init__(self, *, rule: Rule | None, **more: Any) -> None:
        super().__init__(**more)
        self.rule = rule

    def reportinfo(self) -> tuple[Path, int | None, str]:
        if isinstance(self.parent, _Manifest) or self.rule is None:
            return self.path, None, self.name
        return _titled(self.rule, self.name)

    def _told(self) -> Iterator[str]:
        proving, rule = _proving(self), self.rule
        if isinstance(self.parent, _Rules):
            found = proving.whole[rule.id] if rule else proving.ruleset.problems
            yield from map(str, found)
            return
        scenario, problems = proving.scenario(self.path)
        if scenario is None or self.name.endswith(" is sound"):
            yield from map(str, problems)
        if scenario is None:
            return
        seen = proving.observed(self.path, scenario)
        if rule is not None:
            yield from _held(rule, scenario, seen)
        elif self.name.endswith(" is sound"):
            from molehunt.detectors.proof.prove import unsound

            yield from map(str, unsound(scenario, seen, proving.known))
            if scenario.at_most is not None:
                yield from map(str, _too_high(scenario, proving))
        else:
            named = {one.rule for one in (*scenario.fires, *scenario.near_misses)}
            for other in proving.ruleset.rules:
                if other.id not in named:
                    yield from _held(other, scenario, seen)


def _too_high(scenario: Scenario, proving: _Proving) -> Iterator[Problem]:
    """The findings above the level that the manifest allows."""
    from molehunt.commands.common import inputs_of, make_binder, organisation_of
    from molehunt.detectors.proof.height import findings_of, too_high
    from molehunt.joins import Join
    from molehunt.taxonomy import taxonomy

    organisation = organisation_of(scenario, [])
    joins = [one for one in proving.known.values() if isinstance(one, Join)]
    binder, inputs = make_binder(scenario.config, []), inputs_of(scenario, [])
    found = findings_of(scenario, proving.ruleset, taxonomy(), binder, organisation, joins, inputs)
    yield from too_high(scenario, found)


def _held(rule: Rule, scenario: Scenario, seen: Observed) -> Iterator[str]:
    """What is wrong with a rule on a recording, and why it does so on the first such records."""
    from molehunt.commands.common import inputs_of, make_binder
    from molehunt.detectors.proof.mutate import read_rows
    from molehunt.detectors.proof.prove import held
    from molehunt.detectors.proof.why import why
    from molehunt.taxonomy import taxonomy

    problems = held(rule, scenario, seen).problems
    if not problems:
        return
    yield from map(str, problems)
    wanted = {s for one in scenario.fires if one.rule == rule.id for s in one.spots}
    missed = {s for one in scenario.near_misses if one.rule == rule.id for s in one.spots}
    fired = seen.fired.get(rule.id, set())
    odd = sorted((wanted ^ fired) | (missed & fired))[:EXPLAINED]
    binder, inputs = make_binder(scenario.config, []), inputs_of(scenario, [])
    rows = {row.spot: row for row in read_rows(scenario, taxonomy(), binder, inputs)}
    for spot in odd:
        yield ""
        if spot in rows:
            yield from why(rule, rows[spot].row, rows[spot].bound, taxonomy())
        else:
            yield f"{scenario.path(spot.log)} has no row {spot.row} in line {spot.line}"
