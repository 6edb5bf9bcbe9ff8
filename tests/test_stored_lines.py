"""Log lines that documents hold as text: those that no rule wants are not read, and nothing else
changes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import kit
import pytest
import wrapped
from test_judge import COLUMNS, QUERY, RULES, plain, row

from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.matching.plan import FastPlan, compile_plan, reference_plan
from molehunt.detectors.matching.stored import stored_in
from molehunt.detectors.reading.inputs import Block, blocks, shaped
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

pytestmark = pytest.mark.skipif(
    not has_judge() and not os.environ.get("CI"), reason="the part in C was not built here"
)

Wrap = Callable[[list[str]], bytes]
# How lines are stored, and whether they are judged as they stand.
WRAPS: dict[str, tuple[Wrap, bool]] = {
    "message": (lambda t: wrapped.lines({"@timestamp": "x", "message": one} for one in t), True),
    "hit": (lambda t: wrapped.lines(wrapped.hit({"message": one}) for one in t), True),
    "fluent-bit": (lambda t: wrapped.lines({"log": one + "\n", "stream": "x"} for one in t), True),
    "splunk": (
        lambda t: wrapped.lines({"preview": False, "result": {"_raw": one}} for one in t),
        True,
    ),
    "splunk-one": (
        lambda t: json.dumps({"preview": False, "results": [{"_raw": one} for one in t]}).encode(),
        True,
    ),
    "response": (
        lambda t: json.dumps(wrapped.response({"message": one} for one in t)).encode(),
        True,
    ),
    "csv": (lambda t: wrapped.table(["_raw", "_time"], [[one, "1"] for one in t]), True),
    "array": (lambda t: wrapped.lines([{"message": one} for one in t[i : i + 3]] for i in (0, 3))
              + wrapped.lines({"message": one} for one in t[6:]), True),
    "two": (
        lambda t: wrapped.lines(
            {"records": [{"message": one}, {"message": "{}"}, {"message": one}]} for one in t
        ),
        True,
    ),
    "cee": (lambda t: wrapped.lines({"MESSAGE": "@cee:" + one} for one in t), False),
    "glued": (lambda t: wrapped.lines({"message": one + one} for one in t), False),
}  # fmt: skip


def judging(sample: bytes = b"") -> FastPlan:
    """A plan of which the judge knows the rows of the query."""
    plan = compile_plan(RULES, taxonomy(), kit.binder(), "hyperscan", judges=True)
    assert plan.judge is not None
    plan.judge.fit(sample or plain(row()) + b"\n", {})
    assert len(plan.judge.programs) == 1
    return plan


def blocks_of(data: bytes) -> Iterator[Block]:
    """The blocks of a file with this content."""
    return shaped("log", iter([data]), lambda _: None)


def seen(plan: Any, found: Iterator[Block]) -> tuple[list[Any], list[str]]:
    """Where which rule matches which values, and what was complained about."""
    problems: list[Problem] = []
    matches = [
        (one.rule.id, one.record.locator, dict(one.record.values))
        for one in plan.matches(found, problems.append)
    ]
    return matches, [str(problem) for problem in problems]


def texts(rng: Random, count: int = 40) -> list[str]:
    """Lines of the query as text: most that no rule wants, some that one does, some damaged."""
    made = []
    for _ in range(count):
        columns = row(cmdline=f"sh {rng.randrange(10**6)}")
        if rng.randrange(2) == 0:
            columns[rng.choice(COLUMNS)] = rng.choice(
                (
                    "/x11vnc",
                    " -nopw",
                    "é",
                    "RFB",
                    "400",
                    'a"\\b',
                    "vnc--port",
                    "\n",
                    "\x0b",
                    "\u2028",
                )
            )
        line = plain(columns, rng.choice((QUERY, QUERY, QUERY, "other"))).decode(errors="replace")
        if rng.randrange(6) == 0:
            place = rng.randrange(len(line))
            more = rng.choice(('"', "\\", "{", "}", ",", "0", "\n", " ", "\x00", "u"))
            line = line[:place] + more + line[place + rng.randrange(2) :]
        made.append(line)
    return made


@pytest.mark.parametrize("name", WRAPS)
def test_the_same_is_found_in_the_same_places(name: str) -> None:
    """As the evaluator does, who reads every line; also that a line is broken is told."""
    wrap, _ = WRAPS[name]
    rng = Random(0 if os.environ.get("CI") else os.urandom(4))
    plan, reference = judging(), reference_plan(RULES, taxonomy(), kit.binder())
    total = 0
    for _ in range(12):
        data = wrap(texts(rng))
        wanted = seen(reference, blocks_of(data))
        assert seen(plan, blocks_of(data)) == wanted, data
        total += len(wanted[0])
    assert total > 20


@pytest.mark.parametrize("name", WRAPS)
def test_lines_that_no_rule_wants_are_not_read(name: str) -> None:
    """Those that one wants are numbered as if all were."""
    wrap, judged = WRAPS[name]
    dull = [plain(row(cmdline=f"sh {n}")).decode() for n in range(20)]
    plan = judging()
    data = wrap([*dull, plain(row(path="/opt/x11vnc")).decode(), *dull])
    matches, problems = seen(plan, blocks_of(data))
    reference = reference_plan(RULES, taxonomy(), kit.binder())
    assert (matches, problems) == seen(reference, blocks_of(data))
    assert matches
    wanted = 2 if name in ("two", "glued") else 1
    assert (plan.counts.rows == wanted) is judged
    assert reference.counts.rows >= 41


def test_queries_are_learnt_from_a_sample_and_from_the_lines() -> None:
    """Of a log that has nothing but documents."""
    lines = [plain(row(cmdline=f"sh {n}")).decode() for n in range(200)]
    sample = wrapped.lines({"message": one} for one in lines)
    assert stored_in(sample).decode().splitlines() == lines
    assert stored_in(sample[:-1]).count(b"\n") == 199, "the last line may be cut"
    fitted = judging(stored_in(sample))
    assert seen(fitted, blocks_of(sample)) == ([], [])
    assert fitted.counts.rows == 0
    plan = compile_plan(RULES, taxonomy(), kit.binder(), "hyperscan", judges=True)
    # A block tells a few lines of a query that is not known.
    for _ in range(12):
        plan.restart(plan.inputs)
        assert seen(plan, blocks_of(sample)) == ([], [])
    assert plan.counts.rows == 0


def test_small_blocks_number_alike(tmp_path: Path) -> None:
    """Rows of one long line are numbered on from block to block, those passed over too."""
    many = [*(plain(row(cmdline=f"sh {n}")).decode() for n in range(60))]
    many[40] = plain(row(path="/opt/x11vnc")).decode()
    path = tmp_path / "log"
    path.write_bytes(json.dumps(wrapped.response({"message": one} for one in many)).encode())
    for size in (600, 1 << 16):
        plan, reference = judging(), reference_plan(RULES, taxonomy(), kit.binder())
        found = seen(plan, blocks(str(path), lambda _: None, size=size))
        assert found == seen(reference, blocks(str(path), lambda _: None, size=size))
        ((_, locator, _),), _ = found
        assert (locator.line, locator.row) == (1, 40)
        assert plan.counts.rows == 1


def test_what_events_tell_is_numbered_behind_rows_passed_over() -> None:
    """A process start inside an event, and rows that no rule wants behind it in one document."""
    data = {
        "EventData": {
            "ParentProcessGuid": "{a}",
            "Image": "C:\\\\x11vnc.exe",
            "CommandLine": "x -nopw",
        }
    }
    event = {
        "source": "Microsoft-Windows-Sysmon/Operational",
        "provider_name": "Microsoft-Windows-Sysmon",
        "eventid": "1",
        "data": json.dumps(data),
        "datetime": "2026-11-25T08:59:50Z",
    }
    rule = kit.rule(
        "selection:\n    CommandLine|contains: ' -nopw'\ncondition: selection",
        "{category: process_creation, product: windows}",
    )
    dull = [plain(row(cmdline=f"sh {n}")).decode() for n in range(5)]
    lines = [plain(event, "pack_x_windows_events").decode(), *dull]
    whole = json.dumps({"preview": False, "results": [{"_raw": one} for one in lines]}).encode()
    plan = compile_plan([*RULES, rule], taxonomy(), kit.binder(), "hyperscan", judges=True)
    assert plan.judge is not None
    plan.judge.fit(plain(row()) + b"\n", {})
    reference = reference_plan([*RULES, rule], taxonomy(), kit.binder())
    # Two documents in lines, so that the elements are not read one by one.
    log = whole + b"\n" + whole + b"\n"
    found = seen(plan, blocks_of(log))
    assert found == seen(reference, blocks_of(log))
    assert [where.row for _, where, _ in found[0]] == [6, 6]
    assert plan.counts.rows < reference.counts.rows
