"""Rules, correlations and filters as pySigma reads them. Imported late: pySigma takes long to, and
most rules do without (`usual`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from .conditions import fields_of
from .correlation import Correlation, Said, for_pysigma, read_correlation, techniques_of
from .ids import content_id
from .levels import Level
from .metadata import BLOCK, Metadata, parse_metadata
from .names import Both, Either, Name, Negated, Tree
from .problems import Problem, Severity
from .rule import Rule
from .rulechecks import line_of
from .sigmatree import condition_of
from .treechecks import check_tree
from .yamlfile import Document

_OBJECT = re.compile(r"<sigma\.types\.Sigma(\w+) object at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pySigma object with the document it came from."""

    sigma: Any
    document: Document
    path: str
    name: str

    @property
    def is_rule(self) -> bool:
        """Whether it is a rule."""
        return isinstance(self.sigma, SigmaRule)

    @property
    def is_filter(self) -> bool:
        """Whether it is a filter."""
        return isinstance(self.sigma, SigmaFilter)

    @property
    def is_correlation(self) -> bool:
        """Whether it is a correlation."""
        return isinstance(self.sigma, SigmaCorrelationRule)


def parse(
    documents: list[Document], path: str, name: str, problems: list[Problem]
) -> Iterator[Loaded]:
    """What pySigma makes of documents that belong together."""
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
            yield Loaded(item, document, path, name)


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


def apply_filters(
    rules: list[Loaded], filters: list[Loaded], problems: list[Problem]
) -> list[Loaded]:
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
            rules[index] = Loaded(filtered, rule.document, rule.path, rule.name)
        if not applied:
            what = "filter applies to no rule (rule id or log source differ)"
            problems.append(Problem(what, item.path, item.document.line, severity=Severity.WARNING))
    return rules


def checked(item: Loaded, problems: list[Problem]) -> Callable[[], Rule] | None:
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


def correlation(item: Loaded, problems: list[Problem]) -> Correlation | None:
    """The correlation; None if something is wrong with it."""
    return read_correlation(_said(item), item.document, item.path, item.name, problems)


def _said(item: Loaded) -> Said:
    sigma, extended = item.sigma, None
    if isinstance(sigma.condition, SigmaExtendedCorrelationCondition):
        extended = sigma.condition
    if sigma.rules is None and extended is not None:
        # An extended condition without a list of rules is the list.
        refers = tuple(extended.get_referenced_rules())
    else:
        refers = tuple(str(one.reference) for one in sigma.rules)
    return Said(
        id=str(sigma.id) if sigma.id else content_id(item.document.data),
        title=sigma.title,
        called=sigma.name or "",
        description=sigma.description or "",
        status=sigma.status.name.lower() if sigma.status else "",
        level=Level[sigma.level.name] if sigma.level else Level.MEDIUM,
        type=sigma.type.name.lower(),
        refers=refers,
        timespan=sigma.timespan.seconds,
        group_by=tuple(sigma.group_by or ()),
        words=None if extended is None else _words(extended.parsed),
        generate=bool(sigma.generate),
        tags=tuple(map(str, sigma.tags)),
        references=tuple(map(str, sigma.references or ())),
        false_positives=tuple(map(str, sigma.falsepositives or ())),
    )


def words_of(text: str) -> Tree:
    """A correlation's condition in words. Raises what pySigma raises if it is none."""
    return _words(SigmaExtendedCorrelationCondition(text).parsed)


def _words(node: Any) -> Tree:
    if isinstance(node, SigmaRuleReference):
        return Name(node.reference)
    if isinstance(node, CorrelationConditionNOT):
        return Negated(_words(node.args[0]))
    made = tuple(map(_words, node.args))
    return Both(made) if isinstance(node, CorrelationConditionAND) else Either(made)


def _finish(item: Loaded, rule_id: str, trees: tuple[Any, ...]) -> Rule:
    sigma, document, path = item.sigma, item.document, item.path
    block = sigma.custom_attributes.get(BLOCK)
    conditions = tuple(condition_of(tree) for tree in trees)
    tags = tuple(map(str, sigma.tags))
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
        tags=tags,
        techniques=tuple(techniques_of(tags)),
        references=tuple(map(str, sigma.references or ())),
        false_positives=tuple(map(str, sigma.falsepositives or ())),
        path=path,
        name=item.name,
        lines=document.lines,
        meta=parse_metadata(block) if isinstance(block, dict) else Metadata(),
        raw=document.data,
    )
