"""`molehunt diff`: what changed in rules, compiled queries and fired recordings."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from molehunt.detectors.proof.manifest import Scenario, load_scenarios
from molehunt.detectors.proof.prove import observe

from ..data import load_yaml
from ..diffing.changes import Place, fired_changes, gate, query_changes, rule_changes
from ..diffing.render import Changes, as_markdown, as_text
from ..diffing.revision import extract
from ..exits import Exit
from ..lock import LOCK, Entry, parse_lock
from ..problems import Problem, UsageError
from ..rule import Rule, RuleSet
from ..ruleset import load_rules
from ..taxonomy import taxonomy
from ..yamlloader import SAFE_LOADER
from .common import inputs_of, make_binder, put, show

DEPRECATED = "deprecated.yml"
Fired = Mapping[str, frozenset[Place]]


def run(options: Namespace) -> Exit:
    """Compare the working tree with a revision; with --check hold the lock against its rules."""
    paths = options.rules or ["rules"]
    for path in paths:
        if not Path(path).exists():
            raise UsageError(f"--rules: no such file or folder: {path}")
    problems: list[Problem] = []
    with TemporaryDirectory() as folder:
        there = extract(options.revision, paths, Path(folder))
        old = load_rules(there) if there else RuleSet(())
        new = load_rules(paths)
        problems += new.problems
        changes = Changes(
            options.revision,
            rule_changes(old.both, new.both),
            _queries(options.target, there, old, new),
            _fired(options.recordings, old, new, problems),
            options.target,
        )
        if options.check:
            problems += _gate(there, paths)
    if options.format == "markdown":
        put(options.output, as_markdown(changes))
    else:
        put(options.output, "\n".join(as_text(changes)) + "\n")
    return show(problems)


def _queries(wanted: Sequence[str], there: Sequence[str], old: RuleSet, new: RuleSet) -> list[Any]:
    if not wanted:
        return []
    from molehunt.backends.compiling import compile_all
    from molehunt.backends.subjects import subjects

    from .compile import pick

    before, after = [], []
    made = [
        subjects(old, _manifest(there), taxonomy()),
        subjects(new, load_yaml("pack.yml"), taxonomy()),
    ]
    for word in wanted:
        target, profile = pick(word)
        before += compile_all(target, profile, made[0])
        after += compile_all(target, profile, made[1])
    return query_changes(before, after)


def _manifest(there: Sequence[str]) -> Any:
    """The pack as it was, if the revision had one among its rules, else as it is."""
    for path in there:
        file = Path(path, "pack.yml")
        if file.is_file():
            return yaml.load(file.read_bytes(), SAFE_LOADER)  # noqa: S506 - one of the safe ones
    return load_yaml("pack.yml")


def _fired(folder: str, old: RuleSet, new: RuleSet, problems: list[Problem]) -> list[Any]:
    """What rules of both revisions fire on, over the recordings of the working tree."""
    if not Path(folder).is_dir():
        print(f"no recordings in {folder}: what fires was not compared", file=sys.stderr)
        return []
    # A rule that means the same fires on the same rows.
    changed = {one.rule for one in rule_changes(old.both, new.both) if one.kind not in _SAME}
    scenarios, found = load_scenarios(folder)
    problems += found
    before = _firing([one for one in old.rules if one.id in changed], scenarios)
    after = _firing([one for one in new.rules if one.id in changed], scenarios)
    titles = {one.id: one.title for one in (*old.rules, *new.rules)}
    return fired_changes(before, after, titles)


_SAME = frozenset({"text", "moved"})


def _firing(rules: Sequence[Rule], scenarios: Sequence[Scenario]) -> Fired:
    found: dict[str, set[Place]] = {}
    for scenario in scenarios if rules else ():
        # What is wrong with a recording, `molehunt test` tells.
        binder, inputs = make_binder(scenario.config, []), inputs_of(scenario, [])
        for rule, spots in observe(scenario, rules, taxonomy(), binder, inputs).fired.items():
            places = {Place(f"{scenario.name}/{spot.log}", spot.line, spot.row) for spot in spots}
            found.setdefault(rule, set()).update(places)
    return {rule: frozenset(places) for rule, places in found.items()}


def _gate(there: Sequence[str], paths: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    for path in paths:
        if not Path(path).is_dir():
            continue
        before = next((p for p in there if p.endswith(Path(path).name)), None)
        old = _entries(Path(before, LOCK)) if before else {}
        deprecated = {str(one["id"]): one for one in _deprecated(Path(path, DEPRECATED), problems)}
        file = Path(path, LOCK)
        problems += gate(old, _entries(file), deprecated, str(file))
    return problems


def _entries(path: Path) -> Mapping[str, Entry]:
    if not path.is_file():
        return {}
    return parse_lock(path.read_text(encoding="utf-8").splitlines())[0]


def _deprecated(path: Path, problems: list[Problem]) -> list[Mapping[str, Any]]:
    listed = yaml.load(path.read_bytes(), SAFE_LOADER) if path.is_file() else []  # noqa: S506
    found = []
    for entry in listed or ():
        lacking = [key for key in ("id", "reason", "replacement", "date") if key not in entry]
        if lacking:
            what = f"entry without {', '.join(lacking)}"
            problems.append(Problem(what, str(path), rule=str(entry.get("id", ""))))
        else:
            found.append(entry)
    return found
