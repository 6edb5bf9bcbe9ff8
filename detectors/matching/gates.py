"""A cheap exact look at the columns of a row before anything else is made of it.

A rule passes where a column holds no plain text, as does a text that means something else in rows
of another action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from molehunt.conditions import Condition, Or, fields_of, has_keyword

from .fields import FieldMap
from .predicates import Predicate, compile_condition
from .texts import Asked, Texts, bits, is_told, row_of, single_columns

SORT_EVERY = 512

# A rule's number and how it reads the rows of one query; None if it does not.
Reads = Callable[[int], tuple[Sequence[Condition], FieldMap] | None]


class Gates:
    """The gates of one query's rows for the rules of a mask."""

    def __init__(self, rules: int, reads: Reads) -> None:
        found: dict[str, dict[int, Asked]] = {}
        for index in bits(rules):
            read = reads(index)
            if read is None:
                continue
            conditions, fields = read
            for column, part in single_columns(conditions, fields).items():
                found.setdefault(column, {})[index] = (part, fields)
        self._columns = [Texts(column, rules) for column, rules in sorted(found.items())]
        self._reads = reads
        self._wholes: dict[int, _Whole | None] = {}
        self._asked = 0

    def passing(self, columns: Mapping[str, Any], rules: int) -> int:
        """The rules (a mask) that the columns of a row leave standing."""
        self._asked += 1
        if self._asked % SORT_EVERY == 0:
            # Those whose answers are mostly known come first.
            self._columns.sort(key=lambda texts: texts.missed)
        for texts in self._columns:
            if rules & texts.mask:
                rules &= texts.answer(columns.get(texts.name), rules)
                if not rules:
                    return 0
        return self._held(columns, rules)

    def _held(self, columns: Mapping[str, Any], rules: int) -> int:
        """Those of the rules that the columns together leave standing."""
        row = row_of(columns)
        for index in bits(rules):
            if index not in self._wholes:
                self._wholes[index] = _whole(self._reads(index))
            whole = self._wholes[index]
            if whole is None:
                continue
            told = all(is_told(columns.get(name)) for name in whole.columns)
            if told and not whole.holds(row):
                rules ^= 1 << index
        return rules


class _Whole(NamedTuple):
    """A rule that asks of columns only: their names, and its condition."""

    columns: tuple[str, ...]
    holds: Predicate


def _whole(read: tuple[Sequence[Condition], FieldMap] | None) -> _Whole | None:
    if read is None:
        return None
    conditions, fields = read
    places = [
        place
        for condition in conditions
        for name in fields_of(condition)
        if (place := fields.places[name]).kind != "absent"
    ]
    if any(place.kind != "column" for place in places) or any(map(has_keyword, conditions)):
        return None
    columns = tuple(dict.fromkeys(place.name for place in places))
    condition = conditions[0] if len(conditions) == 1 else Or(tuple(conditions))
    return _Whole(columns, compile_condition(condition, fields))
