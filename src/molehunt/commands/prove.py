"""`molehunt prove`: run compiled queries on engines and compare with what the rules match."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from molehunt.backends import support
from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import Corpus, read_corpus, read_groups
from molehunt.backends.model import Artefact, Compiled, Evidence, Profile, Refusal, Target
from molehunt.backends.proving import Verdict, best, disagreements, not_had, prove, weakened
from molehunt.backends.registry import targets
from molehunt.backends.reviewed import load_reviewed, stale, unreviewed
from molehunt.backends.subjects import subjects
from molehunt.backends.support import Support
from molehunt.detectors.proof.manifest import load_scenarios

from ..data import load_yaml
from ..exits import Exit
from ..problems import Problem
from ..taxonomy import taxonomy
from .common import load, show
from .compile import pick

Key = tuple[str, str, str]


def run(options: Namespace) -> Exit:
    """Prove the named targets, or all on all profiles; exit with BAD_INPUT if anything differs."""
    chosen = [pick(word) for word in options.targets] or [
        (target, profile) for target in targets() for profile in target.profiles
    ]
    ruleset = load(options.rules)
    problems = list(ruleset.problems)
    scenarios, found = load_scenarios(options.recordings)
    problems += found
    manifest = load_yaml("pack.yml")
    made = subjects(ruleset, manifest, taxonomy())
    corpus = read_corpus(scenarios, ruleset.rules, manifest, taxonomy())
    groups = read_groups(scenarios, ruleset, manifest, taxonomy())
    corpus = replace(corpus, groups=groups)
    print(f"{len(corpus.records)} recorded rows", file=sys.stderr)
    reviewed, found = load_reviewed()
    problems += found
    known = support.locked()
    everything: list[Compiled] = []
    lines: dict[Key, Support] = {}
    for target, profile in chosen:
        compiled = compile_all(target, profile, made)
        everything += compiled
        lines |= _proven(target, profile, compiled, corpus, known, problems, options.require)
    if not options.rules:
        problems += unreviewed(everything, reviewed)
        problems += stale(everything, reviewed)
        if options.update:
            kept = {key: line for key, line in known.items() if key[:2] not in _groups(lines)}
            _update(Path(options.update), kept | lines)
        else:
            problems += weakened(lines, known)
    correlations = frozenset(one.id for one in ruleset.correlations)
    print(support.table(list(lines.values()), correlations), end="")
    return show(problems)


def _proven(
    target: Target,
    profile: Profile,
    compiled: list[Compiled],
    corpus: Corpus,
    known: dict[Key, Support],
    problems: list[Problem],
    required: bool,
) -> dict[Key, Support]:
    """The lines of the support lock for one target and profile."""
    artefacts = [one for one in compiled if isinstance(one, Artefact)]
    verdicts: list[Verdict] = []
    absent: set[str] = set()
    for engine in target.engines:
        why = engine.missing()
        if why:
            problems.append(not_had(engine, why, required or bool(os.environ.get("CI"))))
            absent.add(engine.name)
            continue
        start = monotonic()
        verdicts += prove(engine, profile, artefacts, corpus)
        took = f"{monotonic() - start:.1f} s"
        print(f"{target.name}/{profile.name} on {engine.name}: {took}", file=sys.stderr)
    problems += disagreements(verdicts, corpus)
    lines = best(verdicts)
    for one in artefacts:
        key = (one.target, one.profile, one.rule)
        before = known.get(key)
        digest = support.digest(one)
        # What an absent engine has shown before still holds for the same query.
        if before and before.engine in absent and before.digest == digest:
            lines[key] = before
        lines.setdefault(key, Support(*key, Evidence.NONE, digest, "-"))
    for other in compiled:
        if isinstance(other, Refusal):
            key = (other.target, other.profile, other.rule)
            lines[key] = Support(*key, None, "", other.code)
    return lines


def _groups(lines: Iterable[Key]) -> set[tuple[str, str]]:
    return {key[:2] for key in lines}


def _update(path: Path, lines: dict[Key, Support]) -> None:
    path.write_text(support.render(lines.values()), encoding="utf-8")
