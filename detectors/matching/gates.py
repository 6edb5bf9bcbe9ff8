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
MAX_ORDERS = 10_000


class Reading(NamedTuple):
    """How a rule reads rows: its conditions, where its fields are, and the columns that such rows
    can have; None if that is not known."""

    conditions: Sequence[Condition]
    fields: FieldMap
    columns: frozenset[str] | None = None


# The ways in which a rule, by its number, may read the rows of one query; none if it has no gate.
Reads = Callable[[int], Sequence[Reading]]


class Gates:
    """The gates of one query's rows, made for each rule when it is first asked."""

    def __init__(self, reads: Reads) -> None:
        self._columns: list[Texts] = []
        self._reads = reads
        self._made = 0
        self._wholes: dict[int, _Whole | None] = {}
        self._asked = 0
        self._asked_of: dict[int, list[Texts]] = {}

    def raw(self, line: bytes, begin: int, stop: int, rules: int) -> int:
        """The rules (a mask) that the texts in a raw line leave standing, the columns' keys between
        `begin` and `stop` of which stand on one level. What is not plainly there leaves all."""
        asked = self._asked_of.get(rules)
        if asked is None:
            asked = self._order(rules)
        for place, texts in enumerate(asked):
            rules &= texts.raw(line, begin, stop, rules)
            if not rules:
                if place:
                    # What ruled out last is asked first.
                    asked.insert(0, asked.pop(place))
                return 0
        return rules

    def passing(self, columns: Mapping[str, Any], rules: int) -> int:
        """The rules (a mask) that the columns of a row leave standing."""
        self._make(rules)
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

    def _order(self, rules: int) -> list[Texts]:
        """The columns of which some of the rules ask."""
        self._make(rules)
        if len(self._asked_of) >= MAX_ORDERS:
            self._asked_of.clear()
        found = [texts for texts in self._columns if rules & texts.mask]
        self._asked_of[rules] = found
        return found

    def _make(self, rules: int) -> None:
        """Take in rules that were not asked so far."""
        for index in bits(rules & ~self._made):
            for column, asked in _asked(self._reads(index)).items():
                texts = next((one for one in self._columns if one.name == column), None)
                if texts is None:
                    texts = Texts(column)
                    self._columns.append(texts)
                texts.take(index, asked)
        self._made |= rules

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


def _asked(readings: Sequence[Reading]) -> dict[str, Asked]:
    """What a rule asks of each column alone, however it reads the row."""
    found: dict[str, Asked] = {}
    different: set[str] = set()
    for number, reading in enumerate(readings):
        asks = single_columns(reading.conditions, reading.fields)
        for column in found.keys() - asks.keys():
            # It asks nothing of the column there, or such rows do not have it.
            if reading.columns is None or column in reading.columns:
                different.add(column)
        for column, part in asks.items():
            known = found.get(column)
            if known is None:
                before = readings[:number]
                if any(one.columns is None or column in one.columns for one in before):
                    different.add(column)
                found[column] = (part, reading.fields)
            elif known[0] != part or not _alike(part, known[1], reading.fields):
                different.add(column)
    return {column: asked for column, asked in found.items() if column not in different}


def _alike(part: Condition, one: FieldMap, other: FieldMap) -> bool:
    """Whether two field maps read the fields of a condition alike."""
    same = all(one.places[name] == other.places[name] for name in fields_of(part))
    return same and one.store == other.store


class _Whole(NamedTuple):
    """A rule that asks of columns only: their names, and its condition."""

    columns: tuple[str, ...]
    holds: Predicate


def _whole(readings: Sequence[Reading]) -> _Whole | None:
    if len(readings) != 1:
        return None
    conditions, fields, _ = readings[0]
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
