"""The report formats through the command line: a log in, a report out."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import html5lib
import kit
import pytest

from molehunt.arguments.common import FORMATS
from molehunt.cli import main
from molehunt.commands.output import TERMINAL, file_format

ROOT = Path(__file__).resolve().parents[1]
ROW = {"pid": "7", "name": "x11vnc", "path": "/usr/bin/x11vnc"}
TITLE = "Remote Access Tool - X11vnc Execution"
READERS = {
    "csv": lambda text: [row["title"] for row in csv.DictReader(StringIO(text, newline=""))],
    "html": lambda text: [
        "".join(title.itertext())
        for title in html5lib.parse(text, namespaceHTMLElements=False).iter("h3")
    ],
    "json": lambda text: [one["title"] for one in json.loads(text)["findings"]],
    "ndjson": lambda text: [json.loads(line)["title"] for line in text.splitlines()],
    "ocsf": lambda text: [json.loads(line)["finding_info"]["title"] for line in text.splitlines()],
    "ecs": lambda text: [json.loads(line)["rule"]["name"] for line in text.splitlines()],
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with one finding, on a host whose name would be a formula and a tag."""
    path = tmp_path / "osqueryd.results.log"
    host = {"hostname": "=1+1<script>"}
    path.write_bytes(kit.line(ROW, decorations=host) + b"\n")
    return path


def _run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "molehunt", "hunt", *map(str, arguments)],
        capture_output=True,
        check=False,
        env=environment or None,
    )


@pytest.mark.parametrize("kind", READERS)
def test_each_format_goes_to_stdout_or_to_a_file(kind: str, log: Path, tmp_path: Path) -> None:
    """The same bytes in both places, every time; nothing on stdout if there is a file."""
    shown = _run(log, "--format", kind)
    assert shown.returncode == 0, shown.stderr
    assert READERS[kind](shown.stdout.decode()) == [TITLE]
    out = tmp_path / "out"
    written = _run(log, "--format", kind, "--output", out)
    assert (written.returncode, written.stdout) == (0, b"")
    assert out.read_bytes() == shown.stdout
    assert str(out).encode() in written.stderr


def test_every_format_is_tried_here_and_listed_in_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever adds one adds it to both."""
    assert {*READERS, "table"} == set(FORMATS)
    with pytest.raises(SystemExit):
        main(["hunt", "--help"])
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in FORMATS)


@pytest.mark.parametrize("kind", ["csv", "html"])
def test_reports_are_utf_8_in_any_locale(kind: str, tmp_path: Path) -> None:
    """A name that the locale's encoding lacks is written as it is."""
    path = tmp_path / "osqueryd.results.log"
    path.write_bytes(kit.line(ROW, decorations={"hostname": "한글-01"}) + b"\n")
    environment = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = _run(path, "--format", kind, **environment)
    assert done.returncode == 0, done.stderr
    assert "한글-01" in done.stdout.decode("utf-8")


def test_a_host_name_of_the_log_is_neither_formula_nor_tag(log: Path) -> None:
    """The two attacks end as text."""
    (row,) = csv.DictReader(StringIO(_run(log, "--format", "csv").stdout.decode(), newline=""))
    assert row["host_name"] == "'=1+1<script>"
    page = html5lib.parse(_run(log, "--format", "html").stdout, namespaceHTMLElements=False)
    assert not list(page.iter("script"))
    assert "=1+1<script>" in "".join(page.itertext())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hunt.html", "html"),
        ("hunt.HTM", "html"),
        ("hunt.csv", "csv"),
        ("hunt.ndjson", "ndjson"),
        ("hunt.jsonl", "ndjson"),
        ("hunt.json", "json"),
        ("hunt.txt", "json"),
        ("hunt", "json"),
    ],
)
def test_beside_a_table_the_file_is_what_its_name_says(name: str, kind: str) -> None:
    """A format that was asked for is never overruled by a name."""
    assert file_format("table", name) == kind
    assert all(file_format(asked, name) == asked for asked in READERS)


def test_a_report_can_be_written_beside_the_table(log: Path, tmp_path: Path) -> None:
    """The table is on stdout as ever."""
    out = tmp_path / "hunt.html"
    done = _run(log, "--output", out)
    assert b"X11vnc" in done.stdout
    assert READERS["html"](out.read_text("utf-8")) == [TITLE]


def test_a_file_that_cannot_be_written_is_wrong_usage(log: Path, tmp_path: Path) -> None:
    """Exit code 3 and the path, no trace."""
    done = _run(log, "--format", "csv", "--output", tmp_path / "missing" / "out.csv")
    assert done.returncode == 3
    assert b"out.csv" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("kind", "field"), [("ocsf", "time"), ("ecs", "@timestamp")])
def test_a_finding_without_a_time_is_written_and_told_of(
    kind: str, field: str, tmp_path: Path
) -> None:
    """No time is invented; stderr says what is lacking."""
    path = tmp_path / "osqueryd.results.log"
    path.write_bytes(kit.line(ROW, unixTime=None, calendarTime="") + b"\n")
    done = _run(path, "--format", kind)
    (line,) = done.stdout.splitlines()
    assert field not in json.loads(line)
    assert f"no record of 1 finding has a time, so `{field}` is missing".encode() in done.stderr
    assert b"note" not in _run(path, "--format", kind, "--quiet").stderr


def test_problems_of_the_run_stand_in_the_page(log: Path) -> None:
    """A broken line is named with its file and line."""
    with log.open("ab") as stream:
        stream.write(kit.line(ROW)[:-30] + b"\n")
    done = _run(log, "--format", "html")
    assert done.returncode == 2
    page = html5lib.parse(done.stdout, namespaceHTMLElements=False)
    assert f"{log}:2" in "".join(page.itertext())


def test_the_shipped_recordings_give_a_whole_report() -> None:
    """Every host has its section and every finding its card, in every format alike."""
    recordings = ROOT / "tests" / "recordings" / "linux-lab-state"
    options = [recordings, "--config", recordings / "osquery.conf", "--quiet"]
    titles = {
        kind: READERS[kind](_run(*options, "--format", kind).stdout.decode()) for kind in READERS
    }
    assert len(titles["json"]) > 20
    assert all(found == titles["json"] for found in titles.values())


def test_top(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table shows so many and counts the others; a pipe gets all, a terminal the first ones;
    a file always holds all."""
    path = tmp_path / "osqueryd.results.log"
    hosts = [f"lab-{number:03}" for number in range(TERMINAL + 1)]
    lines = [kit.line(ROW, hostIdentifier=host, decorations={}) for host in hosts]
    path.write_bytes(b"\n".join(lines) + b"\n")

    def shown(*arguments: str) -> tuple[int, str]:
        assert main(["hunt", str(path), "--quiet", *arguments]) == 0
        out = capsys.readouterr().out
        return sum(host in out for host in hosts), out

    full = tmp_path / "all.csv"
    number, out = shown("--top", "3", "--output", str(full))
    assert number == 3 and f"… and {len(hosts) - 3} more (--top 0" in out
    assert len(READERS["csv"](full.read_text(encoding="utf-8"))) == len(hosts)
    assert shown()[0] == shown("--top", "0")[0] == shown("--top", "999")[0] == len(hosts)
    assert " more (" not in shown()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        assert shown()[0] == TERMINAL
        assert shown("--top", "0")[0] == len(hosts)
