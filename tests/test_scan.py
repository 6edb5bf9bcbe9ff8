"""The raw scan, part by part, against what is obvious."""

from __future__ import annotations

import json
import re
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.matching.layout import layout_of
from molehunt.detectors.matching.necessary import NO_CASE
from molehunt.detectors.matching.plan import compile_plan, reference_plan
from molehunt.detectors.matching.regexruns import runs_of
from molehunt.detectors.matching.route import odd_lines, starts_of
from molehunt.detectors.matching.scan import scanner, where
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

LETTERS = st.sampled_from(b'abA"\\/. \xc3\xa9')
WORDS = st.lists(LETTERS, min_size=1, max_size=4).map(lambda found: bytes(found).lower())
SETS = st.frozensets(WORDS, min_size=1, max_size=3)
LINES = st.lists(st.lists(LETTERS, max_size=12).map(bytes), min_size=1, max_size=6)


def lines_of(hits: list[tuple[int, int]], data: bytes) -> set[tuple[int, int]]:
    """Which pattern in which line, from where they end."""
    return {(index, data.count(b"\n", 0, end)) for index, end in hits}


@given(st.lists(WORDS, min_size=1, max_size=4, unique=True), LINES, st.booleans())
def test_literals_are_found_in_every_line(
    words: list[bytes], lines: list[bytes], fast: bool
) -> None:
    """With Hyperscan and with RE2: each literal in each line that has it, case aside."""
    data = b"\n".join(lines)
    found = lines_of(scanner(words, fast)(data)[0], data)
    low = [line.lower() for line in lines]
    assert found == {
        (index, number)
        for index, word in enumerate(words)
        for number, line in enumerate(low)
        if word in line
    }


@given(SETS, SETS, LINES)
def test_pairs_are_found_in_either_order(
    left: frozenset[bytes], right: frozenset[bytes], lines: list[bytes]
) -> None:
    """Both in one line, whichever comes first, even where they overlap; never across lines."""
    data = b"\n".join(lines)
    found = lines_of(scanner([], True, [(left, right)])(data)[0], data)
    low = [line.lower() for line in lines]
    assert {number for _, number in found} == {
        number
        for number, line in enumerate(low)
        if any(word in line for word in left) and any(word in line for word in right)
    }


def test_words_that_are_common_alone_are_looked_for_together() -> None:
    """And then only lines with both are looked into; all engines find the same."""
    rule = kit.rule(
        "selection:\n    path|contains: alpha\n    cmdline|contains: omega\ncondition: selection"
    )
    rows = [
        {"path": "/bin/alpha" if number % 2 else "/x", "cmdline": "x" if number % 2 else "omega"}
        for number in range(400)
    ]
    rows += [{"path": "/omega/alpha", "cmdline": "omega"}, {"cmdline": "omega", "path": "alpha"}]
    block = kit.block(*(kit.line(row) for row in rows))
    plan = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
    plan.tune(block.data)
    assert plan._choice.pairs
    found = [match.record.locator for match in plan.matches([block], print)]
    slow = reference_plan([rule], taxonomy(), kit.binder())
    assert found == [match.record.locator for match in slow.matches([block], print)]
    assert len(found) == 2
    assert plan.counts.parsed == 2


@given(
    st.lists(st.sampled_from([b"{}", b"{}\r", b"", b"x", b"{", b"}", b" {} ", b"[1]"]), max_size=7)
)
def test_odd_lines_are_those_that_are_no_objects(lines: list[bytes]) -> None:
    """Seen from the newlines beside which a brace is missing, with either scanner."""
    data = b"\n".join(lines)
    want = {
        start
        for start in starts_of(data)
        if (line := data[start:].split(b"\n")[0].strip(b" \t\r"))
        and not (line.startswith(b"{") and line.endswith(b"}"))
    }
    if data and not data.endswith(b"\n"):
        want.add(data.rfind(b"\n") + 1)
    for fast in (True, False):
        assert odd_lines(data, scanner([b"zz"], fast)(data)) == want


def test_a_line_cut_anywhere_is_told() -> None:
    """By all engines alike, with no literal of any rule in it: at every byte of a line."""
    rule = kit.rule("selection:\n    path|contains: nowhere\ncondition: selection")
    whole = compact({"path": "/bin/sh", "pid": "7"}, {"hostname": "h", "owner": "x"})
    block = kit.block(*(whole[:size] for size in range(len(whole) + 1)))
    told = []
    for scan in ("hyperscan", "re2", ""):
        problems: list[Problem] = []
        plan = compile_plan([rule], taxonomy(), kit.binder(), scan=scan)
        assert not list(plan.matches([block], problems.append))
        told.append([problem.line for problem in problems])
        for size in range(1, len(whole)):
            last = block._replace(data=whole + b"\n" + whole[:size])
            problems.clear()
            assert not list(plan.matches([last], problems.append))
            assert [problem.line for problem in problems] == [2]
    assert told[0] == told[1] == told[2] == list(range(2, len(whole) + 1))


def test_where_tells_lines() -> None:
    """By the offset of their end."""
    assert where(b"ab\nb\nA\n", [b"a", b"b"]) == {b"a": {2, 6}, b"b": {2, 4}}


REGEXES = (
    r"abc.*def",
    r"(?i).*(set).*&&\s?set.*(environment|invoke|\$\{?input).*&&.*",
    r"a+bc{2}d?ef",
    r"foo(?:bar|qux)+baz",
    r"x{3,}yy",
    r"[a-z]{3}\\temp\\x(y|zz)?",
    r"(?i)risk desk",
    r"(a(b|c)d)e|afe",
    r"a\.b[^]x]c",
    r"(?P<name>kk)*ll(?:m|)n",
)


@pytest.mark.parametrize("pattern", REGEXES)
@given(data=st.data())
def test_runs_stand_in_whatever_matches(pattern: str, data: st.DataObject) -> None:
    """Texts made from the pattern hold one of each set."""
    text = data.draw(st.from_regex(pattern, fullmatch=True)).lower()
    for alternatives in runs_of(pattern, ""):
        assert any(run.lower() in text for run in alternatives), (alternatives, text)


@pytest.mark.parametrize(
    ("pattern", "runs"),
    [
        (r"foo(?:bar|qux)+baz", [{"foo"}, {"bar", "qux"}, {"baz"}]),
        (r"(?i)risk", [{"ri"}]),  # k and s have forms outside ASCII
        (r"a|b", [{"a", "b"}]),
        (r"(a|)b", [{"b"}]),
        (r"\x41bc", []),
        (r"a{0,2}bc", [{"bc"}]),
        (r"ab(?=c)", []),
        (r"ab[", []),
    ],
)
def test_runs(pattern: str, runs: list[set[str]]) -> None:
    """What is certain, and nothing where a construct is not known."""
    assert [set(one) for one in runs_of(pattern, "")] == runs


def test_kelvin_and_long_s_match_without_their_letters() -> None:
    """RE2 folds beyond ASCII; the scan must not ask for the ASCII letter."""
    rule = kit.rule("selection:\n    path|re|i: 'ris[k]task'\ncondition: selection")
    assert kit.fires([rule], kit.line({"path": "ri\u017fKta\u017f\u212a"}))


VALUES = st.text(max_size=4) | st.integers() | st.booleans() | st.none()
COLUMNS = st.dictionaries(st.sampled_from(["path", "name", "a b", "é", 'q"']), VALUES, max_size=4)


def compact(columns: dict[str, Any], decorations: dict[str, Any], name: str = "q") -> bytes:
    """A result line without spaces."""
    document = {"name": name, "hostIdentifier": "h", "decorations": decorations}
    whole = document | {"columns": columns, "action": "added"}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


@given(COLUMNS, COLUMNS, COLUMNS, COLUMNS)
def test_a_layout_fits_lines_of_the_same_keys_only(
    one: dict[str, Any], deco: dict[str, Any], other: dict[str, Any], deco_other: dict[str, Any]
) -> None:
    """In the same order and nesting, whatever the values; never a line of other columns."""
    layout = layout_of(compact(one, deco))
    if layout is None:
        return
    assert layout.columns == tuple(one)
    same = list(one) == list(other) and list(deco) == list(deco_other)
    fits = layout.fits(compact(other, deco_other))
    # A text that ends in a comma or a brace can look like a key more, so fitting is not certain.
    assert same or not fits
    if same and not re.search(r'[,{]"', json.dumps([*other.values(), *deco_other.values()])[1:]):
        assert fits


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"name":"q"}',
        b'{"name":"q","columns":{"a":["1"]}}',
        b'{"name":"q","columns":{"a":{"b":"1"}}}',
        b'{"name":"q","snapshot":[],"columns":{"a":"1"}}',
    ],
)
def test_what_has_no_layout(line: bytes) -> None:
    """Other shapes, and nested values."""
    assert layout_of(line) is None


def test_no_character_beyond_has_another_case() -> None:
    """So that the search for characters that fold alike may end there."""
    assert all(chr(code) == chr(code).lower() for code in range(NO_CASE, 0x110000))
