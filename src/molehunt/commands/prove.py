"""`molehunt prove`: run compiled queries on engines and compare with what the rules match."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from molehunt.backends import support
from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import Corpus, read_recordings
from molehunt.backends.model import Artefact, Compiled, Evidence, Profile, Refusal, Subject, Target
from molehunt.backends.proving import Verdict, best, disagreements, not_had, prove, weakened
from molehunt.backends.registry import targets
from molehunt.backends.reviewed import load_reviewed, stale, unreviewed
from molehunt.backends.searching.sharing import one_folder
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
    corpus = read_recordings(scenarios, ruleset, manifest, taxonomy())
    print(f"{len(corpus.records)} recorded rows", file=sys.stderr)
    reviewed, found = load_reviewed()
    problems += found
    known = support.locked()
    everything: list[Compiled] = []
    lines: dict[Key, Support] = {}
    work = _Work(chosen, made, corpus, known, options.require or bool(os.environ.get("CI")))
    for one in _all(work, options.jobs):
        everything += one.compiled
        lines |= one.lines
        problems += one.problems
        for note in one.notes:
            print(note, file=sys.stderr)
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


class _Work(NamedTuple):
    """What is to be proven, and on what; `required` makes an engine that is absent an error."""

    chosen: Sequence[tuple[Target, Profile]]
    subjects: Sequence[Subject]
    corpus: Corpus
    known: dict[Key, Support]
    required: bool


class _Proven(NamedTuple):
    """What came of one target and profile: what was compiled, its lines of the support lock, what
    is wrong, and what is told on the way."""

    compiled: list[Compiled]
    lines: dict[Key, Support]
    problems: list[Problem]
    notes: list[str]


def _all(work: _Work, jobs: int) -> Iterator[_Proven]:
    """Prove all, `jobs` at a time; what came of them in the order in which they were chosen."""
    numbers = range(len(work.chosen))
    jobs = min(jobs, len(numbers))
    with one_folder():
        if jobs < 2 or "fork" not in get_all_start_methods():
            for number in numbers:
                yield _proven(work, number)
            return
        order = sorted(numbers, key=lambda number: _least(work.chosen[number][0]))
        with ProcessPoolExecutor(jobs, get_context("fork"), _inherit, (work,)) as pool:
            waiting = {number: pool.submit(_proven_there, number) for number in order}
            try:
                for number in numbers:
                    yield waiting[number].result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _least(target: Target) -> tuple[int, int]:
    """Less for what takes longer: many engines, and emulators, which translate each query."""
    emulated = sum(engine.evidence is Evidence.EMULATOR for engine in target.engines)
    return -len(target.engines), -emulated


_inherited: list[_Work] = []


def _inherit(work: _Work) -> None:
    """In a process of its own, which has it by being forked."""
    _inherited[:] = [work]


def _proven_there(number: int) -> _Proven:
    return _proven(_inherited[0], number)


def _proven(work: _Work, number: int) -> _Proven:
    target, profile = work.chosen[number]
    compiled = compile_all(target, profile, work.subjects)
    artefacts = [one for one in compiled if isinstance(one, Artefact)]
    verdicts: list[Verdict] = []
    problems: list[Problem] = []
    notes: list[str] = []
    absent: set[str] = set()
    for engine in target.engines:
        why = engine.missing()
        if why:
            problems.append(not_had(engine, why, work.required))
            absent.add(engine.name)
            continue
        start = monotonic()
        verdicts += prove(engine, profile, artefacts, work.corpus)
        took = f"{monotonic() - start:.1f} s"
        notes.append(f"{target.name}/{profile.name} on {engine.name}: {took}")
    problems += disagreements(verdicts, work.corpus)
    lines = best(verdicts)
    for one in artefacts:
        key = (one.target, one.profile, one.rule)
        before = work.known.get(key)
        digest = support.digest(one)
        # What an absent engine has shown before still holds for the same query.
        if before and before.engine in absent and before.digest == digest:
            lines[key] = before
        lines.setdefault(key, Support(*key, Evidence.NONE, digest, "-"))
    for other in compiled:
        if isinstance(other, Refusal):
            key = (other.target, other.profile, other.rule)
            lines[key] = Support(*key, None, "", other.code)
    return _Proven(compiled, lines, problems, notes)


def _groups(lines: Iterable[Key]) -> set[tuple[str, str]]:
    return {key[:2] for key in lines}


def _update(path: Path, lines: dict[Key, Support]) -> None:
    path.write_text(support.render(lines.values()), encoding="utf-8")
