"""The command line as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import kit
import pytest

from molehunt.cli import build_parser

ROW = {"pid": "7", "name": "x11vnc", "path": "/usr/bin/x11vnc"}
X11VNC = "6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10"


def molehunt(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "molehunt", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env=os.environ | {"COLUMNS": "100"},
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with one finding, one other row and nothing wrong."""
    path = tmp_path / "osqueryd.results.log"
    path.write_bytes(kit.line(ROW) + b"\n" + kit.line(ROW | {"path": "/bin/ls"}) + b"\n")
    return path


def test_findings_go_to_stdout_and_everything_else_to_stderr(log: Path) -> None:
    """A table on stdout; the summary and notes on stderr; no escape sequences in a pipe."""
    done = molehunt("hunt", str(log))
    assert done.returncode == 0, done.stderr
    assert b"X11vnc" in done.stdout
    assert b"lab-01" in done.stdout
    assert b"\x1b" not in done.stdout
    assert b"2 lines" in done.stderr


def test_json_and_ndjson_follow_their_schemas(log: Path) -> None:
    """Machine formats are what the shipped schemas say, and name the place of each record."""
    from importlib.resources import files

    schemas = {
        name: json.loads(files("molehunt.detectors.report").joinpath(name).read_bytes())
        for name in ("finding.schema.json", "run.schema.json")
    }
    lines = molehunt("hunt", str(log), "--format", "ndjson").stdout.splitlines()
    assert len(lines) == 1
    finding = json.loads(lines[0])
    jsonschema.validate(finding, schemas["finding.schema.json"])
    run = json.loads(molehunt("hunt", str(log), "--format", "json").stdout)
    assert run["findings"] == [finding]
    assert finding["rule"]["id"] == X11VNC if isinstance(finding["rule"], dict) else True


def test_fail_on_turns_a_finding_into_exit_1(log: Path) -> None:
    """Off by default; at or above the level."""
    assert molehunt("hunt", str(log)).returncode == 0
    assert molehunt("hunt", str(log), "--fail-on", "medium").returncode == 1
    assert molehunt("hunt", str(log), "--fail-on", "critical").returncode == 0


def test_bad_input_beats_findings_and_loses_nothing(log: Path) -> None:
    """A broken line gives exit 2 with file and line; the finding beside it is still shown."""
    with log.open("ab") as stream:
        stream.write(kit.line(ROW)[:-30] + b"\n")
    done = molehunt("hunt", str(log), "--fail-on", "medium")
    assert done.returncode == 2
    assert b"X11vnc" in done.stdout
    assert f"{log}:3".encode() in done.stderr


def test_bad_rules_beside_good_ones(log: Path, tmp_path: Path) -> None:
    """One bad rule file is named; the good one still finds."""
    rules = tmp_path / "rules"
    rules.mkdir()
    good = kit.RULE.format(
        logsource="{product: osquery, service: processes}",
        detection="    selection:\n        path|endswith: /x11vnc\n    condition: selection",
        more="",
    )
    (rules / "good.yml").write_text(good, encoding="utf-8")
    (rules / "bad.yml").write_text(good.replace("endswith", "endswiht"), encoding="utf-8")
    done = molehunt("hunt", str(log), "--rules", str(rules))
    assert done.returncode == 2
    assert b"Test Rule" in done.stdout
    assert b"bad.yml:7" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["hunt"],
        ["hunt", "x", "--format", "xml"],
        ["hunt", "x", "--since", "yesterday"],
        ["hunt", "x", "--config", "no-such-file"],
        ["explain", "no-such-rule", "{}"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_exit_3(arguments: list[str]) -> None:
    """Whatever is wrong with the call itself."""
    done = molehunt(*arguments)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_a_missing_input_is_exit_2(log: Path) -> None:
    """The other input is still hunted."""
    done = molehunt("hunt", str(log), "no-such-file.log")
    assert done.returncode == 2
    assert b"X11vnc" in done.stdout
    assert b"no-such-file.log" in done.stderr


def test_standard_input_is_read(log: Path) -> None:
    """`-` stands for stdin, compressed or not."""
    import gzip

    for data in (log.read_bytes(), gzip.compress(log.read_bytes())):
        assert b"X11vnc" in molehunt("hunt", "-", stdin=data).stdout


def test_since_until_and_level(log: Path) -> None:
    """Times are UTC and half open; levels hide from the table."""
    assert b"X11vnc" in molehunt("hunt", str(log), "--since", "2026-11-23").stdout
    assert b"X11vnc" not in molehunt("hunt", str(log), "--until", "2026-11-23T10:22:00").stdout
    assert b"X11vnc" not in molehunt("hunt", str(log), "--level", "critical").stdout


def test_output_holds_the_full_result(log: Path, tmp_path: Path) -> None:
    """The table is for reading, the file for keeping, and stderr says where it lies."""
    out = tmp_path / "hunt.json"
    done = molehunt("hunt", str(log), "--output", str(out))
    assert b"X11vnc" in done.stdout
    assert len(json.loads(out.read_text())["findings"]) == 1
    assert str(out).encode() in done.stderr


def test_all_engines_say_the_same(log: Path) -> None:
    """fast, plain and reference give byte-identical results."""
    outputs = {
        molehunt("hunt", str(log), "--format", "json", "--engine", engine).stdout
        for engine in ("fast", "plain", "reference")
    }
    assert len(outputs) == 1


def test_log_fields_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences and direction changes in a log are shown, not obeyed."""
    path = tmp_path / "evil.log"
    row = ROW | {"path": "/tmp/\x1b]0;owned\x07\u202e/x11vnc", "name": "\x1b[31m"}
    path.write_bytes(kit.line(row, decorations={"hostname": "\x1b[2Jhost"}) + b"\n")
    for arguments in (["hunt", str(path)], ["explain", X11VNC, f"{path}:1"]):
        done = molehunt(*arguments)
        for stream in (done.stdout, done.stderr):
            assert b"\x1b" not in stream
            assert "\u202e".encode() not in stream


def test_stats_say_what_was_bound_and_what_cannot_fire(log: Path) -> None:
    """Bound by name here; most rules have no query in such a log."""
    with log.open("ab") as stream:
        stream.write(kit.line({"a": "1", "b": "2"}, "mystery") + b"\n")
    done = molehunt("hunt", str(log), "--stats").stderr.decode()
    assert "processes: 2 rows, by name to processes" in done
    assert "mystery: 1 rows, not bound" in done
    assert "not seen in this log" in done


def test_explain_shows_the_tree_with_values(log: Path) -> None:
    """What held, what did not, and where it stands."""
    done = molehunt("explain", X11VNC, f"{log}:1").stdout.decode()
    assert "matches" in done
    assert "Image ends with '/x11vnc'" in done
    assert "path = '/usr/bin/x11vnc'" in done
    missed = molehunt("explain", X11VNC, f"{log}:2").stdout.decode()
    assert "does not match" in missed
    assert "- Image" in missed


# What a shell runs in the background ignores Ctrl-C, and what that runs too.
HEARD = """
import signal
from molehunt.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)
raise SystemExit(main(["hunt", "-", "--format", "ndjson"]))
"""


def test_interrupt_shows_what_was_found_so_far(tmp_path: Path) -> None:
    """Ctrl-C ends the hunt cleanly: findings on stdout, a word on stderr, exit 2."""
    with subprocess.Popen(
        [sys.executable, "-c", HEARD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        filler = kit.line(ROW | {"path": "/bin/ls"}) + b"\n"
        process.stdin.write(kit.line(ROW) + b"\n" + filler * 40_000)
        process.stdin.flush()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.stdout.read(), process.stderr.read()
        process.stdin.close()
        code = process.wait(timeout=60)
    assert code == 2, stderr
    assert b"Traceback" not in stderr
    assert b"interrupted" in stderr
    assert json.loads(stdout.splitlines()[0])["count"] == 1


PEAK = """
import sys
from pathlib import Path
from molehunt.cli import main

main(["hunt", *sys.argv[1:], "--format", "ndjson"])
# The high-water mark of this program alone: ru_maxrss would count the parent's memory too.
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("small", "large", "options"), [(16_000, 32_000, ["--jobs", "1"]), (16_000, 32_000, [])]
)
def test_memory_does_not_grow_with_the_file(
    small: int, large: int, options: list[str], tmp_path: Path
) -> None:
    """Twice a log of 110 MB, matches included, in the same memory (peak in KiB), in one process and
    shared by several. What fits the data to the rules, and caches, are full by then."""
    peaks = []
    # What is searched for is chosen and kept in the first run over much; that takes memory once.
    body = kit.line(ROW) + b"\n" + (kit.line(ROW | {"path": "/bin/ls " + "x" * 500}) + b"\n") * 9
    for copies in (large, small, large):
        path = tmp_path / f"{copies}.log"
        with path.open("wb") as stream:
            for _ in range(copies):
                stream.write(body)
        command = [sys.executable, "-c", PEAK, str(path), *options]
        done = subprocess.run(command, capture_output=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[2] < peaks[1] + 8_000, peaks


def test_help_tells_the_exit_codes() -> None:
    """Of 1 only where a command ever ends with it."""
    actions = build_parser()._subparsers
    assert actions is not None
    commands = next(one for one in actions._group_actions if one.choices).choices
    assert commands is not None and len(commands) > 15
    told = {name for name, one in dict(commands).items() if "\n  1  " in one.format_help()}
    fails = {name for name, one in dict(commands).items() if "--fail-on" in one.format_usage()}
    assert told == fails | {"new", "tune"}


PEOPLE = "host,user,groups,start_date,end_date,ship_to\nlab-01,anna,,,,\n"


def test_warnings_that_say_the_same_are_counted(log: Path, tmp_path: Path) -> None:
    """The first three name their place; every error does."""
    for number in range(5):
        (tmp_path / f"people{number}.csv").write_text(PEOPLE, encoding="utf-8")
        (tmp_path / f"broken{number}.log").write_text('{"name": "processes"\n', encoding="utf-8")
    said = molehunt("hunt", str(tmp_path)).stderr.decode()
    assert said.count("a list of people, not a log; give it") == 3
    assert "\n… and 2 more: a list of people, not a log\n" in said
    assert sum(f"broken{number}.log:1" in said for number in range(5)) == 5
