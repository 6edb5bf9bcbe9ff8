"""`molehunt live` over a real Thrift socket, and `molehunt sweep` with its answers."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import kit
import pytest

from molehunt.backends.osquery.emulator import Emulator
from molehunt.backends.osquery.live import Socket
from molehunt.backends.osquery.sweep import QUESTIONS, questions, read_answers
from molehunt.backends.subjects import subjects
from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.problems import Problem, UsageError
from molehunt.taxonomy import taxonomy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")

if sys.platform != "win32":
    from thrift_server import Handler, serving

RULES = kit.shipped()
SUBJECTS = subjects(RULES, load_yaml("pack.yml"), taxonomy())


@pytest.fixture
def host() -> Any:
    """An invented Linux host with an AnyDesk service."""
    handler = Handler("linux")
    handler.database.executescript(
        """
        INSERT INTO system_info (hostname, uuid) VALUES ('lin-01', 'U-1');
        INSERT INTO os_version (name, platform) VALUES ('Debian', 'debian');
        INSERT INTO users (uid, username) VALUES (1000, 'dana');
        INSERT INTO processes (pid, name, path, cmdline, parent, uid)
            VALUES (7, 'bash', '/usr/bin/bash', 'bash', 1, 1000);
        INSERT INTO systemd_units (id, load_state, active_state, fragment_path)
            VALUES ('anydesk.service', 'loaded', 'active', '/etc/systemd/system/anydesk.service');
        """
    )
    return handler


def test_live(host: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What osqueryd answers is hunted through; a query that fails spoils no other."""
    host.database.execute("DROP TABLE sudoers")
    log = tmp_path / "answers.log"
    with serving(host) as path:
        code = main(["live", "--socket", path, "--format", "json", "--log", str(log)])
    told = capsys.readouterr()
    assert "AnyDesk" in told.out and "lin-01" in told.out
    assert "no such table: sudoers" in told.err
    assert code == 2
    assert len(host.asked) > 20 and all("windows" not in sql.lower() for sql in host.asked[:1])
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert {"pack_molehunt_processes_linux", "pack_molehunt_systemd_units"} <= {
        line["name"] for line in lines
    }
    assert main(["hunt", str(log), "--quiet"]) == 0


def test_fail_on(host: Any) -> None:
    """The exit code says what was found."""
    with serving(host) as path:
        assert main(["live", "--socket", path, "--fail-on", "informational"]) in (1, 2)


@pytest.mark.parametrize("path", ["/tmp/no-such-socket.em", "/tmp/" + "x" * 120])
def test_no_osqueryd(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody there is wrong usage, with what to do."""
    assert main(["live", "--socket", path]) == 3
    assert "--socket" in capsys.readouterr().err


def test_odd_bytes(host: Any) -> None:
    """A value that is not UTF-8 costs its query and not the next one."""
    with serving(host) as path:
        one = Socket(path)
        with pytest.raises(LookupError, match="UTF-8"):
            one.ask("SELECT x'ff41' AS path")
        assert one.ask("SELECT 1 AS a") == [{"a": "1"}]
        with pytest.raises(LookupError, match="nope"):
            one.ask("SELECT nope FROM processes")
        assert one.ask("SELECT NULL AS a") == [{"a": ""}]
        one.close()


def test_slow_query(host: Any) -> None:
    """A query that takes too long is given up."""
    host.database.create_function("nap", 0, lambda: __import__("time").sleep(3))
    with serving(host) as path:
        one = Socket(path, seconds=0.5)
        with pytest.raises(LookupError):
            one.ask("SELECT nap()")


def test_unreachable() -> None:
    """The error is for the person at the command line."""
    with pytest.raises(UsageError, match="osqueryd"):
        Socket("/tmp/none.em").ask("SELECT 1")


@pytest.mark.parametrize("system", ["linux", "darwin", "windows"])
def test_questions(system: str) -> None:
    """At most ten, each one read-only statement that runs, and most have something to look for."""
    asked = dict(questions(system, SUBJECTS))
    assert 6 <= len(asked) <= 10 and len(QUESTIONS[system]) == 10
    for name, sql in asked.items():
        assert sql.startswith(f"SELECT '{name}' AS molehunt_query, ") and sql.endswith(";")
        assert not Emulator().finds(sql, {})


def test_question_keeps_what_rules_want(host: Any) -> None:
    """The honest shell is not in the answers, the remote access tool is."""
    asked = dict(questions("linux", SUBJECTS))
    assert not host.database.execute(asked["processes_linux"]).fetchall()
    host.database.execute(
        "INSERT INTO processes (pid, name, path, cmdline, parent, uid)"
        " VALUES (8, 'x11vnc', '/usr/bin/x11vnc', 'x11vnc -forever', 7, 1000)"
    )
    found = host.database.execute(asked["processes_linux"]).fetchall()
    assert len(found) == 1 and "x11vnc" in str(found)


ROW = {"molehunt_query": "systemd_units", "id": "anydesk.service", "load_state": "loaded",
       "active_state": "active", "fragment_path": "/etc/anydesk.service"}  # fmt: skip
ANSWERS = {
    "osqueryi.json": json.dumps([ROW]),
    "fleetctl.ndjson": json.dumps({"host": "lin-02", "rows": [ROW]}) + "\n",
    "fleet.csv": "host_hostname," + ",".join(ROW) + "\nlin-02," + ",".join(ROW.values()) + "\n",
    "kibana.ndjson": json.dumps(
        {"_source": {"agent.name": "lin-02", **{f"osquery.{k}": v for k, v in ROW.items()}}}
    ),
}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_answers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each product's way of telling answers is read, with the host where it says it."""
    file = tmp_path / name
    file.write_text(ANSWERS[name], encoding="utf-8")
    assert main(["sweep", "--read", str(file), "--format", "json"]) == 0
    told = capsys.readouterr().out
    assert "AnyDesk" in told
    assert ("lin-02" in told) is (name != "osqueryi.json")


def test_bad_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad answers are told and leave the good ones."""
    problems: list[Problem] = []
    text = f'{{"broken\n{json.dumps(ROW)}\n{{"id": "x", "molehunt_query": "nope"}}\n'
    assert len(list(read_answers(text.encode(), "a", 1.0, problems))) == 1
    assert len(problems) == 2
    file = tmp_path / "a.ndjson"
    file.write_text(text, encoding="utf-8")
    assert main(["sweep", "--read", str(file)]) == 2
    assert main(["sweep", "--read", str(tmp_path / "none")]) == 3
    assert "none" in capsys.readouterr().err


def test_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The questions are printed as SQL, or as JSON by name."""
    assert main(["sweep", "--system", "windows", "--questions", "json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    assert "processes_windows" in asked
    assert main(["sweep", "--system", "windows"]) == 0
    assert "-- processes_windows\nSELECT " in capsys.readouterr().out
    assert sqlite3.complete_statement(asked["processes_windows"])
