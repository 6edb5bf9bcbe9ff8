"""`molehunt explain`: why a rule does or does not match an event."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator

from molehunt.detectors.enriching.inputs import lacking, load_inputs
from molehunt.detectors.matching.plan import FastPlan, compile_plan
from molehunt.detectors.proof.why import why
from molehunt.detectors.reading.inputs import STDIN, Block, blocks, shaped
from molehunt.detectors.records import Row

from ..exits import Exit
from ..problems import Problem, UsageError
from ..rule import Rule, RuleSet
from ..taxonomy import taxonomy
from .common import load, make_binder, pick, pick_correlations, show


def run(options: Namespace) -> Exit:
    """Explain every row of the event for the one rule."""
    ruleset = load(options.rules)
    rule = one_rule(options.rule, ruleset)
    problems: list[Problem] = []
    binder = make_binder(options.config, problems)
    plan = compile_plan([rule], taxonomy(), binder, scan="")
    plan.inputs = load_inputs(options.entities, options.mmdb, taxonomy().stores, problems)
    if missing := lacking(rule, plan.inputs):
        print(f"cannot fire: {missing} (--entities, --mmdb)")
    seen = 0
    for row in rows_at(plan, options.event, problems):
        if seen:
            print()
        seen += 1
        for line in why(rule, row, plan.bound(row), taxonomy()):
            print(line)
    if not seen and not problems:
        raise UsageError(f"no event at {options.event}")
    return show(problems)


def one_rule(wanted: str, ruleset: RuleSet) -> Rule:
    """The rule that the user means. Raises UsageError if it is none, or several."""
    found = pick(ruleset.rules, wanted)
    if not found:
        for one in pick_correlations(ruleset.correlations, wanted):
            raise UsageError(
                f"'{wanted}' is a correlation ({one.title}), which no single event can match;"
                f" explain the rules it refers to: {', '.join(one.rules)}"
            )
        raise UsageError(f"no rule with id, title or file '{wanted}'")
    if len(found) > 1:
        listed = ", ".join(f"{rule.id} ({rule.title})" for rule in found[:5])
        raise UsageError(f"'{wanted}' means several rules: {listed}")
    return found[0]


def rows_at(plan: FastPlan, event: str, problems: list[Problem]) -> Iterator[Row]:
    """The rows of an event: `-`, a JSON text, FILE:LINE or FILE:LINE:ROW. Raises UsageError."""
    if event == STDIN:
        yield from _given(plan, "stdin", sys.stdin.buffer.read(), problems)
    elif event.lstrip().startswith(("{", "[")):
        yield from _given(plan, "argument", event.encode(), problems)
    else:
        yield from _located(plan, event, problems)


def _given(plan: FastPlan, name: str, data: bytes, problems: list[Problem]) -> Iterator[Row]:
    yield from plan.rows(shaped(name, iter([data]), problems.append), problems.append)


def _located(plan: FastPlan, event: str, problems: list[Problem]) -> Iterator[Row]:
    """The rows at FILE:LINE or FILE:LINE:ROW."""
    file = event
    numbers: list[int] = []
    while len(numbers) < 2 and not os.path.exists(file):
        file, colon, number = file.rpartition(":")
        if not colon or not number.isdigit():
            raise UsageError(f"no such file, and not FILE:LINE: {event}")
        numbers.insert(0, int(number))
    if not numbers:
        raise UsageError(f"which line? write {event}:LINE")
    line = _line(file, numbers[0], problems)
    if line is not None:
        for row in plan.rows([line], problems.append):
            if len(numbers) == 1 or row.locator.row == numbers[1]:
                yield row


def _line(file: str, wanted: int, problems: list[Problem]) -> Block | None:
    """One line of a file as a block."""
    for block in blocks(file, problems.append):
        if block.documents is not None:
            found = tuple(document for document in block.documents if document.line == wanted)
            if found:
                return block._replace(documents=found)
            continue
        lines = block.data.splitlines(keepends=True)
        if block.line <= wanted < block.line + len(lines):
            before = lines[: wanted - block.line]
            offset = block.offset + sum(map(len, before))
            return Block(file, offset, wanted, lines[wanted - block.line])
    raise UsageError(f"{file} has no line {wanted}")
