"""Sigma correlation rules as plain values, made from pySigma's objects and the YAML beside them.

Sigma correlation rules specification 2.1.0 (August 2025); docs/correlations.md says what each part
means here. `references` ties the values to the rules that they refer to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .ids import content_id
from .levels import Level
from .metadata import BLOCK, Metadata, parse_metadata
from .problems import Problem

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule

    from .yamlfile import Document, KeyPath

OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
NUMERIC = frozenset(("value_sum", "value_avg", "value_percentile", "value_median"))
VALUED = NUMERIC | {"value_count"}
# Keys of the `correlation` section: the specification's, and where `generate` stands in pySigma.
KEYS = frozenset("type rules group-by timespan aliases condition generate".split())
MAX_TERMS = 64
_TOO_MANY = f"it has more than {MAX_TERMS} alternatives; split it"

_NO_ALIASES: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class Comparison(NamedTuple):
    """One part of a condition: `op` is one of `OPERATORS`."""

    op: str
    limit: int | float


class Term(NamedTuple):
    """One way to meet an extended condition: places in `rules` that must, and must not, match."""

    needs: tuple[int, ...]
    lacks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Correlation:
    """One correlation rule. It holds where all `comparisons` do or, if it has any, one of `terms`.

    `called` is Sigma's `name`; `path` and `name` are the file as for a rule. `rules` are the ids of
    what it refers to, in the order of the file, `refers` the references as they are written.
    `timespan` is in seconds. `aliases` map an alias to fields by reference, `renamed` has for each
    place in `rules` the field behind each alias. `carried` are fields that correlations of this one
    ask for beyond its `group_by`, `silent` says that it only serves these.
    """

    id: str
    title: str
    called: str
    description: str
    status: str
    level: Level
    type: str
    refers: tuple[str, ...]
    timespan: int
    group_by: tuple[str, ...]
    aliases: Mapping[str, Mapping[str, str]]
    comparisons: tuple[Comparison, ...]
    terms: tuple[Term, ...]
    value_fields: tuple[str, ...]
    percentile: int
    generate: bool
    tags: tuple[str, ...]
    techniques: tuple[str, ...]
    references: tuple[str, ...]
    false_positives: tuple[str, ...]
    path: str
    name: str
    lines: Mapping[KeyPath, int]
    meta: Metadata
    raw: Mapping[str, Any]
    rules: tuple[str, ...] = ()
    renamed: tuple[Mapping[str, str], ...] = ()
    carried: tuple[str, ...] = ()
    silent: bool = False

    def field(self, place: int, name: str) -> str:
        """The field that `name`, an alias or a field, means for the rule at `place`."""
        return self.renamed[place].get(name, name)

    @property
    def asks(self) -> tuple[str, ...]:
        """The names of all fields that events need, without repeats."""
        return tuple(dict.fromkeys((*self.group_by, *self.value_fields, *self.carried)))

    @property
    def ordered(self) -> bool:
        """Whether the order of the events counts."""
        return self.type == "temporal_ordered"


def for_pysigma(data: Any) -> Any:
    """The document as pySigma takes it: of a range (`gt` with `lte`), which it refuses, one part.

    The specification, "Condition": "To define a range, you can use the conjunction 'AND'".
    """
    correlation = data.get("correlation") if isinstance(data, dict) else None
    if not isinstance(correlation, dict) or not isinstance(correlation.get("condition"), dict):
        return data
    condition = correlation["condition"]
    extra = [key for key in condition if key in OPERATORS][1:]
    if not extra:
        return data
    kept = {key: value for key, value in condition.items() if key not in extra}
    return data | {"correlation": correlation | {"condition": kept}}


def read_correlation(
    sigma: SigmaCorrelationRule, document: Document, path: str, name: str, problems: list[Problem]
) -> Correlation | None:
    """The correlation in a document, not yet tied to its rules; None if it has a problem."""
    from sigma.correlations import SigmaExtendedCorrelationCondition

    rule_id = str(sigma.id) if sigma.id else content_id(document.data)
    if not isinstance(document.data.get("correlation"), dict):
        what = "the correlation section is in another document than the rest"
        problems.append(Problem(what, path, document.line, rule_id, "write each one whole"))
        return None
    found = list(_problems(sigma, document, path, rule_id))
    terms: tuple[Term, ...] = ()
    refers = _refers(sigma)
    if isinstance(sigma.condition, SigmaExtendedCorrelationCondition):
        try:
            terms = _terms(sigma.condition.parsed, refers)
        except (ValueError, RecursionError) as error:
            line = document.near(("correlation", "condition"))
            found.append(Problem(f"condition: {error}", path, line, rule_id))
    problems += found
    if found:
        return None
    section = document.data["correlation"]
    condition = section.get("condition")
    block = document.data.get(BLOCK)
    return Correlation(
        id=rule_id,
        title=sigma.title,
        called=sigma.name or "",
        description=sigma.description or "",
        status=sigma.status.name.lower() if sigma.status else "",
        level=Level[sigma.level.name] if sigma.level else Level.MEDIUM,
        type=sigma.type.name.lower(),
        refers=refers,
        timespan=sigma.timespan.seconds,
        group_by=tuple(dict.fromkeys(sigma.group_by or ())),
        aliases=section.get("aliases") or _NO_ALIASES,
        comparisons=() if terms else _comparisons(condition, len(refers)),
        terms=terms,
        value_fields=_value_fields(condition),
        percentile=_percentile(condition),
        generate=bool(sigma.generate or document.data.get("generate")),
        tags=tuple(map(str, sigma.tags)),
        techniques=tuple(
            tag.name.upper()
            for tag in sigma.tags
            if tag.namespace == "attack" and tag.name[:1] in "tT" and tag.name[1:2].isdigit()
        ),
        references=tuple(map(str, sigma.references or ())),
        false_positives=tuple(map(str, sigma.falsepositives or ())),
        path=path,
        name=name,
        lines=document.lines,
        meta=parse_metadata(block) if isinstance(block, dict) else Metadata(),
        raw=document.data,
    )


def _refers(sigma: SigmaCorrelationRule) -> tuple[str, ...]:
    """The references in order; an extended condition without a list of rules is the list."""
    from sigma.correlations import SigmaExtendedCorrelationCondition

    if sigma.rules is not None:
        return tuple(str(reference.reference) for reference in sigma.rules)
    condition = sigma.condition
    assert isinstance(condition, SigmaExtendedCorrelationCondition)
    return tuple(condition.get_referenced_rules())


def _problems(
    sigma: SigmaCorrelationRule, document: Document, path: str, rule_id: str
) -> Iterator[Problem]:
    section = document.data["correlation"]

    def problem(what: str, place: str, hint: str = "") -> Problem:
        return Problem(what, path, document.near(("correlation", place)), rule_id, hint)

    if not sigma.group_by:
        hint = "the specification makes it mandatory; to count by host write: [osquery.host]"
        yield problem("correlation without group-by", "group-by", hint)
    refers = _refers(sigma)
    if not refers:
        yield problem("correlation without rules", "rules")
    for reference in sorted({one for one in refers if refers.count(one) > 1}):
        yield problem(f"rules: '{reference}' stands twice", "rules")
    yield from _alias_problems(section.get("aliases"), document, path, rule_id)
    condition = section.get("condition")
    if isinstance(condition, dict):
        for op in OPERATORS:
            if op in condition and not _is_number(condition[op]):
                yield problem(f"condition: {op} must be a number", "condition")
    yield from (
        problem(what, "condition", hint) for what, hint in _field_problems(sigma, condition)
    )
    for key in ("identity", "removed"):
        if key in (document.data.get(BLOCK) or {}):
            line = document.near((BLOCK, key))
            hint = "a correlation's findings are told apart by its group-by"
            yield Problem(f"{BLOCK}.{key} has no meaning here", path, line, rule_id, hint)


def _alias_problems(aliases: Any, document: Document, path: str, rule_id: str) -> Iterator[Problem]:
    for alias, fields in aliases.items() if isinstance(aliases, dict) else ():
        good = isinstance(fields, dict) and all(
            isinstance(key, str) and isinstance(value, str) for key, value in fields.items()
        )
        if not isinstance(alias, str) or not good:
            line = document.near(("correlation", "aliases", alias))
            what = f"alias '{alias}' must map rule names to field names"
            yield Problem(what, path, line, rule_id)


def _field_problems(sigma: SigmaCorrelationRule, condition: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with `field` and `percentile`: text and hint."""
    kind, fields = sigma.type.name.lower(), _value_fields(condition)
    if kind in NUMERIC and len(fields) > 1:
        yield f"condition: {kind} takes one field", ""
    if fields and kind not in VALUED:
        yield f"condition: {kind} counts no field", "value_count counts the values of a field"
    if kind == "value_percentile":
        hint = "write the percentile in condition.percentile, the limit after the operator"
        if not isinstance(condition, dict) or "percentile" not in condition:
            yield "condition: value_percentile without percentile", hint
        elif not 0 <= _percentile(condition) <= 100:
            yield "condition: percentile must lie between 0 and 100", hint


def _value_fields(condition: Any) -> tuple[str, ...]:
    found = condition.get("field") if isinstance(condition, dict) else None
    listed = found if isinstance(found, list) else [found]
    return tuple(str(one) for one in listed if one is not None)


def _percentile(condition: Any) -> int:
    try:
        return int(condition["percentile"])
    except (KeyError, TypeError, ValueError):
        return 50


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _comparisons(condition: Any, rules: int) -> tuple[Comparison, ...]:
    """The operators of a condition; without one, all rules must match (the temporal types)."""
    if not isinstance(condition, dict):
        return (Comparison("gte", rules),)
    return tuple(Comparison(op, condition[op]) for op in OPERATORS if op in condition)


def terms_of(text: str, refers: Sequence[str]) -> tuple[Term, ...]:
    """A condition in words over the references `refers` as alternatives; () if it cannot be one."""
    from sigma.correlations import SigmaExtendedCorrelationCondition
    from sigma.exceptions import SigmaError

    try:
        return _terms(SigmaExtendedCorrelationCondition(text).parsed, refers)
    except (SigmaError, ValueError, RecursionError):
        return ()


def _terms(node: Any, refers: Sequence[str]) -> tuple[Term, ...]:
    """The condition as alternatives, contradictory ones left out. ValueError says what is wrong."""
    places = {reference: place for place, reference in enumerate(refers)}
    found = []
    for needs, lacks in _alternatives(node, negative=False):
        needed = tuple(sorted(places[one] for one in needs))
        found.append(Term(needed, tuple(sorted(places[one] for one in lacks))))
    if not found:
        raise ValueError("it contradicts itself")
    if len(found) > MAX_TERMS:
        raise ValueError(_TOO_MANY)
    if not all(term.needs for term in found):
        raise ValueError("it can hold where none of its rules matched, so there is nothing to show")
    return tuple(dict.fromkeys(found))


_Pair = tuple[frozenset[str], frozenset[str]]


def _alternatives(node: Any, negative: bool) -> list[_Pair]:
    from sigma.correlations import (
        CorrelationConditionAND,
        CorrelationConditionNOT,
        SigmaRuleReference,
    )

    if isinstance(node, SigmaRuleReference):
        one: frozenset[str] = frozenset((node.reference,))
        return [(frozenset(), one) if negative else (one, frozenset())]
    if isinstance(node, CorrelationConditionNOT):
        return _alternatives(node.args[0], not negative)
    parts = [_alternatives(child, negative) for child in node.args]
    if isinstance(node, CorrelationConditionAND) == negative:
        return [pair for part in parts for pair in part]
    result: list[_Pair] = [(frozenset(), frozenset())]
    for part in parts:
        result = [
            (needs | more, lacks | fewer)
            for needs, lacks in result
            for more, fewer in part
            if not (needs | more) & (lacks | fewer)
        ]
        if len(result) > MAX_TERMS:
            raise ValueError(_TOO_MANY)
    return result
