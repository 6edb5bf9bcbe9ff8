"""The part in C drops only lines that no rule matches, and stands whatever it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import kit
import pytest

from molehunt import cache
from molehunt.detectors.matching import judge, kept, programs
from molehunt.detectors.matching.concerns import Concerns
from molehunt.detectors.matching.judge import Judge, has_judge
from molehunt.detectors.matching.plan import FastPlan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import Block
from molehunt.rule import Rule
from molehunt.taxonomy import taxonomy

SOURCE = "{product: osquery, service: process_events}"
RECORDINGS = Path(__file__).parent / "recordings"
QUERY = "pack_molehunt_process_events"
RULES = [
    kit.rule(f"selection:\n    {item}\ncondition: {condition}", SOURCE)
    for item, condition in (
        ("path|endswith: /x11vnc", "selection"),
        ("cmdline|contains: ' -nopw'", "selection"),
        ("cmdline|re: ' -[a-z]+port 59[0-9]{2}$'", "selection"),
        ("cmdline|contains|cased: RFB", "selection"),
        ("cmdline: '*vnc*--?ort*'", "selection"),
        ("uid|lt: 500\n    parent: 1", "selection"),
        ("path|startswith: /opt/", "not selection"),
    )
]  # fmt: skip
COLUMNS = ("cmdline", "cwd", "parent", "path", "pid", "uid", "username")

pytestmark = pytest.mark.skipif(
    not has_judge() and not os.environ.get("CI"), reason="the part in C was not built here"
)


def plain(columns: dict[str, str], query: str = QUERY, tail: str = ',"action":"added"}') -> bytes:
    """A line as osqueryd writes it."""
    head = {"name": query, "hostIdentifier": "lab-01", "unixTime": 1790000000, "epoch": 0}
    found = head | {"columns": columns}
    return (
        json.dumps(found, ensure_ascii=False, separators=(",", ":"))[:-1].encode() + tail.encode()
    )


def row(**columns: str) -> dict[str, str]:
    """A row of the query that no rule but the last matches."""
    usual = {"cmdline": "sh", "cwd": "/", "parent": "9", "path": "/opt/sh", "pid": "7"}
    return dict(sorted((usual | {"uid": "1000", "username": "ana"} | columns).items()))


def judging(rules: list[Rule] = RULES, *sample: bytes) -> FastPlan:
    """A plan of which the judge knows the rows of the query, fitted to the sample too."""
    plan = compile_plan(rules, taxonomy(), kit.binder(), "re2", judges=True)
    assert plan.judge is not None
    plan.judge.fit(b"".join(line + b"\n" for line in (plain(row()), *sample)), {})
    assert len(plan.judge.programs) == 1
    return plan


def tuned_to(plan: FastPlan, key: str, sample: bytes) -> None:
    """Fit a plan to a sample, or to what was kept if that serves."""
    kept.tune_kept(plan, key, lambda _size: sample)


def lines_of(plan: Any, block: Block) -> list[tuple[str, int | None]]:
    """Rules with the lines in which they match."""
    found = plan.matches([block], lambda _problem: None)
    return [(match.rule.id, match.record.locator.line) for match in found]


def test_it_was_built_where_it_is_tested() -> None:
    """In CI this must run; elsewhere the tests of it are skipped, and said to be."""
    assert has_judge()


def test_a_line_is_dropped_or_said_to_match() -> None:
    """The rules that it names are those that match: none are asked that do not."""
    plan = judging()
    assert plan.judge is not None
    rows = [
        row(),
        row(path="/usr/bin/x11vnc", cmdline="x11vnc -NoPw"),
        row(cmdline="sh -rfbport 5901"),
        row(cmdline="sh -rfbport 5901 -once"),
        row(cmdline="vnc RFB"),
        row(cmdline="vnc rfb"),
        row(cmdline="tigervnc x --port"),
        row(cmdline="tigervnc x --short"),
        row(uid="499", parent="1"),
        row(uid="500", parent="1"),
        row(path="/home/sh"),
    ]
    data = b"".join(plain(one) + b"\n" for one in rows)
    _, found = plan.judge.sift(data)
    said = {one.before: one.rules for one in found}
    assert said == {1: 0b1000011, 2: 0b100, 4: 0b1000, 6: 0b10000, 8: 0b100000, 10: 0b1000000}


@pytest.mark.parametrize(
    "line",
    [
        plain(row()).replace(b'"cwd":', b'"cwd": '),
        plain(row()).replace(b'"pid":"7"', b'"pid":7'),
        plain(row()).replace(b'"pid":"7"', b'"pid":null'),
        plain(row()).replace(b'"pid":"7"', b'"pid":["7"]'),
        plain(row()).replace(b'"pid":', b'"path":"/usr/bin/x11vnc","pid":'),
        plain(row()).replace(b'"cmdline":', b'"cmd\\u006cine":'),
        plain(row()).replace(b"/opt/sh", b"/opt/x11vn\\u0063"),
        plain(row()).replace(b"/opt/sh", b"/opt/\\\\x0A"),
        plain(row()).replace(b"/opt/sh", b"/opt/\\q"),
        plain(row()).replace(b"/opt/sh", b"/opt/\xff"),
        plain(row()).replace(b"/opt/sh", b"/opt/\xed\xa0\x80"),
        plain(row()).replace(b"/opt/sh", b"/opt/\t"),
        plain(row()).replace(b'"hostIdentifier":"lab-01",', b""),
        plain(row()).replace(b'"epoch":0', b'"epoch":0,"epoch":0'),
        plain(row()).replace(b'"epoch":0', b'"message":"{}"'),
        plain(row()).replace(b'"epoch":0', b'"columns":{}'),
        plain(row()).replace(b'"epoch":0', b'"epoch":00'),
        plain(row()).replace(b'{"name"', b' {"name"'),
        plain(row()) + plain(row()),
        plain(row())[:-1],
        plain(row())[:120],
        plain(row()) + b" ",
        plain(row(), query="another"),
        b"",
        b"\x00",
        b"\xef\xbb\xbf" + plain(row()),
    ],
    ids=lambda line: line[40:90].decode("latin-1"),
)  # fmt: skip
def test_what_is_not_plainly_a_known_row_is_left_to_others(line: bytes) -> None:
    """It is kept without a verdict, and the lines around it are judged."""
    found = judging().judge
    assert found is not None
    around = plain(row()) + b"\n"
    lines, left = found.sift(around + line + b"\n" + around)
    assert lines == 3
    assert [(one.before, one.rules) for one in left] == [(1, None)]


def test_the_last_line_may_be_cut() -> None:
    """Only what ends in a newline is whole."""
    found = judging().judge
    assert found is not None
    lines, left = found.sift(plain(row()) + b"\n" + plain(row()))
    assert (lines, [(one.before, one.rules) for one in left]) == (2, [(1, None)])
    assert found.sift(b"") == (0, [])


def test_it_forgets_and_stays_right() -> None:
    """More texts than it keeps, some of them again and again, some longer than it looks at."""
    rng = Random(1)
    plan, reference = judging(), reference_plan(RULES, taxonomy(), kit.binder())
    usual = [f"/opt/{number}" for number in range(50)]
    for _ in range(14):
        rows = []
        for _ in range(1000):
            words = " ".join(f"{rng.randrange(10**9):x}" for _ in range(rng.choice((1, 3, 9))))
            if rng.randrange(50) == 0:
                words += rng.choice((" -nopw", " -rfbport 5907", "RFB", "vnc--port", "x" * 20_000))
            rows.append(plain(row(cmdline=words, path=rng.choice(usual), cwd=words[:3])))
        block = kit.block(*rows)
        assert lines_of(plan, block) == lines_of(reference, block)


def test_edited_bytes_change_nothing() -> None:
    """Whatever byte of a line is another, engine and evaluator see the same."""
    rng = Random(0 if os.environ.get("CI") else os.urandom(4))
    plan, reference = judging(), reference_plan(RULES, taxonomy(), kit.binder())
    made = [plain(row(path="/x11vnc", cmdline="é -nopw")), plain(row(cmdline=r"c:\vnc RFB\" 1"))]
    for number in range(150):
        lines = []
        for _ in range(20):
            line = bytearray(rng.choice(made))
            for _ in range(rng.randint(1, 2)):
                place = rng.randrange(len(line))
                line[place : place + rng.randrange(2)] = rng.choice(
                    (b'"', b"\\", b"{", b"}", b",", b":", b"0", b"\x00", b"\xc3", b"u", b"")
                )
            lines.append(bytes(line))
        block = kit.block(*lines)
        assert lines_of(plan, block) == lines_of(reference, block), (number, lines)


def test_what_was_kept_is_looked_at_before_it_is_used() -> None:
    """Any other byte in it is refused, or does no harm."""
    rng = Random(0 if os.environ.get("CI") else os.urandom(4))
    made = judging(RULES, plain(row(cmdline="x11vnc -rfbport 5900"))).judge
    assert made is not None
    ((shape, good),) = made.programs.items()
    assert good.table
    data = b"".join(
        plain(row(cmdline=text)) + b"\n"
        for text in ("x11vnc -nopw", "sh -rfbport 5901", "tigervnc --port é", "")
    )
    readers = Concerns(RULES, taxonomy(), kit.binder()).of_rows
    refused = 0
    for _ in range(500):
        parts = list(good)
        place = rng.randrange(len(parts) - 1)
        part: Any = parts[place]
        if isinstance(part, list):
            columns = [list(column) for column in part]
            column = rng.choice(columns)
            which = rng.randrange(len(column))
            column[which] = damaged(rng, column[which])
            parts[place] = columns
        else:
            parts[place] = damaged(rng, part)
        other = Judge(readers)
        try:
            other.take(shape, programs.Program(*parts))
            other.sift(data)
        except (ValueError, KeyError):
            refused += 1
    assert 50 < refused < 450


def test_it_tells_whose_rows_it_met() -> None:
    """Also where a query was known before, and only then."""
    plan = judging()
    assert plan.judge is not None
    plan.judge.recall(b"", dict(plan.judge.programs))
    assert plan.judge.met() == []
    plan.judge.sift(plain(row()) + b"\n")
    assert plan.judge.met() == [(QUERY, COLUMNS)]


def damaged(rng: Random, data: bytes) -> bytes:
    """Bytes with one changed, some cut off, or some more."""
    kind = rng.randrange(3)
    if kind == 0 and data:
        place = rng.randrange(len(data))
        return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    return data[: -rng.randint(1, 4)] if kind == 1 else data + rng.randbytes(rng.randint(1, 16))


def test_it_knows_queries_from_one_run_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept is taken as it is, by little data too; what is damaged is made anew. Lines that
    are not judged are searched from the first one on."""
    monkeypatch.setenv("MOLEHUNT_CACHE", str(tmp_path / "kept"))
    sample = plain(row()) + b"\n"
    found = row(path="/x11vnc")
    block = kit.block(plain(found), kit.line(found, QUERY), plain(row()))

    def tuned(fit: Callable[..., None] = tuned_to, knows: bool = True) -> None:
        plan = compile_plan(RULES, taxonomy(), kit.binder(), judges=True)
        fit(plan, "key", sample)
        assert plan.judge is not None
        assert list(plan.judge.programs) == [(QUERY, COLUMNS)] * knows
        expected = [(RULES[place].id, line) for line in (1, 2) for place in (0, 6)]
        assert lines_of(plan, block) == expected

    tuned(kept.guess_kept, knows=False)
    tuned()
    with monkeypatch.context() as patch:
        patch.setattr(judge, "draft", lambda *_: pytest.fail("made anew"))
        tuned()
        tuned(kept.guess_kept)
    (file,) = (tmp_path / "kept").glob("judge-*.json")
    for value in (
        [["x", ["y"], [[], ["z"], []]]],
        ["x"],
        [[QUERY, list(COLUMNS), [[], [""] * 12, []]]],
    ):
        cache.keep(file.stem, value)
        tuned()


def test_what_was_kept_serves_where_it_knows_the_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small part of the data is enough to see that; else more is looked at, and what was known
    before stays known."""
    monkeypatch.setenv("MOLEHUNT_CACHE", str(tmp_path / "kept"))
    one, other = plain(row()) + b"\n", plain(row(), "pack_molehunt_processes") + b"\n"
    asked: list[int] = []

    def known(sample: bytes) -> list[str]:
        plan = compile_plan(RULES, taxonomy(), kit.binder(), judges=True)
        asked.clear()
        kept.tune_kept(plan, "key", lambda size: (asked.append(size), sample)[1])
        assert plan.judge is not None
        return [query for query, _ in plan.judge.programs]

    whole, few = kept.SAMPLE_BYTES, kept.LOOKED_AT
    assert known(one) == [QUERY] and asked == [few, whole]
    assert known(one) == [QUERY] and asked == [few]
    assert known(one + other) == [QUERY, "pack_molehunt_processes"] and asked == [few, whole]
    assert known(other) == [QUERY, "pack_molehunt_processes"] and asked == [few]
    # Lines that are not judged: something else may be searched for in them.
    assert len(known(one + kit.line(row(path="/x11vnc")) * 2000)) == 2 and asked == [few, whole]


@pytest.mark.parametrize("scan", ["hyperscan", "re2"])
@pytest.mark.parametrize("fit", [tuned_to, kept.guess_kept])
def test_it_goes_with_either_search(
    scan: str, fit: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that only Hyperscan has is asked of RE2."""
    monkeypatch.setenv("MOLEHUNT_CACHE", str(tmp_path / "kept"))
    plan = compile_plan(RULES, taxonomy(), kit.binder(), scan, judges=True)
    fit(plan, "key", plain(row()) + b"\n")
    found = row(path="/opt/x11vnc")
    block = kit.block(plain(found), kit.line(found, QUERY))
    assert lines_of(plan, block) == [(RULES[0].id, 1), (RULES[0].id, 2)]


def test_without_it_the_same_is_found(tmp_path: Path) -> None:
    """On every recording: as bytes, with it and where it was not built."""
    hunt = "from molehunt.cli import main; import sys; sys.exit(main())"
    without = "import sys; sys.modules['molehunt.detectors.native._judge'] = None; "
    found = [
        subprocess.run(
            [sys.executable, "-c", code, "hunt", "--quiet", "--format", "ndjson", str(RECORDINGS)],
            env=os.environ | {"MOLEHUNT_CACHE": str(tmp_path)},
            capture_output=True,
            check=False,
        ).stdout
        for code in (hunt, without + hunt)
    ]
    assert found[0]
    assert found[0] == found[1]


EXPRESSIONS = (
    r"x[0-9]+vnc$", r"^(a|b)+c", r"\bvnc\b", r"(?i)v[nm]c", r"[^ ]{3} -d", r"a.c", r"vnc?\s-d",
)  # fmt: skip


@pytest.mark.parametrize("nearly", [0, 1_000_000])
def test_tables_tell_at_once_or_where_a_verdict_depends_on_it(
    nearly: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the evaluator says, of texts with escapes and of others than ASCII too; for texts of
    ASCII nobody is asked."""
    monkeypatch.setattr(programs, "NEARLY", nearly)
    rng = Random(7)
    pieces = ("vnc", "x11", " -d", "a", "b", "c", "é", '"', "\\", "\t", "K", "\u212a", "7", " ")

    def text() -> str:
        return "".join(rng.choices(pieces, k=rng.randint(0, 7)))

    asked: list[bytes] = []
    right = judge._Column.answers
    monkeypatch.setattr(
        judge._Column,
        "answers",
        lambda self, text, atoms: (asked.append(text), right(self, text, atoms))[1],
    )
    wide = 0
    for _ in range(40):
        rules = [
            kit.rule(
                "selection:\n    path|endswith: /vnc\n    cmdline|re:\n"
                + "".join(f"        - '{one}'\n" for one in rng.sample(EXPRESSIONS, 2))
                + f"condition: {rng.choice(['selection', 'not selection'])}",
                SOURCE,
            )
            for _ in range(4)
        ]
        rows = [row(path=rng.choice(["/vnc", "/sh"]), cmdline=text()) for _ in range(40)]
        block = kit.block(*map(plain, rows))
        plan = judging(rules, *(plain(row(path="/vnc", cmdline=f"ab {n}vnc -d")) for n in range(9)))
        (made,) = plan.judge.programs.values()  # type: ignore[union-attr]
        assert made.machines
        assert set(array("I", made.machines)[5::6]) == {int(nearly > 0)}
        asked.clear()
        found = lines_of(plan, block)
        wide += len(asked)
        assert not any(map(bytes.isascii, asked))
        assert found == lines_of(reference_plan(rules, taxonomy(), kit.binder()), block)
    assert wide
