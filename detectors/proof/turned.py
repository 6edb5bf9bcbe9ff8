"""Mutants of a correlation or a join: the same with one of its parts taken out or turned.

They are made on values that are not tied to rules yet: `references.tie` gives them their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from molehunt.correlation import Comparison, Correlation, Term, terms_of
from molehunt.joins import Join
from molehunt.yamlfile import KeyPath

from .phrase import changes, parse, written

# What turns an operator round.
_FLIPPED = {"gt": "lte", "gte": "lte", "lt": "gte", "lte": "gte", "eq": "neq", "neq": "eq"}
_COUNTING = ("event_count", "value_count", "temporal", "temporal_ordered")


@dataclass(frozen=True, slots=True)
class Turned:
    """A correlation or join changed in one thing. `name` says in what, `line` is that of the file,
    or None. If it is `regrouped`, its groups have other names than those of the original."""

    name: str
    line: int | None
    one: Correlation | Join
    regrouped: bool = False


def turned(one: Correlation | Join) -> Iterator[Turned]:
    """Every mutant of a correlation or join, in the order of its file."""
    if isinstance(one, Join):
        yield from _joins(one)
        return
    seen: set[str] = set()
    for mutant in (
        *_types(one),
        *_rules(one),
        *_groups(one),
        *_spans(one),
        *_aliases(one),
        *_fields(one),
        *_limits(one),
        *_terms(one),
    ):
        if mutant.name not in seen and mutant.one != one:
            seen.add(mutant.name)
            yield mutant


def loosened_joint(one: Correlation | Join) -> Iterator[Correlation | Join]:
    """Looser readings, to tell what is near: without a window, without a count, without groups, in
    any order."""
    if isinstance(one, Join):
        if one.travel is None:
            yield replace(one, days=1)
        else:
            yield replace(one, travel=one.travel._replace(kilometres=0.0, speed=0.0))
        return
    yield replace(one, timespan=10**9)
    yield replace(one, group_by=())
    if one.ordered:
        yield replace(one, type="temporal")
    if one.terms:
        yield from (replace(one, terms=(Term((place,), ()),)) for place in range(len(one.refers)))
    elif one.comparisons:
        op = "gte" if one.type in _COUNTING else "neq"
        yield replace(one, comparisons=(Comparison(op, 1),))


def trivial(one: Correlation) -> bool:
    """Whether it holds as soon as anything of the group is in a window, so that it only gathers
    what others count. Its window and its threshold then have no meaning of their own."""
    return one.type == "event_count" and one.comparisons == (Comparison("gte", 1),)


def _line(one: Correlation, *place: str | int) -> int | None:
    path: KeyPath = ("correlation", *place)
    while path and path not in one.lines:
        path = path[:-1]
    return one.lines.get(path)


def _types(one: Correlation) -> Iterator[Turned]:
    line = _line(one, "type")
    if one.type == "temporal_ordered":
        new = replace(one, type="temporal")
        yield Turned("type: temporal_ordered -> temporal", line, new)
    if one.type == "value_count":
        new = replace(one, type="event_count", value_fields=())
        yield Turned("type: value_count -> event_count", line, new)


def _rules(one: Correlation) -> Iterator[Turned]:
    """Without one of the rules. A condition in words loses them as its operands."""
    if one.terms or len(one.refers) < 2:
        return
    every = not isinstance(one.raw.get("correlation", {}).get("condition"), dict)
    for index, reference in enumerate(one.refers):
        left = tuple(other for other in one.refers if other != reference)
        comparisons = (Comparison("gte", len(left)),) if every else one.comparisons
        aliases = {
            alias: {rule: field for rule, field in fields.items() if rule != reference}
            for alias, fields in one.aliases.items()
        }
        new = replace(one, refers=left, comparisons=comparisons, aliases=aliases)
        yield Turned(f"rules: {reference} removed", _line(one, "rules", index), new)


def _groups(one: Correlation) -> Iterator[Turned]:
    for name in one.group_by:
        new = replace(one, group_by=tuple(other for other in one.group_by if other != name))
        yield Turned(f"group-by: {name} removed", _line(one, "group-by"), new, regrouped=True)


def _spans(one: Correlation) -> Iterator[Turned]:
    if trivial(one):
        return
    line = _line(one, "timespan")
    yield Turned("timespan halved", line, replace(one, timespan=one.timespan // 2))
    yield Turned("timespan doubled", line, replace(one, timespan=one.timespan * 2))


def _aliases(one: Correlation) -> Iterator[Turned]:
    for alias, fields in one.aliases.items():
        for reference in fields:
            left = {name: {**meant} for name, meant in one.aliases.items()}
            del left[alias][reference]
            name = f"aliases.{alias}: {reference} removed"
            yield Turned(name, _line(one, "aliases", alias, reference), replace(one, aliases=left))


def _fields(one: Correlation) -> Iterator[Turned]:
    if len(one.value_fields) < 2:
        return
    for name in one.value_fields:
        left = tuple(other for other in one.value_fields if other != name)
        line = _line(one, "condition", "field")
        yield Turned(f"condition.field: {name} removed", line, replace(one, value_fields=left))


def _limits(one: Correlation) -> Iterator[Turned]:
    """Other limits and operators. Of counts one more and one less; no count is less than one, and
    not more rules can match than there are."""
    if one.terms or trivial(one):
        return
    counting = one.type in _COUNTING
    most = len(one.refers) if one.type.startswith("temporal") else None
    for index, (op, limit) in enumerate(one.comparisons):
        line = _line(one, "condition", op)

        def changed(new_op: str, new: int | float, index: int = index) -> Any:
            listed = list(one.comparisons)
            listed[index] = Comparison(new_op, new)
            return replace(one, comparisons=tuple(listed))

        step = 1 if counting else (abs(limit) / 10 or 1)
        for other in (limit - step, limit + step):
            least = other - (op == "lt") + (op == "gt")
            if counting and (least < 1 or (most is not None and least > most)):
                continue
            yield Turned(f"condition.{op}: {limit} -> {other}", line, changed(op, other))
        if not (most is not None and op == "gte" and limit == most):
            turn = _FLIPPED[op]
            yield Turned(f"condition: {op} -> {turn}", line, changed(turn, limit))
    if len(one.comparisons) > 1:
        for index, (op, _) in enumerate(one.comparisons):
            left = (*one.comparisons[:index], *one.comparisons[index + 1 :])
            yield Turned(
                f"condition.{op} removed",
                _line(one, "condition", op),
                replace(one, comparisons=left),
            )


def _terms(one: Correlation) -> Iterator[Turned]:
    """A condition in words with an operand taken out, or a word turned."""
    text = one.raw.get("correlation", {}).get("condition")
    phrase = parse(text) if one.terms and isinstance(text, str) else None
    for what, changed in changes(phrase, []) if phrase is not None else ():
        terms = terms_of(written(changed), one.refers)
        if terms:
            name = f"condition: {what}"
            yield Turned(name, _line(one, "condition"), replace(one, terms=terms))


def _joins(one: Join) -> Iterator[Turned]:
    travel = one.travel
    if travel is not None:
        for word, by in (("halved", 0.5), ("doubled", 2.0)):
            less = travel._replace(kilometres=travel.kilometres * by)
            yield Turned(f"travel.kilometres {word}", None, replace(one, travel=less))
            slower = travel._replace(speed=travel.speed * by)
            yield Turned(f"travel.kilometres_per_hour {word}", None, replace(one, travel=slower))
    else:
        for days in (one.days - 1, one.days + 1):
            if days:
                yield Turned(f"join.days: {one.days} -> {days}", None, replace(one, days=days))
    for rule, (kind, field) in one.uses.items() if len(one.uses) > 1 else ():
        left = {other: use for other, use in one.uses.items() if other != rule}
        yield Turned(f"{kind}: {field} of {rule} removed", None, replace(one, uses=left))
