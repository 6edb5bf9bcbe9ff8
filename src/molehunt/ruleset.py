"""Sigma rules, loaded through pySigma's own objects; one bad file never hides the others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from .collecting import without_garbage_collection
from .conditions import fields_of
from .correlation import KEYS as CORRELATION_KEYS
from .correlation import Correlation, for_pysigma, read_correlation
from .ids import content_id
from .levels import Level
from .metadata import BLOCK, Metadata, check_metadata, parse_metadata
from .problems import Problem, Severity
from .processes import mapped
from .references import tie
from .rule import Rule, RuleSet
from .rulechecks import check_regexes, check_selectors, check_tree, line_of
from .rulefiles import rule_files
from .sigmatree import condition_of
from .yamlfile import Document, read_file

# Top-level keys of rules, correlations and filters (Sigma specification 2.1), and ours.
_KEYS = frozenset(
    "title id name related taxonomy status description license author references date modified "
    "tags logsource detection fields falsepositives level scope action correlation filter generate "
    "correlations regression_tests_path simulation custom".split()
) | {BLOCK}
_OBJECT = re.compile(r"<sigma\.types\.Sigma(\w+) object at 0x[0-9a-fA-F]+>")
_LOGSOURCE_KEYS = frozenset(("category", "product", "service", "definition"))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A pySigma object with the document it came from."""

    sigma: Any
    document: Document
    path: str
    name: str


def load_rules(paths: Sequence[str]) -> RuleSet:
    """The rules of files and folders (`*.yml`, `*.yaml`, recursively, sorted)."""
    with without_garbage_collection():
        return _load_rules(paths)


def _load_rules(paths: Sequence[str]) -> RuleSet:
    problems: list[Problem] = []
    files = [*rule_files(paths, problems)]
    alone = mapped(_loaded_alone, files)
    ignored = tuple(one.ignored for one in alone if one.ignored)
    for one in alone:
        problems += one.problems
    rules: list[Rule] = []
    correlations: list[Correlation] = []
    if any(one.filters for one in alone):
        # Which change rules of any file before these are finished: not in a process of their own.
        rules, correlations = _filtered(
            [one for file in files for one in _read(*file)[0]], problems
        )
    else:
        for one in alone:
            rules += one.rules
            correlations += one.correlations
        for one in alone:
            problems += one.about_rules
        for one in alone:
            problems += one.about_correlations
    tied = tie(list(_unique(rules, problems)), correlations, problems)
    return RuleSet(tied.rules, tied.correlations, tuple(problems), ignored)


@dataclass(frozen=True, slots=True)
class _Alone:
    """What a file holds where nothing filters it. `ignored` is its path if it holds no rules,
    `filters` says that it filters others."""

    rules: list[Rule]
    correlations: list[Correlation]
    problems: list[Problem]
    about_rules: list[Problem]
    about_correlations: list[Problem]
    ignored: str
    filters: bool


def _loaded_alone(file: tuple[str, str, bool]) -> _Alone:
    loaded, problems, ignored = _read(*file)
    if any(isinstance(item.sigma, SigmaFilter) for item in loaded):
        return _Alone([], [], problems, [], [], ignored, True)
    about_rules: list[Problem] = []
    about_correlations: list[Problem] = []
    rules = _rules_of(loaded, about_rules)
    correlations = _correlations_of(loaded, about_correlations)
    return _Alone(rules, correlations, problems, about_rules, about_correlations, ignored, False)


def _read(path: str, name: str, explicit: bool) -> tuple[list[_Loaded], list[Problem], str]:
    """What is in a file, what is wrong there, and its path if it holds no rules."""
    documents, found = read_file(path)
    problems = list(found)
    rules = [document for document in documents if is_rule(document.data)]
    ignored = "" if rules or found else path
    if ignored and explicit:
        what = "no rule: neither 'detection', 'correlation' nor 'filter'"
        problems.append(Problem(what, path))
    return [*_load_file(rules, path, name, problems)], problems, ignored


def _filtered(
    loaded: Sequence[_Loaded], problems: list[Problem]
) -> tuple[list[Rule], list[Correlation]]:
    rules = [item for item in loaded if isinstance(item.sigma, SigmaRule)]
    filters = [item for item in loaded if isinstance(item.sigma, SigmaFilter)]
    finished = _rules_of(_apply_filters(rules, filters, problems), problems)
    return finished, _correlations_of(loaded, problems)


def _rules_of(loaded: Iterable[_Loaded], problems: list[Problem]) -> list[Rule]:
    return [make() for make in _makers_of(loaded, problems)]


def _makers_of(loaded: Iterable[_Loaded], problems: list[Problem]) -> list[Callable[[], Rule]]:
    return [
        make
        for item in loaded
        if isinstance(item.sigma, SigmaRule) and (make := _checked(item, problems)) is not None
    ]


def _correlations_of(loaded: Iterable[_Loaded], problems: list[Problem]) -> list[Correlation]:
    return [
        one
        for item in loaded
        if isinstance(item.sigma, SigmaCorrelationRule)
        and (one := read_correlation(item.sigma, item.document, item.path, item.name, problems))
    ]


def load_documents(
    documents: Sequence[Document], path: str, name: str
) -> tuple[list[Rule], list[Correlation], list[Problem]]:
    """What one file holds by itself: no filter is applied, no reference followed."""
    makers, correlations, problems = check_documents(documents, path, name)
    return [make() for make in makers], correlations, problems


def check_documents(
    documents: Sequence[Document], path: str, name: str
) -> tuple[list[Callable[[], Rule]], list[Correlation], list[Problem]]:
    """The same, with functions that make the rules for the rules."""
    problems: list[Problem] = []
    loaded = [*_load_file([one for one in documents if is_rule(one.data)], path, name, problems)]
    rules = _makers_of(loaded, problems)
    correlations = _correlations_of(loaded, problems)
    return rules, correlations, problems


def shape_problems(document: Document, path: str) -> list[Problem]:
    """What is seen of a rule's document before it is loaded."""
    problems: list[Problem] = []
    _shape_is_good(document, path, problems)
    return problems


def is_rule(data: Any) -> bool:
    """Whether a YAML document is meant to be a rule, a correlation or a filter."""
    if not isinstance(data, dict):
        return True  # refused later, with its line
    return any(key in data for key in ("detection", "correlation", "filter", "action")) or (
        "title" in data and "logsource" in data
    )


def _load_file(
    documents: list[Document], path: str, name: str, problems: list[Problem]
) -> Iterator[_Loaded]:
    good = [document for document in documents if _shape_is_good(document, path, problems)]
    if any("action" in document.data for document in good):
        # `global` and `repeat` tie the documents of a file together.
        yield from _parse(good, path, name, problems)
        return
    for document in good:
        yield from _parse([document], path, name, problems)


def _parse(
    documents: list[Document], path: str, name: str, problems: list[Problem]
) -> Iterator[_Loaded]:
    first = documents[0]
    try:
        collection = SigmaCollection.from_dicts(
            [for_pysigma(document.data) for document in documents],
            collect_errors=True,
            source=SigmaRuleLocation(Path(path)),
            collect_filters=True,
            resolve_references=False,
        )
    # What pySigma lets slip for data of odd shape; its text is all there is to say.
    except (
        SigmaError,
        AttributeError,
        KeyError,
        NameError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        problems.append(_problem(error, first, path))
        return
    objects = [*collection.rules, *collection.filters]
    for found in collection.errors:
        if not any(found in item.errors for item in objects):
            problems.append(_problem(found, first, path))
    for item in objects:
        document = _document_of(item, documents)
        if item.errors:
            problems += [_problem(found, document, path) for found in item.errors]
        else:
            yield _Loaded(item, document, path, name)


def _document_of(item: Any, documents: list[Document]) -> Document:
    """The document of an object; one of several that share a `global` one may lack id and title."""
    section = "correlation" if isinstance(item, SigmaCorrelationRule) else ""
    alike = [one for one in documents if not section or section in one.data] or documents
    for key, value in (("id", str(item.id)), ("title", item.title)):
        for document in alike:
            if key in document.data and str(document.data[key]) == value:
                return document
    return alike[0]


def _problem(error: Exception, document: Document, path: str) -> Problem:
    text = str(error.args[0]) if error.args else type(error).__name__
    # Where in memory it lies differs from run to run.
    text = _OBJECT.sub(lambda found: found[1].lower(), text)
    rule = document.data.get("id")
    return Problem(text, path, line_of(text, document), str(rule) if rule else None)


def _shape_is_good(document: Document, path: str, problems: list[Problem]) -> bool:
    """Refuse what pySigma would trip over, and keys that are only misspelt."""
    data = document.data
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        problems.append(Problem("a rule is a mapping with text keys", path, document.line))
        return False
    rule = str(data["id"]) if data.get("id") else None
    found = [*_misspelt(data, _KEYS, (), document, path, rule)]
    logsource = data.get("logsource")
    if isinstance(logsource, dict):
        found += _misspelt(logsource, _LOGSOURCE_KEYS, ("logsource",), document, path, rule)
        for key in sorted(_LOGSOURCE_KEYS & logsource.keys()):
            if logsource[key] is not None and not isinstance(logsource[key], str):
                line = document.near(("logsource", key))
                found.append(Problem(f"logsource: {key} is no text", path, line, rule))
    if isinstance(data.get("correlation"), dict):
        section = data["correlation"]
        found += _misspelt(section, CORRELATION_KEYS, ("correlation",), document, path, rule)
    if "detection" in data:
        found += check_regexes(data["detection"], document, path, rule)
        found += check_selectors(data["detection"], document, path, rule)
    if BLOCK in data:
        found += check_metadata(data[BLOCK], document, path, rule or "")
    problems += found
    return not any(problem.severity is Severity.ERROR for problem in found)


def _misspelt(
    data: Mapping[Any, Any],
    known: Iterable[str],
    place: tuple[str, ...],
    document: Document,
    path: str,
    rule: str | None,
) -> Iterator[Problem]:
    """Unknown keys close to a known one; other unknown keys are legal in Sigma."""
    for key in data:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), known, 1, 0.8)
        if close and close[0] not in data:
            what = f"unknown key '{key}'"
            line = document.near((*place, key))
            yield Problem(what, path, line, rule, f"did you mean '{close[0]}'?")


def _apply_filters(
    rules: list[_Loaded], filters: list[_Loaded], problems: list[Problem]
) -> list[_Loaded]:
    """Add the Sigma filters to the rules they name. The polarity is the filter author's."""
    known = {str(item.sigma.id) for item in rules} | {item.sigma.name for item in rules}
    for item in filters:
        named = getattr(item.sigma.filter, "rules", [])
        for reference in named if isinstance(named, list) else []:
            if reference.reference not in known:
                what = f"filter names a rule that is not loaded: {reference.reference}"
                problems.append(Problem(what, item.path, item.document.line))
        applied = 0
        for index, rule in enumerate(rules):
            before = len(rule.sigma.detection.detections)
            filtered = item.sigma.apply_on_rule(rule.sigma)
            applied += len(filtered.detection.detections) > before
            rules[index] = _Loaded(filtered, rule.document, rule.path, rule.name)
        if not applied:
            what = "filter applies to no rule (rule id or log source differ)"
            problems.append(Problem(what, item.path, item.document.line, severity=Severity.WARNING))
    return rules


def _checked(item: _Loaded, problems: list[Problem]) -> Callable[[], Rule] | None:
    """What makes the rule; None if its condition or a value in it is of no use."""
    sigma, document, path = item.sigma, item.document, item.path
    rule_id = str(sigma.id) if sigma.id else content_id(document.data)
    try:
        trees = tuple(condition.parsed for condition in sigma.detection.parsed_condition)
    except (SigmaError, AttributeError, TypeError, ValueError, RecursionError) as error:
        text = str(error.args[0]) if error.args else str(error)
        line = document.near(("detection", "condition"))
        problems.append(Problem(f"condition: {text.splitlines()[0]}", path, line, rule_id))
        return None
    wrong = [*check_tree(trees, document, path, rule_id)]
    problems += wrong
    return None if wrong else partial(_finish, item, rule_id, trees)


def _finish(item: _Loaded, rule_id: str, trees: tuple[Any, ...]) -> Rule:
    sigma, document, path = item.sigma, item.document, item.path
    block = sigma.custom_attributes.get(BLOCK)
    conditions = tuple(condition_of(tree) for tree in trees)
    return Rule(
        id=rule_id,
        title=sigma.title,
        called=sigma.name or "",
        description=sigma.description or "",
        status=sigma.status.name.lower() if sigma.status else "",
        level=Level[sigma.level.name] if sigma.level else Level.MEDIUM,
        category=sigma.logsource.category,
        product=sigma.logsource.product,
        service=sigma.logsource.service,
        conditions=conditions,
        fields=tuple(sorted({name for node in conditions for name in fields_of(node)})),
        tags=tuple(str(tag) for tag in sigma.tags),
        techniques=tuple(_techniques(sigma.tags)),
        references=tuple(map(str, sigma.references or ())),
        false_positives=tuple(map(str, sigma.falsepositives or ())),
        path=path,
        name=item.name,
        lines=document.lines,
        meta=parse_metadata(block) if isinstance(block, dict) else Metadata(),
        raw=document.data,
    )


def _techniques(tags: Iterable[Any]) -> Iterator[str]:
    for tag in tags:
        if tag.namespace == "attack" and tag.name[:1] in "tT" and tag.name[1:2].isdigit():
            yield tag.name.upper()


def _unique(rules: list[Rule], problems: list[Problem]) -> Iterator[Rule]:
    """Rules with an id of their own; the later of two alike is refused."""
    seen: dict[str, Rule] = {}
    for rule in rules:
        first = seen.setdefault(rule.id, rule)
        if first is rule:
            yield rule
        else:
            line = rule.lines.get(("id",))
            what = f"rule id already used in {first.path}"
            problems.append(Problem(what, rule.path, line, rule.id, "give the new rule a new id"))
