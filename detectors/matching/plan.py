"""Rules over blocks of raw lines.

`compile_plan` is the engine, `reference_plan` the slow evaluator behind the same interface:
`plan.matches(blocks, report) -> iterator of Match`. Findings are a separate stage after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from molehunt.problems import Problem, Severity
from molehunt.ruleset import Rule
from molehunt.taxonomy import Taxonomy

from ..reading import read_document
from ..reading.inputs import Block, Report
from ..reading.lines import Parsed, parse_line
from ..reading.wrapping import Traps
from ..records import Binding, Locator, Row
from ..schedule.binding import Binder
from ..tying import Tie, record_of, source_binding, tie_of
from .evaluate import View, belongs, evaluate
from .fields import FieldMap, fields_of, resolve
from .match import Match
from .predicates import Predicate, compile_condition, compile_where
from .skip import Line, Skipper

MAX_SHAPES = 20_000


class Plan(Protocol):
    """What reading logs with rules looks like, whoever does it."""

    counts: Counts

    def matches(self, blocks: Iterable[Block], report: Report) -> Iterator[Match]:
        """Every match in the blocks, in their order; defects go to `report`, reading goes on."""


@dataclass(slots=True)
class Counts:
    """What was read so far. `lines` counts all, `parsed` those that were looked into."""

    lines: int = 0
    bytes: int = 0
    parsed: int = 0
    rows: int = 0
    recovered: int = 0
    broken: int = 0
    unknown: int = 0
    queries: dict[str, int] = field(default_factory=dict)

    def saw(self, query: str) -> None:
        """Count a row of a query; past `MAX_SHAPES` names only those already known."""
        if query in self.queries or len(self.queries) < MAX_SHAPES:
            self.queries[query] = self.queries.get(query, 0) + 1


@dataclass(frozen=True, slots=True)
class Bound:
    """The rules that look at the rows of one query, each with its test."""

    binding: Binding
    tie: Tie
    tests: tuple[tuple[Rule, FieldMap, Predicate], ...]


class _Reading(ABC):
    """Lines to rows to matches, the same for both plans but for `_predicate` and `_lines`."""

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> None:
        self.rules = tuple(rules)
        self.taxonomy = taxonomy
        self.binder = binder
        self.counts = Counts()
        self._ask_removed = {rule.id for rule in self.rules if asks_removed(rule)}
        self._bound: dict[tuple[str, str, tuple[str, ...]], Bound] = {}
        self._traps = Traps()
        self._next = Locator("", 0, 0, 0)  # where the next row of the last document would be

    def matches(self, blocks: Iterable[Block], report: Report) -> Iterator[Match]:
        for block in self._told(blocks, report):
            self.counts.bytes += len(block.data)
            if block.documents is not None:
                self.counts.lines += len(block.documents)
                yield from self._matched(self._documents(block, report))
                continue
            for line in self._lines(block):
                yield from self._matched(self._rows(block, line, report))

    @abstractmethod
    def _lines(self, block: Block) -> Iterator[Line]:
        """The lines of a block that are to be looked into."""

    @abstractmethod
    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Predicate:
        """The rule's test on the rows of one query."""

    def _matched(self, rows: Iterable[Row]) -> Iterator[Match]:
        for row in rows:
            bound = self.bound(row)
            for rule, fields, holds in bound.tests:
                if holds(row):
                    record = record_of(row, bound.binding, bound.tie)
                    closes = row.action == "removed" and rule.id not in self._ask_removed
                    yield Match(rule, record, fields, closes)

    def rows(self, blocks: Iterable[Block], report: Report) -> Iterator[Row]:
        """Every row of the blocks, whether a rule looks at it or not."""
        for block in self._told(blocks, report):
            if block.documents is not None:
                yield from self._documents(block, report)
                continue
            for line in all_lines(block):
                yield from self._rows(block, line, report)

    def _told(self, blocks: Iterable[Block], report: Report) -> Iterator[Block]:
        """The blocks; what was noticed in a file is told once it is read."""
        file = None
        try:
            for block in blocks:
                if block.file != file:
                    self._tell(report)
                    file = block.file
                yield block
        finally:
            self._tell(report)

    def _tell(self, report: Report) -> None:
        for problem in self._traps.tell():
            report(problem)

    def _rows(self, block: Block, line: Line, report: Report) -> Iterator[Row]:
        where = Locator(block.file, block.offset + line.start, line.number, 0)
        return self._read(parse_line(line.data), where, report)

    def _documents(self, block: Block, report: Report) -> Iterator[Row]:
        """The rows of documents that are no lines; those of one line are numbered on."""
        for offset, line, parsed in block.documents or ():
            row = self._next.row if (block.file, line) == (self._next.file, self._next.line) else 0
            yield from self._read(parsed, Locator(block.file, offset, line, row), report)

    def _read(self, parsed: Parsed, where: Locator, report: Report) -> Iterator[Row]:
        self.counts.parsed += 1
        if parsed.broken:
            self.counts.broken += 1
            report(Problem(parsed.broken, where.file, where.line, hint="the line was left out"))
        if parsed.recovered:
            self.counts.recovered += 1
            what = f"recovered: {parsed.recovered}"
            report(Problem(what, where.file, where.line, severity=Severity.WARNING))
        for document in parsed.documents:
            read = read_document(document, where)
            self.counts.unknown += read.unknown
            if read.traps:
                self._traps.note(where, read.traps)
            elif read.unknown:
                report(
                    Problem(
                        "a JSON object of no known log",
                        where.file,
                        where.line,
                        hint="docs/inputs.md lists what is read",
                    )
                )
            where = self._next = where._replace(row=where.row + len(read.rows))
            for row in read.rows:
                self.counts.rows += 1
                self.counts.saw(row.query)
                yield row

    def bound(self, row: Row) -> Bound:
        """What is known of the row's query: its binding and the rules that look at it."""
        columns = tuple(row.values) if row.source == "osquery" else ()
        key = (row.source, row.query, columns)
        found = self._bound.get(key)
        if found is None:
            if len(self._bound) >= MAX_SHAPES:
                self._bound.clear()
            found = self._bound[key] = self._bind(row, columns)
        return found

    def _bind(self, row: Row, columns: tuple[str, ...]) -> Bound:
        binding = source_binding(row.source, row.query)
        if binding is None:
            binding = self.binder.bind(row.query, frozenset(columns))
        tie = tie_of(binding, self.taxonomy)
        tests = []
        for rule in self.rules:
            fields = resolve(rule, binding, self.taxonomy)
            if fields is not None:
                tests.append((rule, fields, self._predicate(rule, fields, binding, tie)))
        return Bound(binding, tie, tuple(tests))


def asks_removed(rule: Rule) -> bool:
    """Whether a rule wants rows that tell of an end: it says so, or tests the action."""
    return rule.meta.removed or any(
        name == "osquery.action" for condition in rule.conditions for name in fields_of(condition)
    )


class ReferencePlan(_Reading):
    """Every line, every rule, by the slow evaluator."""

    def _lines(self, block: Block) -> Iterator[Line]:
        for line in all_lines(block):
            self.counts.lines += 1
            yield line

    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Predicate:
        def holds(row: Row) -> bool:
            view = View(record_of(row, binding, tie), fields)
            return belongs(view) and any(evaluate(c, view).holds for c in rule.conditions)

        return holds


class FastPlan(_Reading):
    """Lines without a necessary literal are skipped; the others are parsed and tested."""

    def __init__(
        self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder, skip: bool
    ) -> None:
        super().__init__(rules, taxonomy, binder)
        self._compiled: dict[tuple[str, tuple[object, ...]], Predicate] = {}
        self._skipper = Skipper(self.rules, taxonomy, binder) if skip else None

    @property
    def skips(self) -> bool:
        """Whether the raw scan is in use."""
        return self._skipper is not None

    def _lines(self, block: Block) -> Iterator[Line]:
        self.counts.lines += block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        return all_lines(block) if self._skipper is None else self._skipper.candidates(block)

    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Predicate:
        key = (rule.id, fields.key)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = _compile(rule, fields)
        return found


def _compile(rule: Rule, fields: FieldMap) -> Predicate:
    conditions = [compile_condition(condition, fields) for condition in rule.conditions]
    where = compile_where(fields)
    if where is None and len(conditions) == 1:
        return conditions[0]
    return lambda row: (where is None or where(row)) and any(c(row) for c in conditions)


def all_lines(block: Block) -> Iterator[Line]:
    """Every line of a block that is not empty."""
    start, number, data = 0, block.line, block.data
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end > start:
            yield Line(start, number, data[start:end])
        start, number = end + 1, number + 1


def compile_plan(
    rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder, skip: bool | None = None
) -> FastPlan:
    """The engine. `skip` turns the raw scan on or off; by default it is on where it can be."""
    from .scan import has_hyperscan

    return FastPlan(rules, taxonomy, binder, has_hyperscan() if skip is None else skip)


def reference_plan(rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> ReferencePlan:
    """The slow evaluator behind the engine's interface."""
    return ReferencePlan(rules, taxonomy, binder)
