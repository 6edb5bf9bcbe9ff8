"""From paths to findings: read, check each file, check all together, suppress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from ..collecting import without_garbage_collection
from ..correlation import Correlation
from ..problems import Problem
from ..rule import Rule
from ..rulefiles import rule_files
from ..surely import surely_loads
from ..yamlfile import Document, decoded, read_text
from . import across, attack, cost, logic, people, structure, telemetry, values
from .loading import findings as loading_findings
from .model import Finding, Span
from .subject import Subject
from .summary import Summary, summary_of
from .suppress import Suppression, apply, suppressions_in

# Each takes a document and yields findings.
CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    values.check,
    structure.check,
    logic.check,
    telemetry.check,
    people.check,
    attack.check,
    cost.check,
)
# So many files are worth a second process.
SHARE_FROM = 300
_MADE = "# Made by `molehunt generate`"
_BLOCK = b"\nmolehunt:"
# Path to name and content.
Contents = dict[str, tuple[str, bytes]]
# By rule id the kinds of its records and the number of its near misses; what was wrong.
Evidence = tuple[dict[str, tuple[list[str], int]], list[Problem]]


class Record(NamedTuple):
    """All that one file says by itself."""

    findings: tuple[Finding, ...]
    summaries: tuple[Summary, ...]
    suppressions: tuple[Suppression, ...]


@dataclass(frozen=True)
class Linted:
    """The result. `files` is how many were looked at, `suppressed` how many findings were
    accepted, `notes` what was not done and why."""

    findings: tuple[Finding, ...]
    files: int
    rules: int
    suppressed: int
    notes: tuple[str, ...] = field(default=())


def analyse(content: bytes, path: str, name: str) -> Record:
    """Everything that can be said of a file without knowing others."""
    text = decoded(content, path)
    if isinstance(text, Problem):
        return Record(tuple(loading_findings([text], path, [])), (), ())
    documents, problems = read_text(text, path, nodes=True)
    lines = text.splitlines()
    found = list(loading_findings(problems, path, lines))
    subjects = _subjects(documents, path, name, text)
    summaries = []
    for subject in subjects:
        found += loading_findings(subject.problems, path, lines)
        if subject.node is None:
            continue
        for check in CHECKS:
            found += check(subject)
        summaries.append(summary_of(subject))
    if text.startswith(_MADE):
        # The next run of the generator would undo an edit.
        found = [finding._replace(edits=()) for finding in found]
    return Record(tuple(found), tuple(summaries), tuple(suppressions_in(text)))


def _subjects(documents: Sequence[Document], path: str, name: str, text: str) -> Iterator[Subject]:
    from ..ruleset import check_documents, is_rule

    meant = [document for document in documents if is_rule(document.data)]
    # `action: global` ties the documents of a file together.
    tied = any(isinstance(one.data, dict) and "action" in one.data for one in meant)
    for index, document in enumerate(meant):
        group = meant if tied else [document]
        rules: list[Callable[[], Rule]] = []
        correlations: list[Correlation] = []
        problems: list[Problem] = []
        if not tied and _surely_loads(document, path):
            rules = [partial(_load, document, path, name)]
        elif not tied or index == 0:
            rules, correlations, problems = check_documents(group, path, name)
        if not isinstance(document.data, dict):
            yield Subject(path, name, text, {}, None, problems=tuple(problems))
            continue
        yield Subject(
            path,
            name,
            text,
            document.data,
            document.node,
            rules[0] if len(rules) == 1 and not tied else None,
            correlations[0] if len(correlations) == 1 and not tied else None,
            tuple(problems),
        )


def _surely_loads(document: Document, path: str) -> bool:
    from ..ruleset import shape_problems

    if not isinstance(document.data, dict):
        return False
    return not shape_problems(document, path) and surely_loads(document)


def _load(document: Document, path: str, name: str) -> Rule:
    from ..ruleset import load_documents

    return load_documents([document], path, name)[0][0]


def lint(
    paths: Sequence[str], known: Iterable[str], recordings: str | None = None, cached: bool = True
) -> Linted:
    """The findings of files and folders, in the order of files and lines.

    `known` are the ids of checks; `recordings` is the folder with recordings, if there is one.
    """
    with without_garbage_collection():
        return _lint(paths, tuple(known), recordings, cached)


def _lint(
    paths: Sequence[str], known: tuple[str, ...], recordings: str | None, cached: bool
) -> Linted:
    from .kept import Kept

    problems: list[Problem] = []
    contents: Contents = {}
    for path, name, _ in rule_files(paths, problems):
        try:
            with open(path, "rb") as stream:
                contents[path] = (name, stream.read())
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror or error}", path))
    found = [
        Finding("MH001", problem.what, problem.path, Span(1), "", problem.hint)
        for problem in problems
    ]
    kept = Kept(paths if cached else None)
    told: list[Evidence] = []

    def make(changed: Contents) -> dict[str, Record]:
        if recordings is None or kept.knows(recordings):
            return _analyse_all(changed)
        return _analyse_all(changed, recordings, told)

    records = kept.records(contents, make)
    summaries = [one for record in records.values() for one in record.summaries]
    found += kept.together(summaries, lambda rules: list(across.check(rules)))
    notes = []
    if recordings is not None and any(one.ours for one in summaries):
        from . import proofs

        evidence, wrong = kept.evidence(
            recordings, lambda: told[0] if told else proofs.evidence(recordings)
        )
        found += proofs.check(summaries, evidence)
        notes += [f"recordings: {problem}" for problem in wrong]
    elif any(one.ours for one in summaries):
        notes.append("no recordings were named: MH601 to MH603 were not looked for")
    if any(one.ours for one in summaries):
        from . import targets

        found += targets.check(summaries)
    kept.keep()
    return _result(records, found, known, len(contents), notes)


def _result(
    records: dict[str, Record],
    together: Sequence[Finding],
    known: tuple[str, ...],
    files: int,
    notes: list[str],
) -> Linted:
    by_path: dict[str, list[Finding]] = {path: list(one.findings) for path, one in records.items()}
    for finding in together:
        by_path.setdefault(finding.path, []).append(finding)
    left: list[Finding] = []
    suppressed = 0
    for path, findings in by_path.items():
        suppressions = records[path].suppressions if path in records else ()
        kept, gone = apply(findings, suppressions, path, known)
        left += sorted(dict.fromkeys(kept), key=lambda one: (one.span, one.check, one.message))
        suppressed += gone
    rules = sum(len(record.summaries) for record in records.values())
    return Linted(tuple(left), files, rules, suppressed, tuple(notes))


def _analyse_all(
    contents: Contents, recordings: str | None = None, told: list[Evidence] | None = None
) -> dict[str, Record]:
    """The records of files, made by several processes if there are many.

    One of them reads what the recordings say in the meantime and puts it into `told`, if a file
    may have a rule that needs it.
    """
    jobs = min(os.cpu_count() or 1, 4)
    if len(contents) < SHARE_FROM or jobs < 2:
        return _analyse_some(contents)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_all_start_methods, get_context

    if "fork" not in get_all_start_methods() or os.uname().sysname != "Linux":
        return _analyse_some(contents)
    names = list(contents)
    ours = [name for name in names if _BLOCK in contents[name][1]]
    # What every process needs is read before they part.
    _analyse_some({name: contents[name] for name in (*names[:1], *ours[:1])})
    size = max(1, len(names) // (jobs * 8))
    parts = [
        {name: contents[name] for name in names[at : at + size]}
        for at in range(0, len(names), size)
    ]
    found: dict[str, Record] = {}
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool:
        besides = None
        if recordings is not None and told is not None and ours:
            from . import proofs

            besides = pool.submit(proofs.evidence, recordings)
        for part in pool.map(_analyse_some, parts):
            found |= part
        if besides is not None and told is not None:
            told.append(besides.result())
    return found


def _analyse_some(contents: Contents) -> dict[str, Record]:
    return {path: analyse(content, path, name) for path, (name, content) in contents.items()}
