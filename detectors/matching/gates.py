"""A cheap exact look at single columns of a raw line, before it is parsed.

A line passes where a column's key stands more than once or before no plain text, as does a text
that cannot be told from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from molehunt.conditions import Condition, Or, fields_of, has_keyword

from .fields import FieldMap
from .predicates import Predicate, compile_condition
from .texts import ABSENT, Asked, Texts, bits, is_plain, row_of, single_columns, text_of

SORT_EVERY = 512
COLUMNS = b'"columns":{'
_BACKSLASH = 0x5C

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
        self._columns = [_Column(column, rules) for column, rules in sorted(found.items())]
        self._reads = reads
        self._wholes: dict[int, _Whole | None] = {}
        self._asked = 0

    def passing(self, data: bytes, start: int, end: int, rules: int) -> int:
        """The rules (a mask) that the columns of the line at `start` to `end` leave standing."""
        self._asked += 1
        if self._asked % SORT_EVERY == 0:
            # Those whose answers are mostly known come first.
            self._columns.sort(key=lambda column: column.texts.missed)
        for column in self._columns:
            if rules & column.texts.mask:
                rules &= column.passing(data, start, end, rules)
                if not rules:
                    break
        return self._held(data, start, end, rules) if rules else 0

    def _held(self, data: bytes, start: int, end: int, rules: int) -> int:
        """Those of the rules that the columns together leave standing."""
        texts: dict[str, str | None] = {}
        for index in bits(rules):
            if index not in self._wholes:
                self._wholes[index] = _whole(self._reads(index))
            whole = self._wholes[index]
            if whole is None:
                continue
            for name, key in whole.columns:
                if name not in texts:
                    texts[name] = _text(data, start, end, key)
            values = {name: text for name, _ in whole.columns if (text := texts[name]) is not None}
            if _UNTOLD not in values.values() and not whole.holds(row_of(values)):
                rules ^= 1 << index
        return rules


class _Whole(NamedTuple):
    """A rule that asks of columns only: their names and keys, and its condition."""

    columns: tuple[tuple[str, bytes], ...]
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
    if not all(is_plain(place) for place in places) or any(map(has_keyword, conditions)):
        return None
    columns = tuple((name, _key(name)) for name in dict.fromkeys(place.name for place in places))
    condition = conditions[0] if len(conditions) == 1 else Or(tuple(conditions))
    return _Whole(columns, compile_condition(condition, fields))


# Stands for a text that cannot be told from here.
_UNTOLD = "\ud800"


def _text(data: bytes, start: int, end: int, key: bytes) -> str | None:
    """The text of a column in a line, `_UNTOLD`, or None where the line does not have it."""
    begin = data.find(key, start, end)
    if begin < 0:
        return None
    behind = begin + len(key)
    raw = text_behind(data, behind, end) if data.find(key, behind, end) < 0 else None
    text = None if raw is None or not _is_column(data, start, end, begin) else text_of(raw)
    return _UNTOLD if text is None else text


def _key(name: str) -> bytes:
    return b'"' + name.encode() + b'"'


class _Column:
    """What rules ask of one column of a line."""

    __slots__ = ("_key", "texts")

    def __init__(self, name: str, rules: Mapping[int, Asked]) -> None:
        self.texts = Texts(name, rules)
        self._key = _key(name)

    def passing(self, data: bytes, start: int, end: int, rules: int) -> int:
        """A mask in which only rules that the column rules out are missing."""
        key = self._key
        begin = data.find(key, start, end)
        if begin < 0:
            return self.texts.answer(ABSENT, rules)
        behind = begin + len(key)
        if data.find(key, behind, end) >= 0:
            return -1
        raw = text_behind(data, behind, end)
        if raw is None:
            return -1
        passed = self.texts.answer(raw, rules)
        refused = rules & ~passed
        if refused and (loose := refused & self.texts.answer(ABSENT, refused)):
            # Unless what stands here is the column, they can match without it.
            return passed if _is_column(data, start, end, begin) else passed | loose
        return passed


def text_behind(data: bytes, key: int, end: int) -> bytes | None:
    """The text, in its quotes, behind a key that ends at `key`; None if no plain text follows."""
    if data[key : key + 2] != b':"':
        return None
    closes = data.find(b'"', key + 2, end)
    while closes >= 0 and data[closes - 1] == _BACKSLASH:
        before = closes - 2
        while data[before] == _BACKSLASH:
            before -= 1
        if (closes - before) % 2:
            break
        closes = data.find(b'"', closes + 1, end)
    return data[key + 1 : closes + 1] if closes >= 0 else None


def _is_column(data: bytes, start: int, end: int, place: int) -> bool:
    """Whether a key stands right in the line's only columns."""
    columns = data.find(COLUMNS, start, end)
    return (
        0 <= columns < place
        and data.count(COLUMNS[:9], start, end) == 1
        and data.find(b"{", columns + len(COLUMNS), place) < 0
        and data.find(b"}", columns, place) < 0
    )
