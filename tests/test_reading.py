"""Log files to rows: every line shape, every way a line can be broken."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from molehunt.detectors.reading import inputs, parts, read_document
from molehunt.detectors.reading.inputs import MAX_LINE_BYTES, Block, blocks, expand
from molehunt.detectors.reading.lines import parse_line
from molehunt.detectors.reading.parts import sample
from molehunt.detectors.records import Locator, Row
from molehunt.problems import Problem

HERE = Locator("log", 0, 1, 0)


def rows_of(document: dict[str, object]) -> list[Row]:
    """The rows that the readers find in a document."""
    found = read_document(document, HERE)
    assert not found.unknown
    return list(found.rows)


def event(**changes: object) -> dict[str, object]:
    """A plain event line as osquery 5 writes it."""
    base: dict[str, object] = {
        "name": "pack_itw_processes",
        "hostIdentifier": "lab-01",
        "calendarTime": "Mon Nov 23 10:22:00 2026 UTC",
        "unixTime": 1795429320,
        "epoch": 0,
        "counter": 1,
        "numerics": False,
        "decorations": {"hostname": "lab"},
        "columns": {"name": "sh", "action": "CREATED", "pid": "7"},
        "action": "added",
    }
    return base | changes


def test_event_line_keeps_envelope_and_columns_apart() -> None:
    """`name` and `action` exist in both places and must not mix."""
    (row,) = rows_of(event())
    assert (row.query, row.action, row.host, row.counter) == (
        "pack_itw_processes",
        "added",
        "lab-01",
        1,
    )
    assert row.values == {"name": "sh", "action": "CREATED", "pid": "7"}
    assert row.observed_at == 1795429320.0
    assert row.decorations == {"hostname": "lab"}


def test_batch_line_numbers_rows_as_they_stand() -> None:
    """`removed` stands before `added` in a batch line."""
    line = event(diffResults={"removed": [{"pid": 1}], "added": [{"pid": 2}, {"pid": 3}]})
    del line["columns"], line["action"]
    found = rows_of(line)
    assert [(r.action, r.values["pid"], r.locator.row) for r in found] == [
        ("removed", 1, 0),
        ("added", 2, 1),
        ("added", 3, 2),
    ]


def test_batch_line_of_osquery_2_with_empty_text_for_a_side() -> None:
    """osquery 2.x wrote `""` for an empty side."""
    line = event(diffResults={"removed": "", "added": [{"pid": "2"}]})
    del line["columns"], line["action"]
    assert [r.values["pid"] for r in rows_of(line)] == ["2"]


def test_snapshot_array_and_snapshot_as_event() -> None:
    """Both spellings give one row per row, with action `snapshot`."""
    array = event(snapshot=[{"name": "sshd", "ports": "1"}, {"name": "ssh", "ports": "2"}])
    del array["columns"]
    array["action"] = "snapshot"
    assert [(r.action, r.values["name"]) for r in rows_of(array)] == [
        ("snapshot", "sshd"),
        ("snapshot", "ssh"),
    ]
    assert rows_of(event(action="snapshot"))[0].action == "snapshot"


def test_top_level_decorations_and_old_string_times() -> None:
    """`--decorations_top_level` merges them in; 2.x wrote times as strings."""
    line = event(unixTime="1514471990", epoch="0", counter="3", hostname="lab", username="jdoe")
    del line["decorations"]
    (row,) = rows_of(line)
    assert row.observed_at == 1514471990.0
    assert row.counter == 3
    assert row.decorations == {"hostname": "lab", "username": "jdoe"}


def test_calendar_time_serves_when_unix_time_is_missing() -> None:
    """calendarTime is UTC text; the clock of this machine is never asked."""
    line = event(calendarTime="Thu Jan  1 00:01:40 1970 UTC")
    del line["unixTime"]
    assert rows_of(line)[0].observed_at == 100.0
    del line["calendarTime"]
    assert rows_of(line)[0].observed_at is None


def test_status_line_of_a_buffered_logger_is_known_and_empty() -> None:
    """tls, kinesis and firehose send status lines through the same channel."""
    status = {"hostIdentifier": "h", "severity": 1, "message": "x", "filename": "a.cpp", "line": 3}
    assert rows_of(status) == []


def test_okta_event_is_flattened_and_has_its_own_time() -> None:
    """Nested objects become dotted names, lists several values; `published` is the event's time."""
    (row,) = rows_of(
        {
            "uuid": "u",
            "published": "2026-11-23T10:22:00.000Z",
            "eventType": "user.session.start",
            "actor": {"alternateId": "j.doe@example.com", "id": "1"},
            "client": {"ipAddress": "192.0.2.7", "zone": None},
            "target": [{"id": "a"}, {"id": "b"}],
        }
    )
    assert row.values["client.ipAddress"] == "192.0.2.7"
    assert row.values["target.id"] == ("a", "b")
    assert row.values["client.zone"] is None
    assert (row.host, row.user) == ("j.doe@example.com", "j.doe@example.com")
    assert row.event_at == 1795429320.0


GOOD = json.dumps(event()).encode()


@pytest.mark.parametrize(
    ("line", "documents", "recovered", "broken"),
    [
        (GOOD, 1, False, False),
        (b"", 0, False, False),
        (b"   ", 0, False, False),
        (b"\xef\xbb\xbf" + GOOD, 1, True, False),
        (b"\x00\x00" + GOOD + b"\r", 1, True, False),
        (GOOD.replace(b'"sh"', b'"s\xffh"'), 1, True, False),
        (GOOD.replace(b'"sh"', b'"s\\ud800h"'), 1, True, False),
        (GOOD.replace(b'"sh"', b'"s\x01h"'), 1, True, False),
        (GOOD + GOOD, 2, False, False),
        (GOOD[:60] + GOOD, 1, True, True),
        (b"Nov 23 10:22:00 lab osqueryd: " + GOOD, 1, True, False),
        (GOOD[:-20], 0, False, True),
        (b"hello", 0, False, True),
        (b'["text"]', 0, False, True),
        (b"[" + GOOD + b"," + GOOD + b"]", 2, False, False),
        (b"{" * 100_000, 0, False, True),
    ],
)
def test_broken_lines_are_recovered_or_named(
    line: bytes, documents: int, recovered: bool, broken: bool
) -> None:
    """What is whole is kept, what is lost is said, nothing raises."""
    parsed = parse_line(line)
    assert (len(parsed.documents), bool(parsed.recovered), bool(parsed.broken)) == (
        documents,
        recovered,
        broken,
    )


def test_a_truncated_line_is_never_completed() -> None:
    """A nested object of a cut line must not pass for a record."""
    snapshot = event(snapshot=[{"name": "sshd", "ports": "1"}, {"name": "x", "ports": "2"}])
    cut = json.dumps(snapshot).encode()[:-40]
    for document in parse_line(cut).documents:
        assert read_document(document, HERE).unknown


def collect(path: str) -> tuple[list[Block], list[Problem]]:
    """All blocks of a file, and what was reported."""
    problems: list[Problem] = []
    return list(blocks(path, problems.append, size=64)), problems


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_blocks_hold_whole_lines_with_true_offsets(tmp_path: Path, kind: str) -> None:
    """Whatever the compression, offset and line number lead back to the line."""
    lines = [b"line %d %s\n" % (number, b"x" * number) for number in range(200)]
    data = b"".join(lines)
    packed = {"plain": data, "gzip": gzip.compress(data), "zstd": zstandard.compress(data)}[kind]
    path = tmp_path / "log"
    path.write_bytes(packed)
    found, problems = collect(str(path))
    assert not problems
    assert b"".join(block.data for block in found) == data
    for block in found:
        assert data[block.offset : block.offset + len(block.data)] == block.data
        assert block.line == data[: block.offset].count(b"\n") + 1
        assert block.data.endswith(b"\n")


def test_damaged_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    """A file cut while rotating still gives its good part, and is reported."""
    data = b"".join(b'{"n":%d,"r":"%s"}\n' % (n, str(hash(n)).encode()) for n in range(5000))
    path = tmp_path / "cut.log.gz"
    path.write_bytes(gzip.compress(data)[:-4000])
    found, problems = collect(str(path))
    assert len(b"".join(block.data for block in found)) > 1000
    assert [problem.path for problem in problems] == [str(path)]


def test_an_endless_line_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    """A line over the limit is reported with its number; the lines around it are read."""
    path = tmp_path / "big.log"
    with path.open("wb") as stream:
        stream.write(b"first\n")
        for _ in range((MAX_LINE_BYTES >> 20) + 2):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\nlast\n")
    problems: list[Problem] = []
    found = list(blocks(str(path), problems.append, size=1 << 20))
    assert b"".join(block.data for block in found) == b"first\nlast\n"
    assert [problem.line for problem in problems] == [2]
    assert found[-1].line == 3
    assert found[-1].offset == path.stat().st_size - 5


def test_a_sample_is_the_beginning_and_no_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several files a part each; whole lines; the rest of a large file stays unread."""
    line = b'{"name":"%06d","pad":"' + b"x" * 100 + b'"}\n'
    files = [tmp_path / "a.log", tmp_path / "b.log"]
    for file in files:
        file.write_bytes(b"".join(line % number for number in range(40_000)))
    seen: list[int] = []

    def watched(file: str, report: inputs.Report) -> Iterator[Block]:
        for block in blocks(file, report):
            seen.append(len(block.data))
            yield block

    monkeypatch.setattr(parts, "blocks", watched)
    for size in (50_000, 1 << 20, 3_000_001):
        seen.clear()
        data = sample([str(file) for file in files], size)
        assert size - 2 * len(line) <= len(data) <= size
        half = data[: len(data) // 2]
        assert data == half * 2
        assert files[0].read_bytes().startswith(half)
        assert half.endswith(b"\n")
        assert sum(seen) <= size + 4 * inputs.BLOCK_BYTES


def test_folders_are_searched_for_logs_only(tmp_path: Path) -> None:
    """Rotated and compressed logs count, configuration and hidden files do not; no file twice."""
    firehose = "osquery-1-2026-11-23-10-22-00-0d2a6f6e-7a0b-4c1d-8e2f-000000000001"
    logs = ("a.results.log", "a.results.log.1", "b.log.2.zst", "c.ndjson", firehose)
    for name in (*logs, "osquery.conf", "notes-2026-11-23"):
        (tmp_path / name).write_text("")
    (tmp_path / ".hidden.log").write_text("")
    problems: list[Problem] = []
    found = expand([str(tmp_path), str(tmp_path / "c.ndjson")], problems.append)
    assert [Path(file).name for file in found] == [
        "a.results.log",
        "a.results.log.1",
        "b.log.2.zst",
        "c.ndjson",
        firehose,
    ]
    assert not problems
    expand([str(tmp_path / "none")], problems.append)
    assert len(problems) == 1


def test_status_logs_are_passed_over_with_a_word(tmp_path: Path) -> None:
    """glog text beside the results is no broken results log."""
    path = tmp_path / "osqueryd.INFO.log"
    path.write_text("Log file created at: 2026/11/23 10:21:57\nRunning on machine: lab\n")
    found, problems = collect(str(path))
    assert not found
    assert [str(problem.severity) for problem in problems] == ["warning"]


def test_gzip_is_told_by_content_not_name(tmp_path: Path) -> None:
    """A .log that is gzip inside is read."""
    path = tmp_path / "x.log"
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as stream:
        stream.write(b"hello\n")
    path.write_bytes(buffer.getvalue())
    assert collect(str(path))[0][0].data == b"hello\n"
