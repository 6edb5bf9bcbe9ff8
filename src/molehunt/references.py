"""Ties correlations to the rules they refer to: names to ids, cycles, fields that are asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from .correlation import Correlation
from .problems import Problem
from .taxonomy import SUBJECT

if TYPE_CHECKING:
    from .rule import Rule


class Tied(NamedTuple):
    """Rules that know what is asked of them, and correlations, those referred to first."""

    rules: tuple[Rule, ...]
    correlations: tuple[Correlation, ...]


def tie(
    rules: Sequence[Rule], correlations: Sequence[Correlation], problems: list[Problem]
) -> Tied:
    """Resolve all references. A correlation with a problem is left out, and so is what needs it.

    What is referred to is silent unless one of the correlations has `generate`. The specification,
    "Generate": "if the rules referred from the correlation rule should be converted as stand-alone
    rules or if only the correlation query should be generated (default)".
    """
    known = _names(rules, correlations)
    resolved: dict[str, Correlation] = {}
    taken = {rule.id: rule.path for rule in rules}
    for one in correlations:
        if one.id in taken:
            what = f"rule id already used in {taken[one.id]}"
            hint = "give the new rule a new id"
            problems.append(Problem(what, one.path, one.lines.get(("id",)), one.id, hint))
            continue
        taken[one.id] = one.path
        found = [*_reference_problems(one, known), *_alias_problems(one, known)]
        problems += found
        if not found:
            resolved[one.id] = _resolved(one, known)
    ordered = _carrying(_in_order(resolved, {rule.id for rule in rules}, problems))
    referred = {reference for one in ordered for reference in one.rules}
    silent = referred - {ref for one in ordered if one.generate for ref in one.rules}
    return Tied(
        tuple(_asked(rules, ordered, silent)),
        tuple(replace(one, silent=one.id in silent) for one in ordered),
    )


def _key(reference: str) -> str:
    """A reference in the spelling of an id, if it is a UUID."""
    try:
        return str(UUID(reference))
    except ValueError:
        return reference


def _names(rules: Iterable[Rule], correlations: Iterable[Correlation]) -> dict[str, set[str]]:
    """The ids behind each id and each name."""
    known: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        known[rule.id].add(rule.id)
        if rule.called:
            known[rule.called].add(rule.id)
    for one in correlations:
        known[one.id].add(one.id)
        if one.called:
            known[one.called].add(one.id)
    return known


def _reference_problems(one: Correlation, known: Mapping[str, set[str]]) -> Iterator[Problem]:
    for index, reference in enumerate(one.refers):
        found = known.get(_key(reference), set())
        line = _line(one, "rules", index)
        if not found:
            what = f"correlation names a rule that is not loaded: {reference}"
            hint = "a reference is the id or the name of a rule"
            yield Problem(what, one.path, line, one.id, hint)
        elif len(found) > 1:
            what = f"several rules are called '{reference}'"
            yield Problem(what, one.path, line, one.id, "refer to the rule by its id")
    ids = [
        next(iter(known[key])) for one_ in one.refers if len(known.get(key := _key(one_), ())) == 1
    ]
    for twice in sorted(found for found, times in Counter(ids).items() if times > 1):
        yield Problem(f"rules: {twice} is named twice", one.path, _line(one, "rules"), one.id)


def _alias_problems(one: Correlation, known: Mapping[str, set[str]]) -> Iterator[Problem]:
    referred = {found for reference in one.refers for found in known.get(_key(reference), ())}
    for alias, fields in one.aliases.items():
        for reference in fields:
            if not known.get(_key(reference), set()) & referred:
                what = f"alias '{alias}' names a rule that is not among rules: {reference}"
                yield Problem(what, one.path, _line(one, "aliases", alias, reference), one.id)


def _line(one: Correlation, *place: str | int) -> int | None:
    path: tuple[str | int, ...] = ("correlation", *place)
    while path and path not in one.lines:
        path = path[:-1]
    return one.lines.get(path)


def _resolved(one: Correlation, known: Mapping[str, set[str]]) -> Correlation:
    ids = tuple(next(iter(known[_key(reference)])) for reference in one.refers)
    renamed = tuple(
        {
            alias: field
            for alias, fields in one.aliases.items()
            for reference, field in fields.items()
            if wanted in known[_key(reference)]
        }
        for wanted in ids
    )
    return replace(one, rules=ids, renamed=renamed)


def _in_order(
    resolved: Mapping[str, Correlation], rules: set[str], problems: list[Problem]
) -> list[Correlation]:
    """Those that can be evaluated, each after what it refers to; the others are problems."""
    done: dict[str, Correlation] = {}
    left = dict(resolved)
    while ready := [
        one for one in left.values() if all(ref in rules or ref in done for ref in one.rules)
    ]:
        for one in ready:
            done[one.id] = left.pop(one.id)
    for one in left.values():
        if _reaches_itself(one, left):
            what, hint = "correlation refers to itself", "break the circle of references"
        else:
            what, hint = "correlation refers to one that was left out", "mend that one first"
        problems.append(Problem(what, one.path, _line(one, "rules"), one.id, hint))
    return list(done.values())


def _reaches_itself(one: Correlation, left: Mapping[str, Correlation]) -> bool:
    seen: set[str] = set()
    waiting = list(one.rules)
    while waiting:
        current = waiting.pop()
        if current == one.id:
            return True
        if current in left and current not in seen:
            seen.add(current)
            waiting += left[current].rules
    return False


def _carrying(ordered: Sequence[Correlation]) -> tuple[Correlation, ...]:
    """With `carried` set: what those above ask for and the group does not have."""
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    result = []
    for one in reversed(ordered):
        carried = tuple(name for name in asked[one.id] if name not in one.group_by)
        result.append(replace(one, carried=carried))
        asks = result[-1].asks
        for place, reference in enumerate(one.rules):
            names = (one.field(place, name) for name in asks)
            asked[reference].update(dict.fromkeys(names))
    return tuple(reversed(result))


def _asked(
    rules: Iterable[Rule], correlations: Iterable[Correlation], silent: set[str]
) -> Iterator[Rule]:
    """The rules with the fields asked of them, and silent where they only serve correlations."""
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for one in correlations:
        asks = one.asks
        for place, reference in enumerate(one.rules):
            names = (one.field(place, name) for name in asks)
            asked[reference].update(dict.fromkeys(name for name in names if name != SUBJECT))
    for rule in rules:
        if rule.id in asked:
            yield replace(rule, asked=tuple(asked[rule.id]), silent=rule.id in silent)
        else:
            yield rule
