"""Rules over blocks of raw lines.

`compile_plan` is the engine, `reference_plan` the slow evaluator behind the same interface:
`plan.matches(blocks, report) -> iterator of Match`. Findings are a separate stage after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from molehunt.collecting import without_garbage_collection
from molehunt.problems import Problem, Severity
from molehunt.rule import Rule, asks_removed
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import NO_INPUTS, Inputs
from ..reading import read_document
from ..reading.inputs import Block, Report
from ..reading.lines import Parsed, parse_line
from ..reading.wrapping import Traps
from ..records import Binding, Locator, Reason, Row
from ..schedule.binding import Binder
from ..tying import Tie, record_of, source_binding, tie_of
from .choose import Choice, Ruled, guess, tune
from .concerns import Concerns
from .counts import MAX_SHAPES, Counts
from .evaluate import View, belongs, evaluate
from .fields import FieldMap, Layout
from .judge import Judge, has_judge
from .match import Match
from .necessary import Clause, Price, rule_clauses
from .needles import Branch, branches
from .predicates import compile_condition, compile_where
from .reasons import Reasons, compile_reasons
from .route import EVERY_RULE, Line, Router, all_lines, judged
from .scan import count, where
from .system import other_system

Holds = Callable[[Row], bool]


class Plan(Protocol):
    """What reading logs with rules looks like, whoever does it.

    What exports have lost is noted in `traps` and told at the end, unless `tells` is false: then
    that is left to the caller. `inputs` are what only an organisation has.
    """

    counts: Counts
    traps: Traps
    tells: bool
    inputs: Inputs

    def matches(self, blocks: Iterable[Block], report: Report) -> Iterator[Match]:
        """Every match in the blocks, in their order; defects go to `report`, reading goes on."""


@dataclass(slots=True)
class Bound:
    """What is known of the rows of one query. `tests` has, by the rule's number, how a rule reads
    them and its test; None for a rule that does not look at them. It is filled as rules ask."""

    binding: Binding
    tie: Tie
    layout: Layout
    tests: dict[int, tuple[Rule, FieldMap, Holds] | None]
    all: tuple[int, ...] | None = None


class _Reading(ABC):
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
        for block in self._told(blocks, report):
            self.counts.bytes += len(block.data)
            if block.documents is not None:
                self.counts.lines += len(block.documents)
                yield from self._matched(self._documents(block, report), EVERY_RULE)
                continue
            for line in self._lines(block):
                yield from self._matched(self._rows(block, line, report), line.rules)

    @abstractmethod
    def _lines(self, block: Block) -> Iterator[Line]:
        """The lines of a block that are to be looked into."""

    @abstractmethod
    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Holds:
        """The rule's test on the rows of one query."""

    def _matched(self, rows: Iterable[Row], rules: int) -> Iterator[Match]:
        for row in rows:
            bound = self.bound(row)
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
            if block.documents is not None:
                yield from self._documents(block, report)
                continue
            for line in all_lines(block):
                yield from self._rows(block, line, report)

    def _told(self, blocks: Iterable[Block], report: Report) -> Iterator[Block]:
        """The blocks; what was noticed in them is told when all are read, if it is to be told."""
        try:
            yield from blocks
        finally:
            if self.tells:
                for problem in self.traps.tell():
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
            where = self._next = where._replace(row=where.row + len(read.rows))
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


def _on_its_system(rule: Rule, binding: Binding, holds: Holds) -> Holds:
    other = other_system(rule, binding)
    return holds if other is None else lambda row: holds(row) and not other(row)


class ReferencePlan(_Reading):
    """Every line, every rule, by the slow evaluator."""

    def _lines(self, block: Block) -> Iterator[Line]:
        for line in all_lines(block):
            self.counts.lines += 1
            yield line

    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Holds:
        def holds(row: Row) -> bool:
            view = View(record_of(row, binding, tie), fields)
            return belongs(view) and any(evaluate(c, view).holds for c in rule.conditions)

        return holds


class FastPlan(_Reading):
    """Lines that cannot matter are skipped; the others are parsed and tested by the rules that they
    can matter to.

    `scan` is `hyperscan`, `re2`, or "" for reading every line. `clauses` gives those of the rules,
    if they are known already. With `judges` lines as osqueryd writes them are judged in C first,
    and only the others are searched.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        taxonomy: Taxonomy,
        binder: Binder,
        scan: str,
        clauses: Callable[[], Ruled] | None = None,
        judges: bool = False,
    ) -> None:
        super().__init__(rules, taxonomy, binder)
        self.scan = scan
        self.judge = Judge(self._queries().of_rows) if judges else None
        self.why = self._why
        self._compiled: dict[tuple[int, tuple[object, ...]], Holds] = {}
        self._reasons: dict[tuple[int, tuple[object, ...]], Reasons] = {}
        self._router: Router | None = None
        self._clauses = clauses or (lambda: clauses_of(self.rules, taxonomy, binder))
        self._choice: Choice | None = None
        # What chooses what to search for when the first line is to be searched.
        self.prepare: Callable[[], None] | None = None

    def restart(self, inputs: Inputs) -> None:
        """Begin with other logs, as if new, and with inputs of the same names. What was worked out
        for the rows of a query serves on."""
        self.counts, self.traps, self.inputs = Counts(), Traps(), inputs
        self._next = Locator("", 0, 0, 0)

    @property
    def skips(self) -> bool:
        """Whether the raw scan is in use."""
        return bool(self.scan)

    def tune(self, sample: bytes) -> None:
        """Fit the choice of literals to a sample of the data (whole lines)."""
        if self.scan == "hyperscan":
            ruled = self._clauses()
            self.use(tune(ruled, self._again, self._branches, sample, count, where))

    def guess(self) -> None:
        """Search for what is chosen without data."""
        self.use(guess(self._clauses()))

    @property
    def clauses(self) -> Ruled:
        """What must stand in lines, rule by rule."""
        return self._clauses()

    @property
    def choice(self) -> Choice:
        """What lines are searched for."""
        if self._choice is None:
            self._choice = guess(self._clauses())
        return self._choice

    def use(self, choice: Choice, database: Any = None) -> None:
        """Search lines for something else; `database` is Hyperscan's for it, if it is there."""
        self._choice = choice
        self._router = Router(choice, self._queries(), self.scan == "hyperscan", database)

    def _queries(self) -> Concerns:
        return Concerns(self.rules, self.taxonomy, self.binder)

    def unjudged(self, sample: bytes) -> bytes:
        """The lines of a sample (whole lines) that are not judged but searched."""
        if self.judge is None:
            return sample
        _, kept = self.judge.sift(sample)
        return b"".join([sample[one.start : one.end] for one in kept if one.rules is None])

    def share(self, sample: bytes) -> float:
        """The share of a sample's lines that hold something of what is searched for."""
        return self._routing().share(sample)

    def _routing(self) -> Router:
        if self._router is None:
            if self.prepare is not None:
                self.prepare()
            else:
                self.use(self.choice)
        assert self._router is not None
        return self._router

    def _again(self, index: int, cost: Price) -> list[Clause] | None:
        return rule_clauses(self.rules[index], self.taxonomy, self.binder.outputs(), cost)

    def _branches(self, index: int) -> list[Branch]:
        return branches(self.rules[index], self.taxonomy, self.binder.outputs())

    def _lines(self, block: Block) -> Iterator[Line]:
        if self.judge is None:
            self.counts.lines += block.lines()
            return self._routing().lines(block) if self.scan else all_lines(block)
        lines, kept = self.judge.sift(block.data)
        self.counts.lines += lines
        if any(one.rules is None for one in kept):
            return self._routing().left(block, kept)
        return (judged(block, one) for one in kept)

    def _predicate(self, rule: Rule, fields: FieldMap, binding: Binding, tie: Tie) -> Holds:
        # Not its id, which another may have too.
        key = (id(rule), fields.key)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = _compile(rule, fields)
        return found

    def _why(self, match: Match) -> tuple[Reason, ...]:
        key = (id(match.rule), match.fields.key)
        found = self._reasons.get(key)
        if found is None:
            found = self._reasons[key] = compile_reasons(match.rule, match.fields)
        return found(match.record)


def _compile(rule: Rule, fields: FieldMap) -> Holds:
    conditions = [compile_condition(condition, fields) for condition in rule.conditions]
    where = compile_where(fields)
    if where is None and len(conditions) == 1:
        return conditions[0]
    return lambda row: (where is None or where(row)) and any(c(row) for c in conditions)


def clauses_of(
    rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder
) -> list[list[Clause] | None]:
    """The clauses of each rule on all queries whose SQL the binder knows, and on others."""
    outputs = binder.outputs()
    with without_garbage_collection():
        return [rule_clauses(rule, taxonomy, outputs) for rule in rules]


def compile_plan(
    rules: Sequence[Rule],
    taxonomy: Taxonomy,
    binder: Binder,
    scan: str | None = None,
    clauses: Callable[[], Ruled] | None = None,
    judges: bool | None = None,
) -> FastPlan:
    """The engine. `scan` is how lines are skipped: `hyperscan`, `re2`, or "" for not at all; by
    default Hyperscan where it is installed, else RE2. `judges`: whether the part in C looks at them
    first; by default where it was built, unless `scan` is given."""
    from .scan import has_hyperscan

    if judges is None:
        judges = scan is None and has_judge()
    if scan is None:
        scan = "hyperscan" if has_hyperscan() else "re2"
    return FastPlan(rules, taxonomy, binder, scan, clauses, judges)


def reference_plan(rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> ReferencePlan:
    """The slow evaluator behind the engine's interface."""
    return ReferencePlan(rules, taxonomy, binder)
