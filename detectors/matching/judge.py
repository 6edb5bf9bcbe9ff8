"""Lines that no rule matches, told from the texts of their columns by the part in C.

Most texts of a log were met before: paths, parents, users. What rules ask of a column is worked out
for a text once, when it is new; a line is then a few texts of which everything is known, and its
rules are conditions over that. Lines that are not plainly one row of a query that is known, as
osqueryd writes it, are left to others (`route`).

What is left says which rules may match: those that ask for more than the columns have, and those
that do match, are read in full anyway, so that nothing is ever reported on the judge's word.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson

from molehunt.conditions import FieldIs, Keyword, Regex, Wanted

from ..native import part_in_c
from ..reading.events import COLUMNS as EVENT_COLUMNS
from .expressions import Test, regex_test
from .fields import FieldMap
from .predicates import compile_condition
from .programs import Draft, Program, Reader, draft, leaves, program
from .texts import row_of

# A shape met so often is worth taking in.
SHAPE_OFTEN = 1000
MAX_MET = 10_000
# Bytes of a sample of which it is counted what is common.
OBSERVED = 1 << 17
# Sets of tests that are asked together, for each column.
MAX_GROUPS = 256

# A query's name and the columns of its rows, in their order.
Shape = tuple[str, tuple[str, ...]]


class Readers(Protocol):
    """Knows which rules read which rows."""

    def __call__(
        self, query: str, columns: tuple[str, ...], among: int = -1, /
    ) -> Sequence[Reader]:
        """The rules that read the rows of a shape, of all or of some (a mask)."""


class Kept(NamedTuple):
    """A line that may matter: how many are before it in the block, from where to where it goes with
    its newline, and the rules that may match in it (a mask), or None if it was not looked into."""

    before: int
    start: int
    end: int
    rules: int | None


class Judge:
    """Drops lines. Rows that may tell of more than their columns it leaves to others, unless they
    are told to be `every` row that there is."""

    def __init__(self, readers: Readers, every: bool = False) -> None:
        self._readers = readers
        self._every = every
        # While it is fitted to a sample: what is drafted, and how often each atom was asked for.
        self._drafts: dict[Shape, Draft] | None = None
        self._asked: Counter[tuple[Shape, int]] = Counter()
        self._begin(b"")

    def _begin(self, sample: bytes) -> None:
        part = part_in_c()
        assert part is not None
        self._native = part.Judge(int.from_bytes(os.urandom(8), "little"))
        self._native.observe(sample[:OBSERVED])
        self._met: dict[Shape, int] = {}
        self._columns: list[_Column] = []
        self.programs: dict[Shape, Program] = {}

    def fit(self, sample: bytes, kept: Mapping[Shape, Program]) -> bool:
        """Know all shapes that a sample (whole lines) has, as they were `kept` if they were, else
        fitted to it: whether others were needed. Raises ValueError if what was kept is not well
        made."""
        self.recall(sample, kept)
        drafts: dict[Shape, Draft] = {}
        self._drafts = drafts
        self._asked.clear()
        try:
            while True:
                known = len(self.programs)
                self.sift(sample, often=1)
                if len(self.programs) == known:
                    break
        finally:
            self._drafts = None
        if not drafts:
            return False
        counts = [self._native.counts(place) for place in range(len(self.programs))]
        fitted = {
            shape: program(drafts[shape], rows, array("I", met), self._asked_of(shape))
            if shape in drafts
            else made
            for (shape, made), (rows, met) in zip(self.programs.items(), counts, strict=True)
        }
        self.recall(sample, fitted)
        return True

    def met(self) -> list[Shape]:
        """The shapes of which rows were looked at since it was fitted."""
        return [shape for place, shape in enumerate(self.programs) if self._native.counts(place)[0]]

    def _asked_of(self, shape: Shape) -> dict[int, int]:
        return {atom: times for (of, atom), times in self._asked.items() if of == shape}

    def recall(self, sample: bytes, kept: Mapping[Shape, Program]) -> None:
        """Know these shapes and no others. Raises ValueError if one is not well made."""
        self._begin(sample)
        for shape, made in kept.items():
            self.take(shape, made)

    def sift(self, data: bytes, often: int | None = None) -> tuple[int, list[Kept]]:
        """How many lines a block has, and those of them that may matter, in order. A shape that was
        met `often` times is taken in behind it."""
        columns = self._columns
        asked = self._native.begin(data)
        if self._drafts is not None:
            self._asked.update((columns[one].shape, atom) for one, _, ask in asked for atom in ask)
        answers = [columns[column].answers(text, atoms) for column, text, atoms in asked]
        lines, kept, strange = self._native.end(answers)
        for start, end in strange:
            self._meet(data[start:end], SHAPE_OFTEN if often is None else often)
        return lines, [
            Kept(before, start, end, None if rules is None else _mask(rules))
            for before, start, end, rules in kept
        ]

    def take(self, shape: Shape, made: Program) -> None:
        """Judge rows of a shape by what was made for them. Raises ValueError if it is not well
        made, or too much."""
        name, columns = shape
        keys = [orjson.dumps(column) + b':"' for column in columns]
        fronts = [(b'",' if place else b"{") + key for place, key in enumerate(keys)]
        packed = [tuple(column) for column in made.columns]
        asked, sets, least, off, _, *others, asks = made
        self._native.shape(name.encode(), fronts, asked, sets, least, off, packed, *others)
        self.programs[shape] = made
        there = [column for column, asks in zip(columns, asked, strict=True) if asks]
        self._columns += [_Column(column, shape, asks, self._readers) for column in there]

    def _meet(self, line: bytes, often: int) -> None:
        """Take in the shape of a line, if it was met often enough."""
        document = orjson.loads(line)
        shape = (document["name"], tuple(document["columns"]))
        if len(self._met) >= MAX_MET:
            self._met.clear()
        times = self._met[shape] = self._met.get(shape, 0) + 1
        if times == often:
            self._make(shape)

    def _make(self, shape: Shape) -> None:
        name, columns = shape
        if not self._every and EVENT_COLUMNS.issubset(columns):
            return
        drafted = draft(columns, self._readers(name, columns))
        try:
            self.take(shape, program(drafted))
            if self._drafts is not None:
                self._drafts[shape] = drafted
        except ValueError:
            pass  # more columns than it can look at, or rules too deep


class _Column:
    """What is asked about texts of a column of one shape that the part in C does not tell."""

    __slots__ = ("_asks", "_groups", "_name", "_readers", "_tests", "shape")

    def __init__(
        self, name: str, shape: Shape, asks: dict[int, tuple[int, int]], readers: Readers
    ) -> None:
        self._name = name
        self.shape = shape
        self._asks = asks
        self._readers = readers
        self._tests: dict[int, _Test] = {}
        self._groups: dict[tuple[int, ...], _Group] = {}

    def answers(self, text: bytes, atoms: list[int]) -> list[bool]:
        """For each of the atoms whether it is true of a text as it stands in JSON."""
        key = tuple(atoms)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= MAX_GROUPS:
                self._groups.clear()
            group = self._groups[key] = _group([self._test(atom) for atom in atoms])
        read = orjson.loads(b'"%b"' % text)
        if group.any is not None and not group.any(read):
            return group.none
        return [holds(read) for holds in group.each]

    def _test(self, atom: int) -> _Test:
        found = self._tests.get(atom)
        if found is None:
            number, leaf = self._asks[atom]
            (reader,) = self._readers(*self.shape, 1 << number)
            node, value = list(leaves(reader.rule))[leaf]
            found = self._tests[atom] = _test(node, value, self._name, reader.fields)
        return found


class _Test(NamedTuple):
    """Whether a text is as wanted; the expression if that is all that matters."""

    holds: Test
    regex: Regex | None


def _test(node: FieldIs | Keyword, value: Wanted, column: str, fields: FieldMap) -> _Test:
    names = fields.store.text
    if isinstance(node, FieldIs):
        names = fields.places[node.field].normalisers
    if isinstance(value, Regex) and set(names) <= {"control_text"}:
        return _Test(regex_test([value]), value)
    holds = compile_condition(node._replace(value=value), fields)
    return _Test(lambda text: holds(row_of({column: text})), None)


class _Group(NamedTuple):
    """Tests that are asked together: `any` says whether one of them holds, if that is one test."""

    any: Test | None
    none: list[bool]
    each: list[Test]


def _group(tests: Sequence[_Test]) -> _Group:
    expressions = [one.regex for one in tests if one.regex is not None]
    together = len(expressions) == len(tests) > 1
    each = [one.holds for one in tests]
    return _Group(regex_test(expressions) if together else None, [False] * len(tests), each)


def _mask(rules: Sequence[int]) -> int:
    mask = 0
    for rule in rules:
        mask |= 1 << rule
    return mask


def has_judge() -> bool:
    """Whether the part in C was built here."""
    return part_in_c() is not None
