"""Any split of the input gives the same findings, byte for byte."""

from __future__ import annotations

import gzip
import io
import itertools
from itertools import pairwise
from pathlib import Path
from random import Random

import kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molehunt.cli import main
from molehunt.detectors.hunting.merge import Merger
from molehunt.detectors.hunting.work import Hunter, Problems, Span
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.reading.parts import Part, finer, part_blocks, parts_of
from molehunt.detectors.report.machine import write_ndjson
from molehunt.rule import RuleSet
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

RECORDINGS = Path(__file__).parent / "recordings"
LOGS = ("kvm-windows/windows.results.log", "linux-near-misses/operated-fedora.results.log")
CORRELATION = """
title: Several Findings On One Host
id: 10000000-0000-4000-8000-0000000000c1
status: test
level: medium
correlation:
    type: event_count
    rules:
        - {}
    group-by:
        - osquery.host
    timespan: 1d
    condition:
        gte: 1
    generate: true
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    """The shipped rules, and a correlation over one of them."""
    path = tmp_path_factory.mktemp("rules") / "correlation.yml"
    rule = next(rule.id for rule in kit.shipped().rules if "reverse_forward" in rule.path)
    path.write_text(CORRELATION.format(rule))
    return load_rules([builtin_rules_path(), str(path)])


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two recordings, and a real one unpacked, with broken and empty lines in it."""
    folder = tmp_path_factory.mktemp("logs")
    packed = RECORDINGS / "linux-lab-state/linux-state-event.results.log.gz"
    body = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    body[7:7] = [b"\n", b"\r\n", b'{"name":"cut\n', b"x" * 5000 + b"\n"]
    real = folder / "real.log"
    real.write_bytes(b"".join(body).rstrip(b"\n"))
    return [str(real), *(str(RECORDINGS / log) for log in LOGS)]


def outcome(rules: RuleSet, parts: list[Part], rng: Random) -> tuple[str, list[str]]:
    """The findings as NDJSON and the problems, hunting the parts in a random order."""
    config = RECORDINGS / "linux-lab-state/osquery.conf"
    plan = compile_plan(rules.rules, taxonomy(), kit.binder(str(config)))
    problems = Problems()
    merger = Merger(rules, problems)
    hunters = [Hunter(plan, rules, None, Span()) for _ in range(1)]
    rng.shuffle(parts)
    for part in parts:
        for piece in hunters[0].hunt(part):
            merger.add(piece)
    stream = io.StringIO()
    write_ndjson(merger.findings(), stream)
    return stream.getvalue(), sorted(map(str, problems.kept))


@pytest.fixture(scope="module")
def whole(rules: RuleSet, logs: list[str]) -> tuple[str, list[str]]:
    """What comes of the logs, each in one part."""
    return outcome(rules, [Part(log) for log in logs], Random(0))


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_any_split_in_any_order(
    rules: RuleSet, logs: list[str], whole: tuple[str, list[str]], seed: int, most: int
) -> None:
    """Cut anywhere, even inside lines; the places of the evidence are those in the whole file."""
    rng = Random(seed)
    parts = []
    for log in logs:
        size = Path(log).stat().st_size
        cuts = sorted({0, size, *(rng.randrange(size) for _ in range(rng.randrange(most)))})
        parts += [Part(log, start, end) for start, end in itertools.pairwise(cuts)]
    assert whole[0].count("10000000-0000-4000-8000-0000000000c1")
    assert any("cut" in problem for problem in whole[1])
    assert outcome(rules, parts, rng) == whole


@given(st.lists(st.binary(max_size=12), max_size=12), st.lists(st.integers(0, 200), max_size=5))
def test_parts_hold_every_line_once(lines: list[bytes], cuts: list[int]) -> None:
    """Whatever the bytes and the cuts; read in small pieces."""
    import tempfile

    body = b"\n".join(line.replace(b"\n", b"") for line in lines)
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"{" + body)
        file.flush()
        size = len(body) + 1
        places = sorted({0, size, *(cut for cut in cuts if cut < size)})
        found = []
        for start, end in itertools.pairwise(places):
            for block in part_blocks(Part(file.name, start, end), print, size=7):
                found.append((block.offset, block.data))
        assert b"".join(data for _, data in found) == b"{" + body
        assert all((b"{" + body)[at : at + len(data)] == data for at, data in found)


def test_what_is_not_split(tmp_path: Path) -> None:
    """Compressed files, and files whose documents are not lines."""
    line = kit.line({"path": "/bin/sh"})
    (tmp_path / "a.log").write_bytes(b"\n".join([line] * 50))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"\n".join([line] * 500)))
    (tmp_path / "c.json").write_bytes(b"[\n" + b",\n".join([line] * 50) + b"\n]")
    assert len(parts_of(str(tmp_path / "a.log"), 1000)) > 5
    assert parts_of(str(tmp_path / "b.gz"), 10) == [Part(str(tmp_path / "b.gz"))]
    assert parts_of(str(tmp_path / "c.json"), 100) == [Part(str(tmp_path / "c.json"))]


@given(st.integers(1, 9), st.integers(0, 20))
def test_the_last_parts_are_halved(number: int, finely: int) -> None:
    """They still are all of the file, each byte once and in order; what has no end stays whole."""
    parts = [Part("a", start, start + 7) for start in range(0, 7 * number, 7)] + [Part("b")]
    found = finer(parts, finely)
    assert len(found) == len(parts) + max(min(finely - 1, number), 0)
    assert (found[0].start, found[-2].end, found[-1]) == (0, 7 * number, Part("b"))
    assert all(one.end == other.start for one, other in pairwise(found[:-1]))


def test_processes_share_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes with one process and with three, and the same exit code."""
    from molehunt.commands import hunt

    monkeypatch.setattr(hunt, "SHARED_BYTES", 0)
    monkeypatch.setattr(hunt, "PART_BYTES", 4000)
    paths = [str(RECORDINGS / log) for log in LOGS]
    told = []
    for jobs in ("1", "3"):
        code = main(["hunt", *paths, "--format", "json", "--jobs", jobs, "--quiet"])
        told.append((code, capsys.readouterr()))
    assert told[0] == told[1]
    assert '"level": "high"' in told[0][1].out
