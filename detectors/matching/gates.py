"""A cheap exact look at single columns of a raw line, before it is parsed.

What a rule asks of one column alone can be answered from that column's text in the line, and the
answer kept by that text: paths and the like repeat. A line that is not plainly one row with that
column once passes, as does a value with a backslash escape that is not the plain kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import orjson

from molehunt.conditions import And, Condition, FieldIs, Not, Or, fields_of

from ..records import EMPTY, Locator, Row
from .fields import FieldMap
from .predicates import compile_condition

MAX_KEPT = 20_000
SORT_EVERY = 512
_NOWHERE = Locator("", 0, 0, 0)
_DIFFERENTIAL = "added"
# No text in a line: the column is not there.
_ABSENT = b"\n"
COLUMNS = b'"columns":{'

# A rule's number and how it reads the rows of one query; None if it does not.
Reads = Callable[[int], tuple[Sequence[Condition], FieldMap] | None]


class Gates:
    """The gates of one query's rows for the rules of a mask."""

    def __init__(self, rules: int, reads: Reads) -> None:
        found: dict[str, dict[int, tuple[Condition, FieldMap]]] = {}
        for index in bits(rules):
            read = reads(index)
            if read is None:
                continue
            conditions, fields = read
            for column, part in single_columns(conditions, fields).items():
                found.setdefault(column, {})[index] = (part, fields)
        self._columns = [_Column(column, rules) for column, rules in sorted(found.items())]
        self._asked = 0

    def passing(self, line: bytes, rules: int) -> int:
        """The rules (a mask) that the line's columns leave standing."""
        columns = line.find(COLUMNS)
        if columns < 0 or line.count(COLUMNS[:9]) != 1:
            return rules
        columns += len(COLUMNS)
        self._asked += 1
        if self._asked % SORT_EVERY == 0:
            # Those whose answers are mostly known come first.
            self._columns.sort(key=lambda column: column.missed)
        for column in self._columns:
            if rules & column.mask:
                rules &= column.passing(line, columns, rules)
                if not rules:
                    break
        return rules


class _Column:
    """What rules ask of one column, and the answers so far by the column's raw text."""

    __slots__ = ("_before", "_kept", "_key", "_name", "_rules", "_tests", "mask", "missed")

    def __init__(self, name: str, rules: Mapping[int, tuple[Condition, FieldMap]]) -> None:
        self.missed = 0
        self._name = name
        self._rules = rules
        self._tests: dict[int, Callable[[Row], bool]] = {}
        self.mask = sum(1 << index for index in rules)
        self._key = b'"' + name.encode() + b'"'
        self._before = self._key + b':"'
        self._kept: dict[bytes, tuple[int, int]] = {}

    def passing(self, line: bytes, columns: int, rules: int) -> int:
        """A mask in which only rules that the column rules out are missing."""
        times = line.count(self._key)
        if times == 0:
            raw = _ABSENT
        else:
            begin = line.find(self._before, columns)
            if begin < 0 or times > 1:
                return -1
            if line.find(b"{", columns, begin) >= 0 or line.find(b"}", columns, begin) >= 0:
                return -1
            begin += len(self._before)
            raw = line[begin : line.find(b'"', begin)]
        known, passed = self._kept.get(raw, (0, 0))
        missing = rules & self.mask & ~known
        if missing:
            self.missed += 1
            row = self._row(raw)
            if row is None:
                return -1
            for index in bits(missing):
                if self._test(index)(row):
                    passed |= 1 << index
            known |= missing
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[raw] = (known, passed)
        return ~known | passed

    def _row(self, raw: bytes) -> Row | None:
        """The column's text as a row of that column; None where it cannot be told from here."""
        if raw == _ABSENT:
            return Row("", "", "", _DIFFERENTIAL, None, {}, _NOWHERE, EMPTY)
        if b"\\" in raw:
            # `\\x` may be osquery's own spelling, which depends on the action of the row.
            if raw.endswith(b"\\") or b"\\\\x" in raw:
                return None
            try:
                value = orjson.loads(b'"' + raw + b'"')
            except ValueError:
                return None
        else:
            try:
                value = raw.decode()
            except UnicodeDecodeError:
                return None
        return Row("", "", "", _DIFFERENTIAL, None, {self._name: value}, _NOWHERE, EMPTY)

    def _test(self, index: int) -> Callable[[Row], bool]:
        found = self._tests.get(index)
        if found is None:
            found = self._tests[index] = compile_condition(*self._rules[index])
        return found


def single_columns(conditions: Sequence[Condition], fields: FieldMap) -> dict[str, Condition]:
    """For plain columns, what each alone must satisfy if the condition is to hold."""
    columns = {
        place.name: place
        for place in fields.places.values()
        if place.kind == "column" and place.name.isidentifier() and place.name.isascii()
    }
    whole = conditions[0] if len(conditions) == 1 else Or(tuple(conditions))
    found = {}
    for column in columns:
        names = {
            name for name, p in fields.places.items() if p.kind == "column" and p.name == column
        }
        part = projected(whole, names)
        if part is not None:
            found[column] = part
    return found


def projected(node: Condition, names: set[str]) -> Condition | None:
    """What a condition asks of some fields alone, whatever the others are; None if nothing.

    Holds wherever the condition holds.
    """
    match node:
        case And():
            parts = [part for c in node.args if (part := projected(c, names)) is not None]
            return _one(And(tuple(parts))) if parts else None
        case Or():
            branches = [projected(child, names) for child in node.args]
            there = tuple(branch for branch in branches if branch is not None)
            return _one(Or(there)) if len(there) == len(branches) else None
        case Not(arg=Or(args=args)):
            return projected(And(tuple(Not(child) for child in args)), names)
        case Not(arg=And(args=args)):
            return projected(Or(tuple(Not(child) for child in args)), names)
        case Not(arg=Not(arg=inner)):
            return projected(inner, names)
        case _:
            leaf = node.arg if isinstance(node, Not) else node
            own = isinstance(leaf, FieldIs) and names.issuperset(fields_of(leaf))
            return node if own else None


def _one(node: And | Or) -> Condition:
    return node.args[0] if len(node.args) == 1 else node


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest."""
    while mask:
        bit = mask & -mask
        mask ^= bit
        yield bit.bit_length() - 1
