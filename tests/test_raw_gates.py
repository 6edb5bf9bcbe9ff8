"""Columns that are looked at in the raw line rule out nothing that the evaluator finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
VALUES = st.one_of(TEXTS, TEXTS, TEXTS, TEXTS, st.none(), st.just(7), st.lists(TEXTS, max_size=2))
KEYS = st.sampled_from(("path", "cmdline", "name", "cwd", "pid", "uid"))


def dumped(value: Any) -> str:
    """As osqueryd writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@st.composite
def objects(draw: st.DrawFn, depth: int = 0) -> str:
    """An object with texts, in which a key may stand twice and a value may be another object."""
    parts = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=6)):
        nested = not depth and draw(st.integers(0, 9)) == 0
        value = draw(objects(1)) if nested else dumped(draw(VALUES))
        space = " " if draw(st.integers(0, 19)) == 0 else ""
        parts.append(f"{dumped(key)}{space}:{value}")
    return "{" + ",".join(parts) + "}"


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line of the log: mostly as osqueryd writes it, sometimes with parts that are there twice,
    in another order, or cut off."""
    name = draw(
        st.sampled_from(("processes", "process_events", "pack_molehunt_processes_linux", "x"))
    )
    envelope = [f'"name":"{name}"', '"hostIdentifier":"h"', '"unixTime":1790000000']
    rest = [f'"columns":{draw(objects())}']
    if draw(st.booleans()):
        rest.insert(draw(st.integers(0, 1)), f'"decorations":{draw(objects(1))}')
    if draw(st.integers(0, 9)) == 0:
        rest.append(f'"columns":{draw(objects())}')
    if draw(st.integers(0, 9)) == 0:
        rest.append('"name":"processes"')
    if draw(st.integers(0, 3)):
        rest.append(f'"action":"{draw(st.sampled_from(("added", "removed", "snapshot")))}"')
    line = "{" + ",".join([*envelope, *rest]) + "}"
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return line[: draw(st.integers(1, len(line)))] + draw(lines())
    return line + draw(lines()) if kind == 1 else line


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


@settings(max_examples=300)
@given(st.lists(lines(), min_size=1, max_size=12))
def test_nothing_is_lost(logged: list[str]) -> None:
    """Whatever stands in the columns, and however often; also with what is known from before."""
    assert not differs(logged, known())


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
