"""The raw scan in front of the engine never skips a wrapper, whatever stands escaped inside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest
import wrapped
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.matching.plan import compile_plan, reference_plan
from molehunt.detectors.reading import MARKS, WRAPPERS
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.reading.kinds import has_one
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

PATH = 'C:\\Program Files\\"odd"\\tool.exe'
RULE = kit.rule("selection:\n    path|contains: '\\\\\"odd\"\\tool'\ncondition: selection")


def documents(**columns: Any) -> list[dict[str, Any]]:
    """One row that the rule wants among others."""
    others = [{"path": f"/usr/bin/{name}"} for name in ("ls", "sh")]
    return [json.loads(kit.line(row)) for row in (*others, {"path": PATH} | columns, *others)]


def test_the_rule_has_a_literal() -> None:
    """So these tests do ask something of the raw scan: it skips plain lines without the literal."""
    plan = compile_plan([RULE], taxonomy(), kit.binder(), scan="hyperscan")
    plain = wrapped.lines(documents())
    assert len(list(plan.matches([kit.block(*plain.splitlines())], print))) == 1
    assert plan.counts.parsed == 1


@pytest.mark.parametrize("name", wrapped.LOSSLESS)
def test_a_literal_behind_escapes_is_found(tmp_path: Path, name: str) -> None:
    """Quotes and backslashes are spelled two and four times as long there."""
    path = tmp_path / "export"
    path.write_bytes(wrapped.LOSSLESS[name](documents()))
    found = []
    for plan in (
        compile_plan([RULE], taxonomy(), kit.binder(), scan="hyperscan"),
        compile_plan([RULE], taxonomy(), kit.binder(), scan="re2"),
        compile_plan([RULE], taxonomy(), kit.binder(), scan=""),
        reference_plan([RULE], taxonomy(), kit.binder()),
    ):
        problems: list[Problem] = []
        matches = list(plan.matches(blocks(str(path), problems.append), problems.append))
        found.append([(m.record.locator, m.record.values["path"]) for m in matches])
        assert not problems
    assert [value for _, value in found[0]] == [PATH]
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize(
    "line",
    [
        wrapped.hit(next(wrapped.manager(json.loads(kit.line({"path": "x" * 1024}))))),
        {"result": {"_raw": '{"name":"q","hostIdentifier":"h"', "_time": "x"}, "preview": False},
        {"preview": True, "result": {"_raw": "{}"}},
        {"queries": {"q1": [{"path": "/bin/ls"}]}, "statuses": {"q1": 0}, "node_key": "nk-1"},
    ],
)
def test_traps_are_told_without_a_literal_in_the_line(line: dict[str, Any]) -> None:
    """A cut may have taken the literal away, so such lines are looked into all the same."""
    told = []
    for scan in ("hyperscan", "re2", ""):
        problems: list[Problem] = []
        plan = compile_plan([RULE], taxonomy(), kit.binder(), scan=scan)
        assert not list(plan.matches([kit.block(wrapped.dump(line).encode())], problems.append))
        told.append(problems)
    assert told[0]
    assert told[0] == told[1] == told[2]


def test_every_query_in_a_glued_line_counts() -> None:
    """A rule without a literal asks for the query's name; the first is not the only one."""
    weak = kit.rule("selection:\n    pid|gt: 5\ncondition: selection")
    line = (
        kit.line({"address": "::1"}, "pack_molehunt_etc_hosts") + b" \x00" + kit.line({"pid": "7"})
    )
    assert [m.record.values["pid"] for m in kit.matches([weak], line)] == ["7"]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text('a{}"\\\\1.é', max_size=5)
)
KEYS = st.sampled_from(
    [mark.strip(b'".').decode() for mark in MARKS] + ["preview", "data", "path", "name", "host"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_whatever_a_wrapper_claims_and_opens_holds_a_mark(document: dict[str, Any]) -> None:
    """Otherwise the raw scan could skip it."""
    from molehunt.detectors.records import Locator

    line = json.dumps(document).lower().encode()
    for wrapper in WRAPPERS:
        if wrapper.claims(document):
            assert has_one(wrapper.KEYS, document), wrapper
            inside = wrapper.unwrap(document, Locator("f", 0, 1, 0))
            if inside.documents or inside.traps:
                assert any(mark.lower() in line for mark in wrapper.MARKS), wrapper
