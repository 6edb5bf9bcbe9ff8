"""The slow evaluator: what a rule means here, written to be read.

It walks a rule's condition over one record and keeps every step, so that `explain` can
show it. The engine in `plan` must never disagree with it. docs/semantics.md states each decision
with the passage of the Sigma specification behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, NamedTuple

import re2

from molehunt.conditions import (
    And,
    AnyOf,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Keyword,
    Not,
    Nothing,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    TimePart,
    Wanted,
    Wild,
)
from molehunt.normalise import NORMALISERS, parse_ip

from ..records import Record, Scalar
from ..values import as_number, as_text, as_time, fold
from .describe import wanted
from .fields import FieldMap


class Step(NamedTuple):
    """One node of a condition with its outcome.

    `kind` is `and`, `or`, `not`, `field` or `keyword`. A field step has the rule's field, the
    column it was read from, the values found there (normalised) and what was asked for.
    """

    kind: str
    holds: bool
    children: tuple[Step, ...] = ()
    field: str = ""
    column: str = ""
    values: tuple[Scalar, ...] = ()
    asked: Wanted | None = None

    @property
    def wanted(self) -> str:
        """What was asked for, in words; "" of a step that asks nothing itself."""
        return "" if self.asked is None else wanted(self.asked)


class View(NamedTuple):
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

    def key(self) -> tuple[object, ...] | None:
        """All that the outcome of a condition without keywords can depend on: under one field map
        equal keys mean equal outcomes. None where values are no texts, of which equal ones (1 and
        true) may be different."""
        logged = [self._logged(field) for field in sorted(self.fields.places)]
        logged += [self.record.values.get(column) for column, _ in self.fields.where]
        if not all(value is None or isinstance(value, str) for value in logged):
            return None
        return (self.record.action, *logged)

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


def evaluate(condition: Condition, view: View) -> Step:
    """The outcome of a condition on one record, nothing skipped."""
    match condition:
        case And():
            children = tuple(evaluate(child, view) for child in condition.args)
            return Step("and", all(child.holds for child in children), children)
        case Or():
            children = tuple(evaluate(child, view) for child in condition.args)
            return Step("or", any(child.holds for child in children), children)
        case Not():
            child = evaluate(condition.arg, view)
            return Step("not", not child.holds, (child,))
        case FieldIs():
            return _field_step(condition.field, condition.value, view)
        case Keyword():
            holds = _keyword_holds(condition.value, view)
            return Step("keyword", holds, asked=condition.value)


def _field_step(field: str, value: Wanted, view: View) -> Step:
    found = view.values(field)
    return Step(
        "field",
        _field_holds(field, found, value, view),
        field=field,
        column=view.fields.places[field].name,
        values=found,
        asked=value,
    )


def _field_holds(field: str, found: tuple[Scalar, ...], value: Wanted, view: View) -> bool:
    """Whether the field, in which the values `found` are, is as wanted."""
    if isinstance(value, AnyOf):
        return any(_field_holds(field, found, item, view) for item in value.values)
    if isinstance(value, Exists):
        return view.present(field) == value.exists
    if isinstance(value, Nothing):
        return not found
    if _is_empty_string(value) and view.fields.store.empty_is_null:
        return not found
    if isinstance(value, Reference):
        others = view.values(value.field)
        return any(_refers(value, mine, other) for mine in found for other in others)
    return any(value_matches(value, item) for item in found)


def _is_empty_string(value: Wanted) -> bool:
    return isinstance(value, Text) and not value.parts


def value_matches(value: Wanted, actual: Scalar) -> bool:
    """Whether one logged value, not nothing, satisfies one wanted value."""
    match value:
        case Text(parts=parts, cased=True):
            return glob(parts, as_text(actual))
        case Text(parts=parts):
            return glob(_folded(parts), fold(as_text(actual)))
        case TimePart(part=part, number=number):
            return _time_part(part, actual) == number
        case Number(number=number):
            return as_number(actual) == number
        case Flag(boolean=boolean):
            return fold(as_text(actual)) == ("true" if boolean else "false")
        case Regex():
            return regex(value).search(as_text(actual)) is not None
        case Cidr(network=network):
            address = parse_ip(as_text(actual))
            return address is not None and address in ip_network(network)
        case Compare():
            return _compares(value, as_number(actual))
        case _:
            raise TypeError(f"{value!r} is not about one value")


@lru_cache(maxsize=65_536)
def _folded(parts: tuple[str | Wild, ...]) -> tuple[str | Wild, ...]:
    return tuple(fold(part) if isinstance(part, str) else part for part in parts)


def glob(parts: Sequence[str | Wild], text: str) -> bool:
    """Wildcard match of the whole text: `*` is any run of characters, `?` exactly one.

    Keeps the set of places in the pattern that the text so far can have reached; time is at most
    pattern length times text length, whatever the two hold. Most texts lack a plain part, and then
    nothing is to be kept.
    """
    if not all(part in text for part in parts if isinstance(part, str)):
        return False
    pattern: list[str | Wild] = []
    for part in parts:
        pattern.extend(part if isinstance(part, str) else [part])
    reached = _past_stars(pattern, {0})
    for character in text:
        moved = set()
        for place in reached:
            if place == len(pattern):
                continue
            if pattern[place] is Wild.ANY:
                moved.add(place)
            elif pattern[place] is Wild.ONE or pattern[place] == character:
                moved.add(place + 1)
        reached = _past_stars(pattern, moved)
        if not reached:
            return False
    return len(pattern) in reached


def _past_stars(pattern: list[str | Wild], places: set[int]) -> set[int]:
    result = set(places)
    for place in places:
        following = place
        while following < len(pattern) and pattern[following] is Wild.ANY:
            following += 1
            result.add(following)
    return result


def regex(value: Regex) -> Any:
    """The compiled RE2 pattern of a regex: linear in the text, unanchored, with its flags."""
    return _compiled((f"(?{value.flags})" if value.flags else "") + value.pattern)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _compares(value: Compare, actual: int | float | None) -> bool:
    if actual is None:
        return False
    number = value.number
    return {
        "<": actual < number,
        "<=": actual <= number,
        ">": actual > number,
        ">=": actual >= number,
        "!=": actual != number,
    }[value.operator]


def _time_part(part: str, actual: Scalar) -> int | None:
    moment = as_time(actual)
    if moment is None:
        return None
    return {
        "minute": moment.minute,
        "hour": moment.hour,
        "day": moment.day,
        "week": moment.isocalendar().week,
        "month": moment.month,
        "year": moment.year,
    }[part]


def _refers(reference: Reference, mine: Scalar, other: Scalar) -> bool:
    """Two fields compared as text without case; nothing is equal to nothing only by `null`."""
    left, right = fold(as_text(mine)), fold(as_text(other))
    if reference.starts and reference.ends:
        return right in left
    if reference.starts:
        return left.startswith(right)
    if reference.ends:
        return left.endswith(right)
    return left == right


def _keyword_holds(value: Wanted, view: View) -> bool:
    """A keyword stands anywhere in any value of the record."""
    if isinstance(value, AnyOf):
        return any(_keyword_holds(item, view) for item in value.values)
    texts = view.all_texts()
    if isinstance(value, Text):
        parts = [fold(p) if isinstance(p, str) and not value.cased else p for p in value.parts]
        anywhere = [Wild.ANY, *parts, Wild.ANY]
        return any(glob(anywhere, t if value.cased else fold(t)) for t in texts)
    if isinstance(value, Number):
        return any(fold(str(value.number)) in fold(text) for text in texts)
    if isinstance(value, Flag):
        return any(("true" if value.boolean else "false") in fold(text) for text in texts)
    return any(value_matches(value, text) for text in texts)
