"""Sigma correlation rules as plain values, made from what pySigma says and the YAML beside it.

Sigma correlation rules specification 2.1.0 (August 2025); docs/correlations.md says what each part
means here. `references` ties the values to the rules that they refer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .levels import Level
from .metadata import BLOCK, Metadata, parse_metadata
from .names import Both, Name, Negated, Some, Tree
from .problems import Problem

if TYPE_CHECKING:
    from .yamlfile import Document, KeyPath

OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
NUMERIC = frozenset(("value_sum", "value_avg", "value_percentile", "value_median"))
VALUED = NUMERIC | {"value_count"}
# Keys of the `correlation` section: the specification's, and where `generate` stands in pySigma.
KEYS = frozenset("type rules group-by timespan aliases condition generate".split())
# Snapshots are hourly or daily, and a computer may be off for a while. Further apart, a row was
# not shown to be there all the time.
SNAPSHOT_GAP = 7 * 86400.0
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


class Said(NamedTuple):
    """What is said in a correlation's document. `words` is a condition in words."""

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
    words: Tree | None
    generate: bool
    tags: tuple[str, ...]
    references: tuple[str, ...]
    false_positives: tuple[str, ...]


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
    said: Said, document: Document, path: str, name: str, problems: list[Problem]
) -> Correlation | None:
    """The correlation in a document, not yet tied to its rules; None if it has a problem."""
    if not isinstance(document.data.get("correlation"), dict):
        what = "the correlation section is in another document than the rest"
        problems.append(Problem(what, path, document.line, said.id, "write each one whole"))
        return None
    found = list(_problems(said, document, path))
    terms: tuple[Term, ...] = ()
    if said.words is not None:
        try:
            terms = _terms(said.words, said.refers)
        except (ValueError, RecursionError) as error:
            line = document.near(("correlation", "condition"))
            found.append(Problem(f"condition: {error}", path, line, said.id))
    problems += found
    if found:
        return None
    section = document.data["correlation"]
    condition = section.get("condition")
    block = document.data.get(BLOCK)
    return Correlation(
        id=said.id,
        title=said.title,
        called=said.called,
        description=said.description,
        status=said.status,
        level=said.level,
        type=said.type,
        refers=said.refers,
        timespan=said.timespan,
        group_by=tuple(dict.fromkeys(said.group_by)),
        aliases=section.get("aliases") or _NO_ALIASES,
        comparisons=() if terms else _comparisons(condition, len(said.refers)),
        terms=terms,
        value_fields=_value_fields(condition),
        percentile=_percentile(condition),
        generate=bool(said.generate or document.data.get("generate")),
        tags=said.tags,
        techniques=tuple(techniques_of(said.tags)),
        references=said.references,
        false_positives=said.false_positives,
        path=path,
        name=name,
        lines=document.lines,
        meta=parse_metadata(block) if isinstance(block, dict) else Metadata(),
        raw=document.data,
    )


def techniques_of(tags: Iterable[str]) -> Iterator[str]:
    """The ATT&CK techniques among tags."""
    for tag in tags:
        space, _, name = tag.partition(".")
        if space == "attack" and name[:1] in "tT" and name[1:2].isdigit():
            yield name.upper()


def _problems(said: Said, document: Document, path: str) -> Iterator[Problem]:
    section, rule_id, refers = document.data["correlation"], said.id, said.refers

    def problem(what: str, place: str, hint: str = "") -> Problem:
        return Problem(what, path, document.near(("correlation", place)), rule_id, hint)

    if not said.group_by:
        hint = "the specification makes it mandatory; to count by host write: [osquery.host]"
        yield problem("correlation without group-by", "group-by", hint)
    if not refers:
        yield problem("correlation without rules", "rules")
    for reference in sorted(one for one, times in Counter(refers).items() if times > 1):
        yield problem(f"rules: '{reference}' stands twice", "rules")
    yield from _alias_problems(section.get("aliases"), document, path, rule_id)
    condition = section.get("condition")
    if isinstance(condition, dict):
        for op in OPERATORS:
            if op in condition and not _is_number(condition[op]):
                yield problem(f"condition: {op} must be a number", "condition")
    yield from (
        problem(what, "condition", hint) for what, hint in _field_problems(said.type, condition)
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


def _field_problems(kind: str, condition: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with `field` and `percentile`: text and hint."""
    fields = _value_fields(condition)
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
    from sigma.exceptions import SigmaError

    from .sigmaload import words_of

    try:
        return _terms(words_of(text), refers)
    except (SigmaError, ValueError, RecursionError):
        return ()


def _terms(node: Tree, refers: Sequence[str]) -> tuple[Term, ...]:
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


def _alternatives(node: Tree, negative: bool) -> list[_Pair]:
    assert not isinstance(node, Some)
    if isinstance(node, Name):
        one: frozenset[str] = frozenset((node.name,))
        return [(frozenset(), one) if negative else (one, frozenset())]
    if isinstance(node, Negated):
        return _alternatives(node.arg, not negative)
    parts = [_alternatives(child, negative) for child in node.args]
    if isinstance(node, Both) == negative:
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
