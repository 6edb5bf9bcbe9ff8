"""Sigma rules, loaded through pySigma's own objects, or straight from the file where that comes to
the same (`usual`); one bad file never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from .collecting import without_garbage_collection
from .correlation import Correlation, read_correlation
from .problems import Problem
from .processes import mapped
from .references import tie
from .rule import Rule, RuleSet
from .rulefiles import rule_files
from .shape import is_rule as is_rule  # noqa: PLC0414 - told on
from .shape import shape_is_good
from .shape import shape_problems as shape_problems  # noqa: PLC0414 - told on
from .usual import Told, usual_correlation, usual_rule
from .yamlfile import Document, read_file

if TYPE_CHECKING:
    from .sigmaload import Loaded

# A rule or a correlation that needs nothing of pySigma, or what pySigma made.
_Item: TypeAlias = "Rule | Told | Loaded"


_NOTHING: Mapping[str, Sequence[Rule]] = MappingProxyType({})


def load_rules(paths: Sequence[str], known: Mapping[str, Sequence[Rule]] = _NOTHING) -> RuleSet:
    """The rules of files and folders (`*.yml`, `*.yaml`, recursively, sorted). Files of which it
    is `known` what rules they hold, and nothing else, are not read."""
    with without_garbage_collection():
        return _load_rules(paths, known)


def _load_rules(paths: Sequence[str], known: Mapping[str, Sequence[Rule]]) -> RuleSet:
    problems: list[Problem] = []
    files = [*rule_files(paths, problems)]
    read = iter(mapped(_loaded_alone, [file for file in files if file[0] not in known]))
    alone = [
        _Alone([*known[path]], [], [], [], [], "", False) if path in known else next(read)
        for path, _, _ in files
    ]
    ignored = tuple(one.ignored for one in alone if one.ignored)
    for one in alone:
        problems += one.problems
    rules: list[Rule] = []
    correlations: list[Correlation] = []
    filtered = any(one.filters for one in alone)
    if filtered:
        # Which change rules of any file before these are finished: not in a process of their own.
        rules, correlations = _filtered(
            [one for file in files for one in _read(*file, usual=False)[0]], problems
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
    return RuleSet(tied.rules, tied.correlations, tuple(problems), ignored, filtered)


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
    if any(not isinstance(item, (Rule, Told)) and item.is_filter for item in loaded):
        return _Alone([], [], problems, [], [], ignored, True)
    about_rules: list[Problem] = []
    about_correlations: list[Problem] = []
    rules = _rules_of(loaded, about_rules)
    correlations = _correlations_of(loaded, about_correlations)
    return _Alone(rules, correlations, problems, about_rules, about_correlations, ignored, False)


def _read(
    path: str, name: str, explicit: bool, usual: bool = True
) -> tuple[list[_Item], list[Problem], str]:
    """What is in a file, what is wrong there, and its path if it holds no rules."""
    documents, found = read_file(path)
    problems = list(found)
    rules = [document for document in documents if is_rule(document.data)]
    ignored = "" if rules or found else path
    if ignored and explicit:
        what = "no rule: neither 'detection', 'correlation' nor 'filter'"
        problems.append(Problem(what, path))
    return [*_load_file(rules, path, name, problems, usual)], problems, ignored


def _filtered(
    items: Sequence[_Item], problems: list[Problem]
) -> tuple[list[Rule], list[Correlation]]:
    from .sigmaload import apply_filters

    loaded = [item for item in items if not isinstance(item, (Rule, Told))]
    rules = [item for item in loaded if item.is_rule]
    filters = [item for item in loaded if item.is_filter]
    finished = _rules_of(apply_filters(rules, filters, problems), problems)
    return finished, _correlations_of(loaded, problems)


def _rules_of(items: Iterable[_Item], problems: list[Problem]) -> list[Rule]:
    return [make() for make in _makers_of(items, problems)]


def _makers_of(items: Iterable[_Item], problems: list[Problem]) -> list[Callable[[], Rule]]:
    found: list[Callable[[], Rule]] = []
    for item in items:
        if isinstance(item, Rule):
            found.append(partial(_itself, item))
        elif not isinstance(item, Told) and item.is_rule:
            from .sigmaload import checked

            make = checked(item, problems)
            found += [] if make is None else [make]
    return found


def _itself(rule: Rule) -> Rule:
    return rule


def _correlations_of(items: Iterable[_Item], problems: list[Problem]) -> list[Correlation]:
    found: list[Correlation] = []
    for item in items:
        made: Correlation | None = None
        if isinstance(item, Told):
            made = read_correlation(item.said, item.document, item.path, item.name, problems)
        elif not isinstance(item, Rule) and item.is_correlation:
            from .sigmaload import correlation

            made = correlation(item, problems)
        found += [] if made is None else [made]
    return found


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


def _load_file(
    documents: list[Document], path: str, name: str, problems: list[Problem], usual: bool = True
) -> Iterator[_Item]:
    """What the documents of a file are. With `usual`, those that need nothing of pySigma come
    without."""
    good = [document for document in documents if shape_is_good(document, path, problems)]
    # `global` and `repeat` tie the documents of a file together.
    tied = any("action" in document.data for document in good)
    for group in [good] if tied else [[document] for document in good]:
        made = _usual(group[0], path, name) if usual and not tied else None
        if made is not None:
            yield made
        else:
            from .sigmaload import parse

            yield from parse(group, path, name, problems)


def _usual(document: Document, path: str, name: str) -> Rule | Told | None:
    if "correlation" in document.data:
        return usual_correlation(document, path, name)
    return usual_rule(document, path, name)


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
