"""Random files and documents: the readers of whole files against `json` and `csv`, and no crash."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kit
import pytest
import wrapped
from hypothesis import given, settings
from hypothesis import strategies as st

from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.reading import READERS, WRAPPERS, read_document
from molehunt.detectors.reading.inputs import Block, shaped
from molehunt.detectors.reading.kinds import possible
from molehunt.detectors.reading.lines import Located, parse_line
from molehunt.detectors.reading.spread import MAX_VALUE_BYTES, Scanner, is_spread
from molehunt.detectors.reading.table import Records, has_json_cells
from molehunt.detectors.records import Locator
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

TEXTS = st.text('a1 \\"{}[],:\n\r\t\x00é한', max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), min_size=1, max_size=5)
INDENTS = st.sampled_from([None, 0, 2, "\t"])


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    """The data in pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))


def scanned(data: bytes, size: int) -> list[Located]:
    """What the scanner finds, fed piece by piece."""
    scanner = Scanner()
    found = [located for chunk in chunked(data, size) for located in scanner.feed(chunk)]
    return [*found, *scanner.finish()]


def check_places(data: bytes, found: list[Located]) -> None:
    """Each document begins where it is said to begin, and in that line."""
    for located in found:
        assert data[located.offset : located.offset + 1] in (b"{", b"[")
        assert data[: located.offset].count(b"\n") + 1 == located.line


@given(DOCUMENTS, INDENTS, st.integers(1, 40), st.sampled_from(["", "\n", " \n\n"]))
def test_documents_one_after_another(
    documents: list[Any], indent: Any, size: int, between: str
) -> None:
    """However they are broken over lines and chunks."""
    text = between.join(json.dumps(d, indent=indent, ensure_ascii=False) for d in documents)
    # The scanner takes what follows these keys for documents; here they are none.
    if any(key in d for d in documents for key in ("hits", "results")):
        return
    data = text.encode()
    found = scanned(data, size)
    assert [list(located.parsed.documents) for located in found] == [[d] for d in documents]
    check_places(data, found)


@given(DOCUMENTS, INDENTS, st.integers(1, 40), st.sampled_from(["top", "hits", "results"]))
def test_elements_of_arrays(documents: list[Any], indent: Any, size: int, where: str) -> None:
    """Each element comes with what stood around the array, and at last the rest does."""
    around: Any = {
        "top": documents,
        "hits": {"took": 3, "hits": {"total": {"value": 1}, "hits": documents}, "x": [[]]},
        "results": {"query_id": 31, "results": documents, "report_clipped": True},
    }[where]
    colon = " : " if size % 2 else ":"
    data = json.dumps(around, indent=indent, separators=(",", colon), ensure_ascii=False).encode()
    found = scanned(data, size)
    inner = []
    for located in found:
        (document,) = located.parsed.documents
        if where == "top":
            inner.append(document)
        elif where == "hits":
            assert document["took"] == 3
            inner += document["hits"]["hits"]
        else:
            assert document["query_id"] == 31
            inner += document["results"]
    assert inner == documents
    assert len(found) == len(documents) + (where != "top")
    check_places(data, found[: len(documents)])
    if where == "results":
        assert found[-1].parsed.documents[0]["report_clipped"] is True


@given(DOCUMENTS, st.integers(1, 40), st.data())
def test_a_cut_array_keeps_what_was_whole(documents: list[Any], size: int, data: Any) -> None:
    """And the cut is said."""
    whole = ("[" + ",\n".join(json.dumps(d) for d in documents) + "]").encode()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    found = scanned(cut, size)
    assert found[-1].parsed.broken
    good = [document for located in found for document in located.parsed.documents]
    assert good == documents[: len(good)]
    assert len(good) >= sum(
        len(("[" + ",\n".join(json.dumps(d) for d in documents[: n + 1])).encode()) <= len(cut)
        for n in range(len(documents))
    )


@given(st.binary(max_size=60) | TEXTS.map(str.encode), st.integers(1, 20))
def test_the_scanner_never_raises(data: bytes, size: int) -> None:
    """Whatever it is fed, it finds the same in pieces and at once."""
    one, many = scanned(data, len(data) or 1), scanned(data, size)
    assert [located.parsed for located in one] == [located.parsed for located in many]


def test_a_value_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, and what follows on a new line is read."""
    assert MAX_VALUE_BYTES <= 64 << 20
    monkeypatch.setattr("molehunt.detectors.reading.spread.MAX_VALUE_BYTES", 1000)
    data = b'{"a": 1}\n{"b": "' + b"x" * 5000 + b'\n{"c": 2}\n'
    scanner = Scanner()
    found = []
    for chunk in chunked(data, 100):
        found += scanner.feed(chunk)
        assert len(scanner._buffer) < 2000
    found += scanner.finish()
    assert found[0].parsed.documents == ({"a": 1},)
    assert any("longer than" in located.parsed.broken for located in found)


@pytest.mark.parametrize(
    ("head", "whole", "spread"),
    [
        (b'{"name":"a"}\n{"name":"b"}\n', True, False),
        (b'{"name":"a"}{"name":"b"}', True, False),
        (b'{"name":"a"}{"name":"b"}{"na', False, True),
        (b'{"name":"a","columns":{"x":"' + b"y" * 99, False, False),
        (b"[\n{", True, True),
        (b'[{"name":"a"},{"name":"b"},{"n', False, True),
        (b'{\n  "name": "a"', True, True),
        (b'{"took":3,"hits":{"hits":[\n{"_index":"x"}', True, True),
        # A log whose first line was cut, at the most tempting places.
        (b'{"name":"a","columns":{\n{"name":"b","columns":{}}\n', True, False),
        (b'{"name":"a","columns":{"x":"1",\n{"name":"b"}\n', True, False),
        (b'{"snapshot":[{"a":"1"},\n{"name":"b"}\n', True, False),
        (b'{"snapshot":[\n{"snapshot":[]}\n', True, False),
        (b'{"name":"a","colum\n{"name":"b"}\n', True, False),
        (b"Nov 23 osqueryd: {\n", True, False),
        (b"", True, False),
    ],
)
def test_which_files_are_read_by_documents(head: bytes, whole: bool, spread: bool) -> None:
    """Lines are the rule; JSON over many lines is told by how its first line ends."""
    assert is_spread(head, whole) is spread


CELLS = st.text('a1 \\",\n=é', max_size=6)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5), st.integers(1, 30))
def test_csv_against_the_library(cells: list[list[str]], size: int) -> None:
    """Records over several lines have the place at which they begin."""
    data = wrapped.table(["host_display_name", "x"], cells)
    found = list(Records(chunked(data, size), json_cells=False))
    wanted = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
    assert [list(located.parsed.documents[0].values()) for located in found] == wanted
    places = [located.offset for located in found]
    assert places == sorted(places)
    for located in found:
        assert data[located.offset : located.offset + 1] == b'"'
        assert data[: located.offset].count(b"\n") + 1 == located.line


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5))
def test_old_fleet_csv(cells: list[list[str]]) -> None:
    """Cells that are JSON strings are told by their escapes and read back."""
    answers = [(host, [{"x": value}]) for host, value in cells]
    data = wrapped.fleet_csv("q", answers, old=True) if cells else b""
    if not has_json_cells(data):
        assert b'\\"' not in data
        assert b"\\\\" not in data
        return
    found = list(Records([data], json_cells=True))
    assert [list(located.parsed.documents[0].values()) for located in found] == cells


PLAIN = json.loads(kit.line({"pid": "7", "path": "/bin/sh"}, decorations={"hostname": "lab"}))
SNAPSHOT = {k: v for k, v in PLAIN.items() if k != "columns"} | {"snapshot": [{"a": "1"}]}
SAMPLES: list[Any] = [
    *(
        document
        for name, build in wrapped.LOSSLESS.items()
        if "csv" not in name
        for document in parse_line(build([PLAIN, SNAPSHOT]).replace(b"\n", b" ")).documents
    ),
    wrapped.fields(wrapped.filebeat(SNAPSHOT)),
    wrapped.integration(PLAIN),
    *wrapped.manager(PLAIN),
    wrapped.fleet_report([("h", [{"a": "1"}])], "2026-11-23T10:22:00Z"),
    {"host": "h", "rows": [{"a": "1"}]},
    {"host_display_name": "h", "a": "1"},
    {"name": "q", "hostIdentifier": "h", "columns.a": "1", "action": "added"},
    {"records": [PLAIN]},
    dict.fromkeys(("event_type", "timestamp", "actor.alternate_id", "target0.id"), "a"),
    {"Date (UTC)": "2026-11-23T10:22:00Z", "Username": "a@corp.example", "Latency": "1"},
    {
        "Date": "2026-11-23T10:22:00Z",
        "Event": "Logout",
        "Actor": "a@corp.example",
        "IP address": "x",
    },
    {"kind": "admin#reports#activities", "items": [PLAIN], "nextPageToken": "x"},
    {"detail-type": "SystemLog", "source": "aws.partner/okta.com/x", "detail": PLAIN},
    {"eventType": "com.okta.event_hook", "data": {"events": [PLAIN]}},
]


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from nodes(item, (*path, key))


@st.composite
def mutants(draw: Any) -> Any:
    """A sample with a few of its values replaced, removed or renamed."""
    document = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    for _ in range(draw(st.integers(1, 3))):
        paths = list(nodes(document))
        if not paths:
            break
        *before, last = draw(st.sampled_from(paths))
        holder = document
        for key in before:
            holder = holder[key]
        what = draw(st.sampled_from(["replace", "remove", "rename", "wrap"]))
        if what == "remove":
            del holder[last]
        elif what == "rename" and isinstance(holder, dict):
            holder[draw(TEXTS)] = holder.pop(last)
        elif what == "wrap":
            holder[last] = [holder[last]]
        else:
            holder[last] = draw(VALUES | st.floats())
    return document


def test_there_is_a_sample_of_every_wrapper() -> None:
    """So that the next test asks something of each."""
    for wrapper in WRAPPERS:
        assert any(wrapper.claims(document) for document in SAMPLES), wrapper


@settings(max_examples=400)
@given(mutants())
def test_no_reader_raises(document: Any) -> None:
    """Whatever the document looks like, rows have proper types and are numbered in order."""
    read = read_document(document, Locator("log", 0, 1, 0))
    assert [row.locator.row for row in read.rows] == list(range(len(read.rows)))
    for row in read.rows:
        assert isinstance(row.query, str)
        assert isinstance(row.host, str)
        assert row.observed_at is None or isinstance(row.observed_at, float)
        for value in row.values.values():
            assert not isinstance(value, (dict, list))
            hash(value)


@settings(max_examples=400)
@given(mutants())
def test_whoever_claims_a_document_is_asked(document: Any) -> None:
    """It has one of the keys that they name."""
    todo = [document]
    while todo:
        one = todo.pop()
        todo += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if isinstance(one, dict):
            readers, wrappers = possible(one)
            assert {r.NAME for r in READERS if r.claims(one)} <= {r.NAME for r in readers}
            assert all(w in wrappers for w in WRAPPERS if w.claims(one))


@settings(max_examples=100)
@given(st.lists(mutants(), max_size=4), st.sampled_from(["lines", "array", "glued"]))
def test_no_file_raises(documents: list[Any], shape: str) -> None:
    """Rules run over whatever was read."""
    data = {
        "lines": wrapped.lines(documents),
        "array": json.dumps(documents).encode(),
        "glued": b"".join(json.dumps(d).encode() for d in documents),
    }[shape]
    problems: list[Problem] = []
    plan = compile_plan([RULE], taxonomy(), BINDER, scan="hyperscan")
    list(plan.matches(blocks_of(data), problems.append))


def blocks_of(data: bytes) -> Iterator[Block]:
    """The blocks of a file with this content."""
    return shaped("log", iter([data]), lambda _: None)


RULE = kit.rule("selection:\n    path|endswith: /sh\ncondition: selection")
BINDER = kit.binder()


@pytest.mark.parametrize("key", ["result", "_source", "message", "event", "actor", "hits"])
def test_deep_nesting_is_no_crash(key: str, tmp_path: Path) -> None:
    """As deep as the JSON parser goes."""
    deep: Any = {"eventType": "x", "published": "x", "actor": {}}
    text = json.dumps(deep)
    for _ in range(1010):
        text = f'{{"{key}":{text},"eventType":"x","published":"y","time":1}}'
    (document,) = parse_line(text.encode()).documents
    read_document(document, Locator("log", 0, 1, 0))


def test_a_big_array_needs_little_memory() -> None:
    """Elements are handed on and forgotten, however long the line."""
    element = json.dumps(wrapped.hit(wrapped.filebeat(PLAIN))).encode()
    scanner, found = Scanner(), 0
    for chunk in (b'{"hits":{"hits":[', *[element + b","] * 3000, element, b"]}}"):
        found += sum(len(located.parsed.documents) for located in scanner.feed(chunk))
        assert len(scanner._buffer) <= 2 * len(element)
    assert found == 3001 + 1
    assert not list(scanner.finish())
