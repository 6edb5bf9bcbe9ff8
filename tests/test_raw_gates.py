"""Columns that are looked at in the raw line rule out nothing that the evaluator finds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import kit
import pytest

from molehunt.detectors.matching import gates, route, texts
from molehunt.detectors.matching.match import Match
from molehunt.detectors.matching.plan import compile_plan, reference_plan
from molehunt.detectors.schedule.binding import Binder
from molehunt.taxonomy import taxonomy

RULES = [
    kit.rule(f"selection:\n    {first}\n    {second}\ncondition: {condition}", source)
    for source in (
        "{category: process_creation, product: linux}",
        "{product: osquery, service: processes}",
    )
    for first, second, condition in (
        ("path|endswith: /vnc", "cmdline|contains: rfb", "selection"),
        ("path|contains: vnc", "cmdline|re: '\"rfb\\{'", "selection"),
        ("path|contains: vnc", "cwd: null", "selection"),
        ("cmdline|contains: '\\x0Arfb'", "path|contains: n", "selection"),
        ("cmdline|startswith: rfb", "name: vnc", "1 of sel*"),
    )
]
PIECES = ("/vnc", "vnc", "rfb", '"', "\\", "{", "}", "\n", "\u00e9", "\\x0A", "A", ",", ":",
          '"name":"', '"columns":{', '","cmdline":"rfb', "\u212a", " ")  # fmt: skip
KEYS = ("path", "cmdline", "name", "cwd", "pid", "uid")
EXAMPLES = 1_500


def dumped(value: Any) -> str:
    """As osqueryd writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def text(rng: Random) -> str:
    """Some pieces."""
    return "".join(rng.choices(PIECES, k=rng.randint(0, 5)))


def a_value(rng: Random) -> Any:
    """Mostly a text."""
    kind = rng.randrange(7)
    if kind < 4:
        return text(rng)
    return (None, 7, [text(rng) for _ in range(rng.randint(0, 2))])[kind - 4]


def an_object(rng: Random, depth: int = 0) -> str:
    """An object with texts, in which a key may stand twice and a value may be another object."""
    parts = []
    for key in rng.choices(KEYS, k=rng.randint(1, 6)):
        nested = not depth and rng.randrange(10) == 0
        value = an_object(rng, 1) if nested else dumped(a_value(rng))
        space = " " if rng.randrange(20) == 0 else ""
        parts.append(f"{dumped(key)}{space}:{value}")
    return "{" + ",".join(parts) + "}"


def a_line(rng: Random) -> str:
    """A line of the log: mostly as osqueryd writes it, sometimes with parts that are there twice,
    in another order, or cut off."""
    name = rng.choice(("processes", "process_events", "pack_molehunt_processes_linux", "x"))
    envelope = [f'"name":"{name}"', '"hostIdentifier":"h"', '"unixTime":1790000000']
    rest = [f'"columns":{an_object(rng)}']
    if rng.randrange(2):
        rest.insert(rng.randint(0, 1), f'"decorations":{an_object(rng, 1)}')
    if rng.randrange(10) == 0:
        rest.append(f'"columns":{an_object(rng)}')
    if rng.randrange(10) == 0:
        rest.append('"name":"processes"')
    if rng.randrange(4):
        rest.append(f'"action":"{rng.choice(("added", "removed", "snapshot"))}"')
    line = "{" + ",".join([*envelope, *rest]) + "}"
    kind = rng.randrange(10)
    if kind == 0:
        return line[: rng.randint(1, len(line))] + a_line(rng)
    return line + a_line(rng) if kind == 1 else line


def found(plan: Any, block: Any) -> list[Any]:
    """What a plan says of the lines of a block."""
    said: list[Match] = list(plan.matches([block], lambda _problem: None))
    return [(match.rule.id, match.record.locator, match.evidence) for match in said]


@cache
def binder() -> Binder:
    """One for all, so that the pack's SQL is parsed once."""
    return kit.binder()


@cache
def evaluator() -> Any:
    """The slow plan."""
    return reference_plan(RULES, taxonomy(), binder())


def engine() -> Any:
    """A plan that knows of no line yet."""
    return compile_plan(RULES, taxonomy(), binder(), scan="hyperscan")


def differs(logged: list[str], fast: Any = None) -> bool:
    """Whether the engine says something else than the evaluator."""
    block = kit.block(*(line.encode() for line in logged))
    return found(fast or engine(), block) != found(evaluator(), block)


known = cache(engine)


def test_nothing_is_lost() -> None:
    """Whatever stands in the columns, and however often; also with what is known from before."""
    # In CI what is tested must not depend on chance.
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(4))
    for number in range(seed, seed + EXAMPLES):
        rng = Random(number)
        logged = [a_line(rng) for _ in range(rng.randint(1, 12))]
        if differs(logged, known()):
            alone = [line for line in logged if differs([line])]
            pytest.fail("\n".join([f"seed {number}:", *(alone or logged)]))


def event(columns: str, name: str = "processes", action: str = "added") -> str:
    """A line with these columns."""
    head = f'{{"name":"{name}","hostIdentifier":"h","unixTime":1790000000'
    return f'{head},"columns":{{{columns}}},"action":"{action}"}}'


Plant = Callable[[pytest.MonkeyPatch], None]


def ends_at_any_quote(patch: pytest.MonkeyPatch) -> None:
    """A text that ends at a quote that is its own."""
    patch.setattr(texts, "_BACKSLASH", -1)


def first_counts(patch: pytest.MonkeyPatch) -> None:
    """A key that is there twice read where it is first."""
    right = texts.Texts.__init__

    def init(self: Any, name: str) -> None:
        right(self, name)
        self._key = b"\n"

    patch.setattr(texts.Texts, "__init__", init)


def any_depth(patch: pytest.MonkeyPatch) -> None:
    """A key of another object taken for the column."""
    right = gates.Gates.raw
    patch.setattr(
        gates.Gates,
        "raw",
        lambda self, line, begin, _, rules: right(self, line, begin, len(line), rules),
    )


def own_spelling(patch: pytest.MonkeyPatch) -> None:
    """Characters that osquery spelled taken as they are."""
    patch.setattr(texts, "_SPELLED", b"\n")


def one_document(patch: pytest.MonkeyPatch) -> None:
    """A line taken for one document that holds another."""
    patch.setattr(route, "is_plain", lambda _line, _begin: True)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (ends_at_any_quote, event('"path":"\\"/vnc","cmdline":"rfb"')),
        (first_counts, event('"path":"x","cmdline":"rfb","path":"/vnc"')),
        (any_depth, event('"path":"vnc","pid":{"uid":"0","cwd":"/"}')),
        (own_spelling, event('"path":"vnc","cmdline":"\\\\x0Arfb"', action="snapshot")),
        (
            one_document,
            event('"path":"vnc","cwd":"/"') + event('"path":"vnc","pid":"1"'),
        ),
    ],
)
def test_what_could_be_lost_is_not(
    fault: Plant, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check in the raw line is needed: without it, a finding is lost."""
    assert not differs([line])
    fault(monkeypatch)
    assert differs([line])


def test_lines_are_ruled_out_without_being_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of queries with SQL and of those without."""
    parsed: list[bytes] = []
    right = route.Router._by_columns

    def by_columns(self: Any, line: bytes, *rest: Any) -> int:
        parsed.append(line)
        return right(self, line, *rest)

    monkeypatch.setattr(route.Router, "_by_columns", by_columns)
    logged = [
        event('"path":"/vnc","cmdline":"no","cwd":"/"', name=name)
        for name in ("processes", "pack_molehunt_processes_linux")
    ]
    assert not differs(logged)
    assert not parsed
    assert not differs([event('"path":"/vnc","cmdline":"rfb","pid":"1"')])
    assert parsed
