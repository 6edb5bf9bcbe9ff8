"""Correlations on the command line: rules in a folder, recorded lines in, findings out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import kit
import pytest

from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.detectors.correlating.blind import blind_correlations
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.config import load_schedule
from molehunt.detectors.schedule.queries import Schedule, pack_schedule
from molehunt.ruleset import load_rules
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

# Invented people and devices.
RULES = """\
title: Failed Login
id: 10000000-0000-4000-8000-000000000001
name: failed_login
status: test
logsource: {product: osquery, service: process_events}
detection:
    selection:
        path|endswith: /su
        status: '1'
    condition: selection
level: low
molehunt: {subject: su}
---
title: Screen Shared
id: 10000000-0000-4000-8000-000000000002
name: screen_shared
status: test
logsource: {product: osquery, service: process_events}
detection:
    selection:
        path|endswith: /x11vnc
    condition: selection
level: low
---
title: Tunnel Opened
id: 10000000-0000-4000-8000-000000000003
name: tunnel_opened
status: test
logsource: {product: osquery, service: process_events}
detection:
    selection:
        path|endswith: /chisel
    condition: selection
level: low
---
title: Capture Device
id: 10000000-0000-4000-8000-000000000004
name: capture_device
status: test
logsource: {product: osquery, service: usb_devices}
detection:
    selection:
        vendor: Example KVM
    condition: selection
level: low
---
title: Many Failed Logins
id: 10000000-0000-4000-8000-0000000000c1
status: test
correlation:
    type: event_count
    rules: [failed_login]
    group-by: [osquery.host, decorations.owner]
    timespan: 5m
    condition: {gte: 5}
level: medium
---
title: Screen Shared Through a Tunnel
id: 10000000-0000-4000-8000-0000000000c2
status: test
correlation:
    type: temporal
    rules: [screen_shared, tunnel_opened]
    group-by: [osquery.host]
    timespan: 10m
level: high
---
title: One Device on Several Hosts
id: 10000000-0000-4000-8000-0000000000c3
status: test
correlation:
    type: value_count
    rules: [capture_device]
    group-by: [serial]
    timespan: 30d
    condition: {field: osquery.host, gte: 2}
level: critical
"""
JANUARY, JUNE = 1_767_225_600, 1_780_272_000
# An hour ends at 1:00 UTC.
HOUR = 1_780_275_600


def process(path: str, at: int, host: str = "lab-01", **more: Any) -> bytes:
    """A process event."""
    row = {"path": path, "time": str(at), "pid": "7", "status": "1", "cmdline": path}
    envelope = {"hostIdentifier": host, "unixTime": at + 30, "counter": 4}
    return kit.line(row, "process_events", **envelope, **more)


def device(host: str, at: int, serial: str = "EX-77", **more: Any) -> bytes:
    """A USB device that comes or goes."""
    row = {"vendor": "Example KVM", "model": "Example Capture", "serial": serial, "usb_port": "1"}
    envelope = {
        "hostIdentifier": host,
        "unixTime": at,
        "decorations": {"hostname": f"{host}.example"},
    }
    return kit.line(row, "usb_devices", **(envelope | more))


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """The folder of the rules above."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "all.yml").write_text(RULES, encoding="utf-8")
    return str(folder)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log in which each correlation has something to find, in no order."""
    owner = {"decorations": {"owner": "Erika Example"}}
    path = tmp_path / "osqueryd.results.log"
    lines = [
        device("lab-02", JUNE),
        process("/usr/bin/x11vnc", HOUR - 240),
        *(process("/bin/su", HOUR + 40 * number, **owner) for number in range(6)),
        process("/opt/chisel", HOUR + 300),
        process("/opt/chisel", HOUR, host="lab-03"),
        device("lab-01", JANUARY),
        device("lab-03", JUNE, serial="EX-78"),
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def hunt(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The findings by the end of their rule's id."""
    code = main(["hunt", *arguments, "--format", "ndjson"])
    written = capsys.readouterr()
    assert code == 0, written.err
    found = [json.loads(line) for line in written.out.splitlines()]
    assert len({one["rule"]["id"] for one in found}) == len(found)
    return {one["rule"]["id"][-2:]: one for one in found}


@pytest.mark.parametrize("engine", ["reference", "plain"])
def test_correlations_are_found_in_a_log(
    rules: str, log: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    """Brute force, a tunnel across the hour, and one serial on two hosts half a year apart."""
    from importlib.resources import files

    found = hunt(capsys, [str(log), "--rules", rules, "--engine", engine])
    assert set(found) == {"c1", "c2", "c3"}
    name = files("molehunt.detectors.report").joinpath("finding.schema.json")
    for one in found.values():
        jsonschema.validate(one, json.loads(name.read_bytes()))
    assert found["c1"]["count"] == 6
    assert found["c1"]["identity"]["decorations.owner"] == "Erika Example"
    assert found["c1"]["first_seen"] == "2026-06-01T01:00:00Z"
    assert [item["rule"][-1] for item in found["c2"]["evidence"]] == ["2", "3"]
    assert found["c3"]["identity"] == {"serial": "EX-77"}
    assert [host["name"] for host in found["c3"]["hosts"]] == ["lab-01.example", "lab-02.example"]
    assert found["c3"]["evidence"][0]["reasons"][0]["value"] == "Example KVM"


def test_the_table_counts_the_other_hosts(
    rules: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lab-01.example (+1)`."""
    assert main(["hunt", str(log), "--rules", rules]) == 0
    written = capsys.readouterr()
    assert "lab-01.example (+1)" in written.out
    assert "4 rules, 3 correlations" in written.err


def test_approved_and_excluded_matches_make_no_events(
    rules: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An approval and `--since` take matches away before they are counted."""
    approved = tmp_path / "organisation.yml"
    text = "approved: [{what: su, for: '*', owner: IT, reason: test, until: 2027-01-01}]\n"
    approved.write_text(text, encoding="utf-8")
    found = hunt(capsys, [str(log), "--rules", rules, "--organisation", str(approved)])
    assert set(found) == {"c2", "c3"}
    found = hunt(capsys, [str(log), "--rules", rules, "--since", "2026-06-01"])
    assert set(found) == {"c1", "c2"}
    found = hunt(capsys, [str(log), "--rules", rules, "--until", "2026-06-01T01:02:00"])
    assert set(found) == {"c3"}


def test_a_match_without_a_time_is_told(
    rules: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be in no window; the user hears of it and the rest is found."""
    document = json.loads(device("lab-01", JANUARY))
    del document["unixTime"], document["calendarTime"]
    log.write_bytes(log.read_bytes() + json.dumps(document).encode() + b"\n")
    assert main(["hunt", str(log), "--rules", rules]) == 0
    written = capsys.readouterr()
    assert "1 matches without a time took part in no correlation" in written.err
    assert "One Device" in written.out


def test_stats_say_which_correlations_cannot_fire(
    rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schedule without the USB devices' serial, and without process events."""
    config = tmp_path / "osquery.conf"
    query = {"query": "SELECT vendor, model FROM usb_devices;", "interval": 60}
    config.write_text(json.dumps({"schedule": {"usb": query}}), encoding="utf-8")
    log = tmp_path / "empty.log"
    log.write_bytes(kit.line({"vendor": "x", "model": "y"}, "usb") + b"\n")
    blind = _blind(rules, load_schedule([str(config)])[0])
    assert set(blind) == {"c1", "c2", "c3"}
    assert "no query on its system supplies process_events" in blind["c1"]
    assert blind["c3"].endswith("no query supplies serial")
    assert "c3" not in _blind(rules, pack_schedule(load_yaml("pack.yml")))
    assert main(["hunt", str(log), "--rules", rules, "--config", str(config), "--stats"]) == 0
    written = capsys.readouterr()
    assert "correlations: 3; 4 rules only serve them\n" in written.err
    assert "correlations cannot fire on this schedule: " in written.err


def _blind(rules: str, schedule: Schedule) -> dict[str, str]:
    """Why correlations cannot fire on a schedule, by the end of their id."""
    bindings = Binder([("config", schedule)], tables()).declared()
    found = blind_correlations(load_rules([rules]), bindings, taxonomy())
    return {one.id[-2:]: why for one, why in found}


def test_explain_names_the_rules_of_a_correlation(
    rules: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No single event matches a correlation."""
    wanted = "10000000-0000-4000-8000-0000000000c2"
    assert main(["explain", wanted, f"{log}:1", "--rules", rules]) == 3
    error = capsys.readouterr().err
    assert "is a correlation" in error
    assert "10000000-0000-4000-8000-000000000003" in error
