"""The slow evaluator: what a rule means here, written to be read.

It walks pySigma's own condition tree over one record and keeps every step, so that `explain` can
show it. The engine in `plan` must never disagree with it. docs/semantics.md states each decision
with the passage of the Sigma specification behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

import re2
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
    TimestampPart,
)

from molehunt.normalise import NORMALISERS, parse_ip

from ..records import Record, Scalar
from ..values import as_number, as_text, as_time, fold
from .describe import wanted
from .fields import FieldMap


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a condition with its outcome.

    `kind` is `and`, `or`, `not`, `field` or `keyword`. A field step has the rule's field, the
    column it was read from, the values found there (normalised) and what was wanted.
    """

    kind: str
    holds: bool
    children: tuple[Step, ...] = ()
    field: str = ""
    column: str = ""
    values: tuple[Scalar, ...] = ()
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A record as one rule sees it."""

    record: Record
    fields: FieldMap

    def present(self, field: str) -> bool:
        """Whether the field is there at all. In osquery data, nothing and "" are one value."""
        place = self.fields.places[field]
        if place.kind == "column" and not self.fields.store.empty_is_null:
            return place.name in self.record.values
        return bool(self.values(field))

    def values(self, field: str) -> tuple[Scalar, ...]:
        """The field's values, normalised, without those that count as nothing."""
        place = self.fields.places[field]
        return tuple(
            self._normalise(value, place.normalisers)
            for value in _listed(self._logged(field))
            if not self._is_nothing(value)
        )

    def all_texts(self) -> tuple[str, ...]:
        """Every value of the record as text: what keywords are searched in."""
        return tuple(
            as_text(self._normalise(value, self.fields.store.text))
            for logged in self.record.values.values()
            for value in _listed(logged)
            if not self._is_nothing(value)
        )

    def _logged(self, field: str) -> Any:
        place, record = self.fields.places[field], self.record
        if place.kind == "column":
            return record.values.get(place.name)
        if place.kind == "decoration":
            return record.decorations.get(place.name)
        if place.kind == "envelope":
            envelope = {
                "action": record.action,
                "name": record.query,
                "host": record.host,
                "counter": record.counter,
            }
            return envelope[place.name]
        return None

    def _is_nothing(self, value: Scalar) -> bool:
        return value is None or (value == "" and self.fields.store.empty_is_null)

    def _normalise(self, value: Scalar, normalisers: Iterable[str]) -> Scalar:
        if not isinstance(value, str):
            return value
        for name in normalisers:
            # Only differential rows spell bytes as text; a snapshot has the bytes themselves.
            if name == "control_text" and self.record.action not in ("added", "removed"):
                continue
            value = NORMALISERS[name].value(value)
        return value


def _listed(value: Any) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def belongs(view: View) -> bool:
    """Whether the record is of the rule's log source: the taxonomy's `where`."""
    return all(
        as_text(view.record.values.get(column)) in allowed  # type: ignore[arg-type]
        for column, allowed in view.fields.where
    )


def evaluate(condition: Any, view: View) -> Step:
    """The outcome of a pySigma condition tree on one record, nothing skipped."""
    if isinstance(condition, (ConditionAND, ConditionOR)):
        children = tuple(evaluate(child, view) for child in condition.args)
        outcomes = [child.holds for child in children]
        if isinstance(condition, ConditionAND):
            return Step("and", all(outcomes), children)
        return Step("or", any(outcomes), children)
    if isinstance(condition, ConditionNOT):
        child = evaluate(condition.args[0], view)
        return Step("not", not child.holds, (child,))
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _field_step(condition.field, condition.value, view)
    if isinstance(condition, ConditionValueExpression):
        holds = _keyword_holds(condition.value, view)
        return Step("keyword", holds, wanted=wanted(condition.value))
    raise TypeError(f"not a Sigma condition: {condition!r}")


def _field_step(field: str, value: Any, view: View) -> Step:
    return Step(
        "field",
        _field_holds(field, value, view),
        field=field,
        column=view.fields.places[field].name,
        values=view.values(field),
        wanted=wanted(value),
    )


def _field_holds(field: str, value: Any, view: View) -> bool:
    if isinstance(value, SigmaExpansion):
        return any(_field_holds(field, item, view) for item in value.values)
    if isinstance(value, SigmaExists):
        return view.present(field) == value.exists
    found = view.values(field)
    if isinstance(value, SigmaNull):
        return not found
    if _is_empty_string(value) and view.fields.store.empty_is_null:
        return not found
    if isinstance(value, SigmaFieldReference):
        others = view.values(value.field)
        return any(_refers(value, mine, other) for mine in found for other in others)
    return any(value_matches(value, item) for item in found)


def _is_empty_string(value: Any) -> bool:
    return isinstance(value, SigmaString) and value.s == []


def value_matches(wanted_value: Any, actual: Scalar) -> bool:
    """Whether one logged value, not nothing, satisfies one Sigma value."""
    if isinstance(wanted_value, SigmaCasedString):
        return glob(wanted_value.s, as_text(actual))
    if isinstance(wanted_value, SigmaString):
        folded = [fold(part) if isinstance(part, str) else part for part in wanted_value.s]
        return glob(folded, fold(as_text(actual)))
    if isinstance(wanted_value, SigmaTimestampPart):
        return _time_part(wanted_value.timestamp_part, actual) == wanted_value.number
    if isinstance(wanted_value, SigmaNumber):
        return as_number(actual) == wanted_value.number
    if isinstance(wanted_value, SigmaBool):
        return fold(as_text(actual)) == ("true" if wanted_value.boolean else "false")
    if isinstance(wanted_value, SigmaRegularExpression):
        return regex(wanted_value).search(as_text(actual)) is not None
    if isinstance(wanted_value, SigmaCIDRExpression):
        address, network = parse_ip(as_text(actual)), ip_network(wanted_value.cidr)
        return address is not None and address in network
    if isinstance(wanted_value, SigmaCompareExpression):
        return _compares(wanted_value, as_number(actual))
    raise TypeError(f"no meaning for {type(wanted_value).__name__}")


def glob(parts: list[Any], text: str) -> bool:
    """Wildcard match of the whole text: `*` is any run of characters, `?` exactly one.

    Keeps the set of places in the pattern that the text so far can have reached; time is at most
    pattern length times text length, whatever the two hold.
    """
    pattern: list[Any] = []
    for part in parts:
        pattern.extend(part if isinstance(part, str) else [part])
    reached = _past_stars(pattern, {0})
    for character in text:
        moved = set()
        for place in reached:
            if place == len(pattern):
                continue
            if pattern[place] is SpecialChars.WILDCARD_MULTI:
                moved.add(place)
            elif pattern[place] is SpecialChars.WILDCARD_SINGLE or pattern[place] == character:
                moved.add(place + 1)
        reached = _past_stars(pattern, moved)
        if not reached:
            return False
    return len(pattern) in reached


def _past_stars(pattern: list[Any], places: set[int]) -> set[int]:
    result = set(places)
    for place in places:
        following = place
        while following < len(pattern) and pattern[following] is SpecialChars.WILDCARD_MULTI:
            following += 1
            result.add(following)
    return result


def regex(value: SigmaRegularExpression) -> Any:
    """The compiled RE2 pattern of a Sigma regex: linear in the text, unanchored, with its flags."""
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return _compiled((f"(?{flags})" if flags else "") + str(value.regexp))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _compares(value: SigmaCompareExpression, actual: int | float | None) -> bool:
    if actual is None:
        return False
    number = value.number.number
    return {
        CompareOperators.LT: actual < number,
        CompareOperators.LTE: actual <= number,
        CompareOperators.GT: actual > number,
        CompareOperators.GTE: actual >= number,
        CompareOperators.NEQ: actual != number,
    }[value.op]


def _time_part(part: TimestampPart, actual: Scalar) -> int | None:
    moment = as_time(actual)
    if moment is None:
        return None
    return {
        TimestampPart.MINUTE: moment.minute,
        TimestampPart.HOUR: moment.hour,
        TimestampPart.DAY: moment.day,
        TimestampPart.WEEK: moment.isocalendar().week,
        TimestampPart.MONTH: moment.month,
        TimestampPart.YEAR: moment.year,
    }[part]


def _refers(reference: SigmaFieldReference, mine: Scalar, other: Scalar) -> bool:
    """Two fields compared as text without case; nothing is equal to nothing only by `null`."""
    left, right = fold(as_text(mine)), fold(as_text(other))
    if reference.starts_with and reference.ends_with:
        return right in left
    if reference.starts_with:
        return left.startswith(right)
    if reference.ends_with:
        return left.endswith(right)
    return left == right


def _keyword_holds(value: Any, view: View) -> bool:
    """A keyword stands anywhere in any value of the record."""
    if isinstance(value, SigmaExpansion):
        return any(_keyword_holds(item, view) for item in value.values)
    texts = view.all_texts()
    if isinstance(value, SigmaString):
        anywhere = SpecialChars.WILDCARD_MULTI
        cased = isinstance(value, SigmaCasedString)
        parts = [fold(p) if isinstance(p, str) and not cased else p for p in value.s]
        return any(glob([anywhere, *parts, anywhere], t if cased else fold(t)) for t in texts)
    if isinstance(value, (SigmaNumber, SigmaBool)):
        return any(fold(str(value)) in fold(text) for text in texts)
    return any(value_matches(value, text) for text in texts)
