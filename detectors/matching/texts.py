"""What rules ask of one column. The answers are kept by the column's text, since paths and the like
repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from molehunt.conditions import And, Condition, FieldIs, Not, Or, Regex, Wanted, fields_of, flat
from molehunt.normalise import NORMALISERS

from ..records import EMPTY, Locator, Row
from .fields import FieldMap
from .necessary import Needs, price
from .predicates import Predicate, Read, compile_condition
from .regexruns import runs_of

MAX_KEPT = 4_000
# Literals asked of a text before the condition itself.
MAX_ASKED = 2
_NOWHERE = Locator("", 0, 0, 0)
_DIFFERENTIAL = "added"
_NEW = (0, 0)
_COMMA, _BACKSLASH = b",\\"
# osquery's own spelling of a character, as JSON has it.
_SPELLED = rb"\\x"

# What is asked of a column, and how the rule reads the row.
Asked = tuple[Condition, FieldMap]


class Test(NamedTuple):
    """For each of a few clauses the literals of which one must stand in the text; the condition."""

    clauses: tuple[tuple[bytes, ...], ...]
    holds: Predicate

    def may(self, low: bytes) -> bool:
        """Whether the literals are there."""
        for literals in self.clauses:
            for literal in literals:
                if literal in low:
                    break
            else:
                return False
        return True


class Texts:
    """The answers of rules, by number, to the texts of one column. A rule that is not taken in
    rules out nothing."""

    __slots__ = ("_front", "_kept", "_key", "_raw", "_rules", "_tests", "mask", "missed", "name")

    def __init__(self, name: str) -> None:
        self.missed = 0
        self.mask = 0
        self.name = name
        self._rules: dict[int, Asked] = {}
        self._tests: dict[int, Test | None] = {}
        self._kept: dict[str | None, tuple[int, int]] = {}
        self._raw: dict[bytes, tuple[int, int]] = {}
        self._key = orjson.dumps(name)
        self._front = self._key + b':"'

    def take(self, index: int, asked: Asked) -> None:
        """Take in what a rule asks of the column."""
        self._rules[index] = asked
        self.mask |= 1 << index

    def answer(self, value: Any, rules: int) -> int:
        """A mask in which only rules that the column's value rules out are missing."""
        if value is not None and type(value) is not str:
            return -1
        known, passed = self._kept.get(value, _NEW)
        missing = rules & self.mask & ~known
        if missing:
            if not is_told(value):
                return -1
            self.missed += 1
            known, passed = (
                known | missing,
                passed | self._held(_spelled(value), missing, lambda: value),
            )
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[value] = (known, passed)
        return ~known | passed

    def raw(self, line: bytes, begin: int, stop: int, rules: int) -> int:
        """The same for a raw line, the columns' keys between `begin` and `stop` of which stand on
        one level. Nothing is missing if the column is not there with a text, once.

        In a well-formed line an unescaped quote behind a comma or brace begins a key.
        """
        at = line.find(self._front, begin, stop)
        if at < 0 or (at > begin and line[at - 1] != _COMMA):
            return -1
        start = at + len(self._front)
        end = line.find(b'"', start)
        while end > 0 and line[end - 1] == _BACKSLASH:
            text = line[start:end]
            if (len(text) - len(text.rstrip(b"\\"))) % 2 == 0:
                break
            end = line.find(b'"', end + 1)
        if end < 0 or line.find(self._key, end) >= 0:
            return -1
        text = line[start - 1 : end + 1]
        known, passed = self._raw.get(text, _NEW)
        missing = rules & self.mask & ~known
        if missing:
            if _SPELLED in text:
                return -1
            self.missed += 1
            try:
                passed |= self._held(text.lower(), missing, lambda: orjson.loads(text))
            except ValueError:
                return -1
            known |= missing
            if len(self._raw) >= MAX_KEPT:
                self._raw.clear()
            self._raw[text] = (known, passed)
        return ~known | passed

    def _held(self, low: bytes, rules: int, read: Callable[[], str | None]) -> int:
        """Those of the rules that a text passes. `low` is the text as JSON in lower case; what it
        says is only `read` for rules whose literals it has."""
        row: Row | None = None
        passed = 0
        for index in bits(rules):
            test = self._test(index)
            if test is None or not test.may(low):
                continue
            if row is None:
                value = read()
                row = row_of({} if value is None else {self.name: value})
            if test.holds(row):
                passed |= 1 << index
        return passed

    def _test(self, index: int) -> Test | None:
        if index not in self._tests:
            self._tests[index] = _test(self._rules[index])
        return self._tests[index]


def _spelled(value: str | None) -> bytes:
    return b"" if value is None else orjson.dumps(value).lower()


def _test(asked: Asked) -> Test | None:
    """None if it can never hold."""
    condition, fields = asked
    own = {name: frozenset([place.name]) for name, place in fields.places.items()}
    clauses = Needs(fields, own, price).clauses(condition)
    if clauses is None:
        return None
    best = sorted((one for one in clauses if not one.key), key=price)[:MAX_ASKED]
    literals = tuple(tuple(one.literals) for one in best)
    if not literals and (short := _short(condition, fields)):
        literals = (tuple(short),)
    return Test(literals, _later(condition, fields))


def _later(condition: Condition, fields: FieldMap) -> Predicate:
    """The condition, compiled for the first text that has its literals."""
    compiled: Predicate | None = None

    def holds(row: Read) -> bool:
        nonlocal compiled
        if compiled is None:
            compiled = compile_condition(condition, fields)
        return compiled(row)

    return holds


def _short(condition: Condition, fields: FieldMap) -> frozenset[bytes] | None:
    """Single characters of which one stands in a text that satisfies regular expressions; they are
    too common in lines to be literals there. None if nothing is certain."""
    match condition:
        case FieldIs(field=name, value=value):
            if any(NORMALISERS[n].raw_run("|") != "|" for n in fields.places[name].normalisers):
                return None
            return _either([_characters(one) for one in flat(value)])
        case And(args=args):
            found = [one for child in args if (one := _short(child, fields)) is not None]
            return min(found, key=len, default=None)
        case Or(args=args):
            return _either([_short(child, fields) for child in args])
        case _:
            return None


def _either(parts: Sequence[frozenset[bytes] | None]) -> frozenset[bytes] | None:
    there = [part for part in parts if part is not None]
    return frozenset().union(*there) if len(there) == len(parts) else None


def _characters(value: Wanted) -> frozenset[bytes] | None:
    runs = runs_of(value.pattern, value.flags) if isinstance(value, Regex) else []
    signs = [run for run in runs if all(text in _SIGNS for text in run)]
    best = min(signs, key=len, default=None)
    return None if best is None else frozenset(text.encode() for text in best)


# Printable, no letter or digit, spelled by JSON as they are.
_SIGNS = frozenset("!#$%&'()*+,-:;<=>?@[]^_`{|}~")


def is_told(value: Any) -> bool:
    """Whether a value means the same in rows of any action: nothing, or a text without what may be
    osquery's own spelling of a character."""
    return value is None or (type(value) is str and "\\x" not in value)


def row_of(values: Mapping[str, Any]) -> Row:
    """A row of nothing but these columns."""
    return Row("", "", "", _DIFFERENTIAL, None, values, _NOWHERE, EMPTY)


def single_columns(conditions: Sequence[Condition], fields: FieldMap) -> dict[str, Condition]:
    """For each column, what it alone must satisfy if the condition is to hold."""
    columns = {place.name: place for place in fields.places.values() if place.kind == "column"}
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
