"""What plans have in common: lines to rows to matches, whoever tells which lines and rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from molehunt.problems import Problem, Severity
from molehunt.rule import Rule, asks_removed
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import NO_INPUTS
from ..reading import read_opened
from ..reading.inputs import Block, Report
from ..reading.lines import parse_line
from ..reading.wrapping import Traps
from ..records import Binding, Locator, Reason, Row
from ..schedule.binding import Binder
from ..tying import Tie, record_of, source_binding, tie_of
from .counts import MAX_SHAPES, Counts
from .fields import FieldMap, Layout
from .match import Match
from .readrows import Asked
from .route import EVERY_RULE, Line, all_lines
from .stored import Piece, piece
from .system import other_system

Holds = Callable[[Row], bool]


@dataclass(slots=True)
class Bound:
    """What is known of the rows of one query. `tests` has, by the rule's number, how a rule reads
    them and its test; None for a rule that does not look at them. It is filled as rules ask."""

    binding: Binding
    tie: Tie
    layout: Layout
    tests: dict[int, tuple[Rule, FieldMap, Holds] | None]
    all: tuple[int, ...] | None = None


class BasePlan(ABC):
    """Lines to rows to matches, the same for both plans but for `_predicate` and `_lines`."""

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> None:
        self.rules = tuple(rules)
        self.taxonomy = taxonomy
        self.binder = binder
        self.counts = Counts()
        self._ask_removed = {rule.id for rule in self.rules if asks_removed(rule)}
        self._bound: dict[tuple[str, str, tuple[str, ...]], Bound] = {}
        self.traps = Traps()
        self.tells = True
        self.inputs = NO_INPUTS
        # Finds the evidence of a match, if sooner than the match itself.
        self.why: Callable[[Match], tuple[Reason, ...]] | None = None
        self._next = Locator("", 0, 0, 0)  # where the next row of the last document would be

    def matches(self, blocks: Iterable[Block], report: Report) -> Iterator[Match]:
        """See `plan.Plan`."""
        for block in self._told(blocks, report):
            self.counts.bytes += len(block.data)
            for row, rules in self._narrowed(self._asked(block, report)):
                yield from self._matched(row, rules)

    def _asked(self, block: Block, report: Report) -> Iterator[Asked]:
        """The rows of a block that are to be looked at."""
        lines: Iterable[Line] = ()
        if block.documents is None:
            lines = self._lines(block)
        else:
            self.counts.lines += len(block.documents)
        for one in self._opened(_pieces(block, lines)):
            for row in self._read(one, report):
                yield row, one.rules

    def _opened(self, pieces: Iterator[Piece]) -> Iterable[Piece]:
        """The same pieces, without stored lines of which it is sooner told that no rule wants
        them."""
        return pieces

    def _narrowed(self, asked: Iterator[Asked]) -> Iterable[Asked]:
        """The same rows, with fewer rules if that is sooner told."""
        return asked

    @abstractmethod
    def _lines(self, block: Block) -> Iterator[Line]:
        """The lines of a block that are to be looked into."""

    @abstractmethod
    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Holds:
        """The rule's test on the rows of one query."""

    def _matched(self, row: Row, rules: int) -> Iterator[Match]:
        bound = self.bound(row) if rules else None
        if bound is None:
            return
        for rule, fields, holds in self.asking(bound, rules):
            if holds(row):
                record = record_of(row, bound.binding, bound.tie)
                closes = row.action == "removed" and rule.id not in self._ask_removed
                yield Match(rule, record, fields, closes, self.why)

    def asking(
        self, bound: Bound, rules: int = EVERY_RULE
    ) -> Iterator[tuple[Rule, FieldMap, Holds]]:
        """The tests of those of the rules (a mask) that look at the rows of a query, in order."""
        if rules == EVERY_RULE:
            if bound.all is None:
                every = range(len(self.rules))
                bound.all = tuple(i for i in every if self._test(bound, i) is not None)
            for index in bound.all:
                test = bound.tests[index]
                assert test is not None
                yield test
            return
        while rules:
            bit = rules & -rules
            rules ^= bit
            test = self._test(bound, bit.bit_length() - 1)
            if test is not None:
                yield test

    def _test(self, bound: Bound, index: int) -> tuple[Rule, FieldMap, Holds] | None:
        if index in bound.tests:
            return bound.tests[index]
        rule = self.rules[index]
        lacking = self.inputs.lacks(rule)
        fields = None if lacking else bound.layout.fields(rule)
        found = None
        if fields is not None:
            holds = self._predicate(rule, fields, bound.binding, bound.tie)
            found = (rule, fields, _on_its_system(rule, bound.binding, holds))
        bound.tests[index] = found
        return found

    def rows(self, blocks: Iterable[Block], report: Report) -> Iterator[Row]:
        """Every row of the blocks, whether a rule looks at it or not."""
        for block in self._told(blocks, report):
            for one in _pieces(block, all_lines(block) if block.documents is None else ()):
                yield from self._read(one, report)

    def _told(self, blocks: Iterable[Block], report: Report) -> Iterator[Block]:
        """The blocks; what was noticed in them is told when all are read, if it is to be told."""
        try:
            yield from blocks
        finally:
            if self.tells:
                for problem in self.traps.tell():
                    report(problem)

    def _read(self, one: Piece, report: Report) -> Iterator[Row]:
        where, parsed = one.where, one.parsed
        if where.row < 0:
            # A document of a line of which others were read: its rows are numbered on.
            on = (where.file, where.line) == (self._next.file, self._next.line)
            where = where._replace(row=self._next.row if on else 0)
        self.counts.parsed += 1
        if parsed.broken:
            self.counts.broken += 1
            report(Problem(parsed.broken, where.file, where.line, hint="the line was left out"))
        if parsed.recovered:
            self.counts.recovered += 1
            what = f"recovered: {parsed.recovered}"
            report(Problem(what, where.file, where.line, severity=Severity.WARNING))
        for document in one.opened:
            read = read_opened(document, where)
            self.counts.unknown += read.unknown
            if read.traps:
                self.traps.note(where, read.traps)
            elif read.unknown:
                report(
                    Problem(
                        "a JSON object of no known log",
                        where.file,
                        where.line,
                        hint="docs/inputs.md lists what is read",
                    )
                )
            where = self._next = where._replace(row=where.row + len(read.rows) + read.passed)
            for row in read.rows:
                self.counts.rows += 1
                self.counts.saw(row.query)
                yield self.inputs.enriched(row)

    def bound(self, row: Row) -> Bound:
        """What is known of the row's query: its binding and the rules that look at it."""
        columns = tuple(row.values) if row.source == "osquery" else ()
        key = (row.source, row.query, columns)
        found = self._bound.get(key)
        if found is None:
            if len(self._bound) >= MAX_SHAPES:
                self._bound.clear()
            binding = source_binding(row.source, row.query)
            if binding is None:
                binding = self.binder.bind(row.query, frozenset(columns))
            layout = Layout(binding, self.taxonomy)
            found = self._bound[key] = Bound(binding, tie_of(binding, self.taxonomy), layout, {})
        return found


def _pieces(block: Block, lines: Iterable[Line]) -> Iterator[Piece]:
    """What some lines of a block hold, or its documents if they are no lines."""
    if block.documents is None:
        for line in lines:
            where = Locator(block.file, block.offset + line.start, line.number, 0)
            yield piece(parse_line(line.data), where, line.rules)
        return
    for offset, number, parsed in block.documents:
        yield piece(parsed, Locator(block.file, offset, number, -1))


def _on_its_system(rule: Rule, binding: Binding, holds: Holds) -> Holds:
    other = other_system(rule, binding)
    return holds if other is None else lambda row: holds(row) and not other(row)
