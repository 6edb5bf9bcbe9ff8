"""Following gives the findings of a plain hunt, whatever is done to the files and the process."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import kit
import pytest
from jsonschema import validate

from molehunt.cli import main
from molehunt.detectors import report

REPORT = Path(str(report.__file__)).parent
EVENT = json.loads((REPORT / "event.schema.json").read_text())
FINDING = json.loads((REPORT / "finding.schema.json").read_text())
RULES = """\
title: Tool
id: 00000000-0000-4000-8000-0000000000a1
name: tool
status: test
logsource: {product: osquery, service: processes}
detection:
    selection:
        path|endswith: /tool
    condition: selection
level: medium
molehunt: {identity: [path]}
---
title: Near
id: 00000000-0000-4000-8000-0000000000a2
name: near
status: test
logsource: {product: osquery, service: processes}
detection:
    selection:
        path: /near
    condition: selection
level: low
molehunt: {context_only: true}
---
title: Three On One Host
id: 00000000-0000-4000-8000-0000000000a3
status: test
correlation:
    type: value_count
    rules: [tool]
    group-by: [osquery.host]
    timespan: 1h
    condition: {field: path, gte: 3}
    generate: true
level: high
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A rule, one that only raises, and a correlation."""
    path = tmp_path / "rules"
    path.mkdir()
    for number, text in enumerate(RULES.split("---\n")):
        (path / f"{number}.yml").write_text(text)
    return str(path)


def lines(rng: Random, count: int) -> list[bytes]:
    """Lines of invented hosts, mostly in order of time, some of them not for any rule."""
    made = []
    for number in range(count):
        path = rng.choice(["/a/tool", "/b/tool", "/c/tool", "/d/tool", "/near", "/other"])
        host = f"lab-{rng.randrange(5)}"
        at = 1795429320 + number * rng.choice([1, 30, 200]) - rng.choice([0, 0, 0, 5000])
        row = {"pid": str(number), "name": "x", "path": path, "cmdline": ""}
        action = rng.choice(["added", "added", "removed"])
        made.append(
            kit.line(row, "processes", hostIdentifier=host, unixTime=at, action=action) + b"\n"
        )
    return made


def told(found: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What counts of findings, by id; of events the last."""
    last: dict[str, tuple[Any, ...]] = {}
    for one in found:
        if one.get("event") == "withdrawn":
            last.pop(one["id"])
            continue
        last[one["id"]] = (
            one["level"],
            one["count"],
            one["first_seen"],
            one["last_seen"],
            len(one["evidence"]),
            [item["values"] for item in one["evidence"]],
            [item["rule"] for item in one["raised_by"]],
        )
    return last


def hunted(path: Path, rules: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a plain hunt finds."""
    capsys.readouterr()
    assert main(["hunt", str(path), "--rules", rules, "--format", "ndjson", "--quiet"]) == 0
    found = told([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert found
    return found


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """A real process that follows."""
    command = [sys.executable, "-m", "molehunt.cli", "hunt", "--follow", "--quiet", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def events(path: Path) -> list[dict[str, Any]]:
    """The events in an output file."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def wait_for(done: Any, seconds: float = 40) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], code: int = 0) -> str:
    """Ask it to end; gives what it said on stderr."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said.decode()
    return said.decode()


def rotate(log: Path, how: str) -> None:
    """As logrotate does: older files move up, and are compressed."""
    place = log.name.count(".") + 1
    older = sorted(log.parent.glob(log.name + ".*"), key=lambda p: -int(p.name.split(".")[place]))
    for path in older:
        parts = path.name.split(".")
        parts[place] = str(int(parts[place]) + 1)
        moved = path.rename(path.with_name(".".join(parts)))
        if not moved.name.endswith(".gz"):
            with open(moved, "rb") as plain, gzip.open(str(moved) + ".gz", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            moved.unlink()
    first = log.with_name(log.name + ".1")
    if how == "copy":
        shutil.copyfile(log, first)
        os.truncate(log, 0)
    else:
        log.rename(first)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["file", "folder"])
def test_killed_at_any_moment(
    tmp_path: Path, rules: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines are appended, also in pieces, and files rotated, while the process is killed again and
    again: each event is in the output once, and the last of each finding is what a hunt finds."""
    rng = Random(7)
    logs, whole = tmp_path / "logs", tmp_path / "whole.log"
    logs.mkdir()
    log, output = logs / "osqueryd.results.log", tmp_path / "out.ndjson"
    made = lines(rng, 300)
    whole.write_bytes(b"".join(made))
    follow = [str(log if target == "file" else logs), "--rules", rules]
    follow += ["--state", str(tmp_path / "state"), "--output", str(output)]
    log.write_bytes(b"".join(made[:30]))
    process = start(*follow)
    wait_for(lambda: events(output))
    kills = 0
    for number, line in enumerate(made[30:]):
        cut = rng.randrange(len(line))
        for piece in (line[:cut], line[cut:]):
            with open(log, "ab") as stream:
                stream.write(piece)
            time.sleep(rng.choice([0, 0, 0.02]))
        if number % 60 == 59:
            rotate(log, "rename")
        if rng.random() < 0.05:
            time.sleep(rng.choice([0, 0.3, 0.6, 1.0]))
            process.kill()
            process.communicate()
            kills += 1
            process = start(*follow)
    wanted = hunted(whole, rules, capsys)
    wait_for(lambda: told(events(output)) == wanted)
    end(process)
    assert kills > 8
    assert told(events(output)) == wanted
    assert [one["sequence"] for one in events(output)] == list(range(1, len(events(output)) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["rename", "copy"])
def test_rotation_while_following(
    tmp_path: Path, rules: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Renamed, or copied and truncated; what was written just before is not lost."""
    rng = Random(3)
    log, output, whole = tmp_path / "r.log", tmp_path / "out.ndjson", tmp_path / "whole"
    made = lines(rng, 120)
    whole.write_bytes(b"".join(made))
    process = start(
        str(log), "--rules", rules, "--from", "start", "--output", str(output), "--level", "low"
    )
    log.write_bytes(b"".join(made[:20]))
    wait_for(lambda: events(output))
    for number, line in enumerate(made[20:]):
        with open(log, "ab") as stream:
            stream.write(line)
        time.sleep(rng.choice([0, 0.01]))
        if number % 40 == 39:
            time.sleep(rng.choice([0, 0.4]) if how == "rename" else 0.6)
            rotate(log, how)
            time.sleep(1)
    wanted = hunted(whole, rules, capsys)
    wait_for(lambda: told(events(output)) == wanted)
    assert "lost" not in end(process)


def test_within_a_second(tmp_path: Path, rules: str) -> None:
    """From the line to the event in the file; the first lines wait for the process to start."""
    log, output = tmp_path / "r.log", tmp_path / "out.ndjson"
    made = [line for line in lines(Random(1), 60) if b"/tool" in line and b"added" in line]
    process = start(str(log), "--rules", rules, "--from", "start", "--output", str(output))
    log.write_bytes(made[0])
    wait_for(lambda: events(output))
    took = []
    for number in range(3):
        line = made[0].replace(b"lab-", b"new-%d-" % number)
        began = time.monotonic()
        with open(log, "ab") as stream:
            stream.write(line)
        hosts = f"new-{number}-"
        wait_for(lambda hosts=hosts: any(hosts in one["host"]["id"] for one in events(output)))
        took.append(time.monotonic() - began)
    end(process)
    assert min(took) < 1


def test_where_it_begins(tmp_path: Path, rules: str) -> None:
    """Without a state at the end, as tail does; what has no newline waits."""
    log, output = tmp_path / "r.log", tmp_path / "out.ndjson"
    one, two = (
        kit.line({"path": path, "pid": "1", "name": "", "cmdline": ""}, "processes") + b"\n"
        for path in ("/old/tool", "/new/tool")
    )
    log.write_bytes(one)
    process = start(str(log), "--rules", rules, "--output", str(output))
    wait_for(output.exists)
    time.sleep(1)
    with open(log, "ab") as stream:
        stream.write(two[:-1])
    time.sleep(0.7)
    assert not events(output)
    with open(log, "ab") as stream:
        stream.write(b"\n")
    wait_for(lambda: events(output))
    (event,) = events(output)
    assert event["event"] == "new"
    assert event["evidence"][0]["where"]["line"] == 2
    assert event["evidence"][0]["where"]["offset"] == len(one)
    end(process)


def test_standard_input_until_its_end(tmp_path: Path, rules: str) -> None:
    """A new event, then updates of the same id; the last line needs no newline."""
    made = [line for line in lines(Random(1), 200) if b'"lab-1"' in line]
    command = [sys.executable, "-m", "molehunt.cli", "hunt", "--follow", "-", "--rules", rules]
    process = subprocess.Popen(
        [*command, "--format", "ndjson"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    process.stdin.write(b"".join(made[:20]))
    process.stdin.flush()
    assert process.stdout is not None
    first = process.stdout.readline()  # unbuffered, so that the rest is left to communicate()
    time.sleep(1.5)
    process.stdin.write(b"".join(made[20:]).rstrip(b"\n"))
    out, _ = process.communicate(timeout=60)
    found = [json.loads(line) for line in [first, *out.splitlines()]]
    for one in found:
        validate(one, EVENT)
        if one["event"] != "withdrawn":
            validate({k: v for k, v in one.items() if k not in ("event", "sequence")}, FINDING)
    assert {"new", "update"} == {one["event"] for one in found}
    whole = tmp_path / "whole.log"
    whole.write_bytes(b"".join(made))
    plain = subprocess.run(
        [*command[:4], str(whole), "--rules", rules, "--format", "ndjson"],
        capture_output=True,
        check=True,
    )
    assert told(found) == told([json.loads(line) for line in plain.stdout.splitlines()])


def test_what_is_in_shadow_is_not_told(tmp_path: Path, rules: str) -> None:
    """The same findings as without, but for those of the rule in shadow."""
    made = b"".join(line for line in lines(Random(1), 200) if b'"lab-1"' in line)
    command = [sys.executable, "-m", "molehunt.cli", "hunt", "--follow", "-", "--rules", rules]
    command += ["--format", "ndjson"]
    before = subprocess.run(command, input=made, capture_output=True, check=True)
    found = [json.loads(line) for line in before.stdout.splitlines()]
    shadowed = found[0]["rule"]["id"]
    own = tmp_path / "own.yml"
    own.write_text(
        f"shadow:\n    - {{what: {shadowed}, owner: SOC, reason: noise, until: 2099-01-01}}\n"
    )
    after = subprocess.run(
        [*command, "--organisation", str(own)], input=made, capture_output=True, check=True
    )
    left = told([json.loads(line) for line in after.stdout.splitlines()])
    assert left == told([one for one in found if one["rule"]["id"] != shadowed])
    assert left


@pytest.mark.parametrize("damage", ["foreign", "cut", "other rules"])
def test_a_state_that_is_none_is_refused(
    tmp_path: Path, rules: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do, and left as it is."""
    log, state = tmp_path / "r.log", tmp_path / "state"
    log.write_bytes(b"".join(lines(Random(5), 50)))
    follow = [str(log), "--rules", rules, "--state", str(state)]
    process = start(*follow)
    wait_for(lambda: state.exists() and b"tool" in state.read_bytes() + _wal(state))
    end(process)
    assert state.stat().st_mode & 0o777 == 0o600
    if damage == "foreign":
        state.write_text("something else\n" * 100)
    elif damage == "cut":
        state.write_bytes(state.read_bytes()[:9000])
    else:
        Path(rules, "0.yml").write_text(RULES.split("---\n", maxsplit=1)[0].replace("/tool", "/t"))
    before = state.read_bytes()
    assert main(["hunt", "--follow", *follow]) == 3
    assert "--state" in capsys.readouterr().err
    assert state.read_bytes() == before


def _wal(state: Path) -> bytes:
    path = Path(str(state) + "-wal")
    return path.read_bytes() if path.exists() else b""


def test_usage(tmp_path: Path, rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot work is said at once."""
    for wrong in (["--format", "html", "--follow"], ["--state", "x"], ["--stats", "--follow"]):
        assert main(["hunt", str(tmp_path), "--rules", rules, *wrong]) == 3
    assert "--follow" in capsys.readouterr().err


def test_what_is_no_log_of_lines_is_named(tmp_path: Path, rules: str) -> None:
    """And never read, also when it grows; a file that is not there yet is waited for."""
    logs, output = tmp_path / "logs", tmp_path / "out.ndjson"
    logs.mkdir()
    (logs / "osqueryd.log").write_bytes(b"Log file created at: 2026/11/23\nRunning\n")
    line = kit.line({"path": "/a/tool", "pid": "1", "name": "", "cmdline": ""}, "processes")
    (logs / "spread.json").write_bytes(b"[\n" + line + b",\n" + line + b"\n]\n")
    later = tmp_path / "later.log"
    process = start(
        *(str(logs), str(later), "--rules", rules, "--from", "start", "--output", str(output))
    )
    wait_for(output.exists)
    time.sleep(1)
    with open(logs / "osqueryd.log", "ab") as stream:
        stream.write(line + b"\n")
    later.write_bytes(line.replace(b"lab-01", b"lab-02") + b"\n")
    wait_for(lambda: events(output))
    said = end(process)
    assert [one["host"]["id"] for one in events(output)] == ["lab-02"]
    assert "status log" in said
    assert "cannot be followed" in said
    assert "waiting for it" in said
