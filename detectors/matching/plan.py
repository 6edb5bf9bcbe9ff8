"""Rules over blocks of raw lines.

`compile_plan` is the engine, `reference_plan` the slow evaluator behind the same interface:
`plan.matches(blocks, report) -> iterator of Match`. Findings are a separate stage after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from molehunt.collecting import without_garbage_collection
from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..enriching.inputs import Inputs
from ..reading.inputs import Block, Report
from ..reading.wrapping import Traps
from ..records import Binding, Locator, Reason, Row
from ..schedule.binding import Binder
from ..tying import Tie, record_of
from .base import BasePlan, Holds
from .choose import Choice, Ruled, guess, tune
from .concerns import Concerns
from .counts import Counts
from .evaluate import View, belongs, evaluate
from .fields import FieldMap
from .judge import Judge, has_judge
from .match import Match
from .necessary import Clause, Price, rule_clauses
from .needles import Branch, branches
from .predicates import compile_condition, compile_where
from .readrows import Asked, ReadRows
from .reasons import Reasons, compile_reasons
from .route import EVERY_RULE, Line, Router, all_lines, judged
from .scan import count, where
from .stored import Piece, without_unwanted


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


class ReferencePlan(BasePlan):
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


class FastPlan(BasePlan):
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
        self._read_rows: ReadRows | None = None
        # What fits the judge of rows that were read when there are some.
        self.fit_rows: Callable[[Judge, bytes], object] | None = None
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
            self.use(tune(ruled, self._priced, self._branches, sample, count, where))

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

    def _priced(self, index: int, cost: Price) -> list[Clause] | None:
        return rule_clauses(self.rules[index], self.taxonomy, self.binder.outputs(), cost)

    def _branches(self, index: int) -> list[Branch]:
        return branches(self.rules[index], self.taxonomy, self.binder.outputs())

    def _lines(self, block: Block) -> Iterator[Line]:
        if self.judge is None:
            self.counts.lines += block.lines()
            return self._routing().lines(block) if self.scan else all_lines(block)
        lines, kept = self.judge.sift(block.data)
        block.know(lines)
        self.counts.lines += lines
        if any(one.rules is None for one in kept):
            return self._routing().left(block, kept)
        return (judged(block, one) for one in kept)

    def _opened(self, pieces: Iterator[Piece]) -> Iterable[Piece]:
        return pieces if self.judge is None else without_unwanted(list(pieces), self.judge)

    def _narrowed(self, asked: Iterator[Asked]) -> Iterable[Asked]:
        there = list(asked)
        if all(rules != EVERY_RULE for _, rules in there):
            return there
        if self._read_rows is None:
            fit = [] if self.fit_rows is None else [self.fit_rows]
            self._read_rows = ReadRows(self._queries(), self.judge is not None, *fit)
        return self._read_rows.narrowed(there)

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
