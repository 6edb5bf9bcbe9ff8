"""Correlations are proven on recordings like rules: exactly what the manifest says, both ways."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from molehunt.cli import main

BASE = "10000000-0000-4000-8000-00000000b001"
OTHER = "10000000-0000-4000-8000-00000000b002"
TWO_HOSTS = "10000000-0000-4000-8000-00000000c001"
THEN = "10000000-0000-4000-8000-00000000c002"
START = 1795429320
PROCESS = {
    "pid": "7",
    "name": "",
    "path": "",
    "cmdline": "",
    "cwd": "",
    "parent": "1",
    "uid": "0",
    "username": "root",
    "parent_path": "",
    "parent_cmdline": "",
}


def rule(rule_id: str, name: str) -> str:
    """A rule on the name of a process."""
    return f"""\
title: Program {name}
id: {rule_id}
status: experimental
description: Detects a program.
logsource: {{product: osquery, service: processes}}
detection:
    selection: {{name: '{name}'}}
    condition: selection
level: low
molehunt: {{subject: program-{name}, identity: [name], platforms: [linux]}}
"""


CORRELATIONS = f"""\
title: A on Two Hosts
id: {TWO_HOSTS}
status: experimental
correlation:
    type: value_count
    rules: [{BASE}]
    group-by: [name]
    timespan: 1h
    condition: {{field: osquery.host, gte: 2}}
level: high
---
title: A Then B
id: {THEN}
status: experimental
correlation:
    type: temporal_ordered
    rules: [{BASE}, {OTHER}]
    group-by: [osquery.host]
    timespan: 1h
level: high
"""

# Host, program, seconds after the start, action.
ROWS = [
    ("first", "a", 0, "added"),
    ("first", "a", 10, "removed"),
    ("second", "a", 3600 + 10, "added"),
    ("second", "b", 3600 + 20, "added"),
    ("third", "A", 2 * 3600 + 11, "added"),
    ("third", "a", 2 * 3600 + 12, "removed"),
    ("fourth", "b", 20 * 3600, "added"),
    ("fourth", "a", 20 * 3600 + 1, "added"),
    ("fifth", "a", 40 * 3600, "added"),
    ("fifth", "b", 40 * 3600 + 1, "added"),
    ("second", "a", 3 * 3600, "removed"),
    ("third", "A", 3 * 3600, "removed"),
    ("fourth", "a", 21 * 3600, "removed"),
]
APPROVED = """\
groups: {lab: {hosts: [fifth]}}
approved:
    - {what: program-a, for: lab, owner: it, reason: test, until: 2126-01-01}
"""


def entry(rule_id: str, lines: list[int], **more: Any) -> dict[str, Any]:
    """One entry of a manifest."""
    return {"rule": rule_id, "records": [{"log": "a.results.log", "lines": lines}], **more}


MANIFEST: dict[str, Any] = {
    "title": "Programs",
    "kind": "invented",
    "provenance": "all made up",
    "organisation": "organisation.yml",
    "logs": [{"file": "a.results.log"}],
    "fires": [
        entry(BASE, [1, 3, 5, 8, 9]),
        entry(OTHER, [4, 7, 10]),
        entry(TWO_HOSTS, [1, 3, 5], group=["A"], hosts=["third", "second", "first"], count=3),
        entry(THEN, [3, 4], group=["second"], count=2),
    ],
    "near_misses": [
        entry(BASE, [4], why="another program"),
        entry(OTHER, [1], why="another program"),
        entry(TWO_HOSTS, [5, 8], why="too late after one another"),
        entry(THEN, [7, 8], why="the other way round"),
        entry(THEN, [9, 10], why="the first is approved"),
    ],
}


@pytest.fixture
def prove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Write rules and a recording whose manifest was changed, run the command, return its text."""
    rules, scenario = tmp_path / "rules", tmp_path / "recordings" / "programs"
    rules.mkdir()
    scenario.mkdir(parents=True)
    (rules / "base.yml").write_text(rule(BASE, "a"), encoding="utf-8")
    (rules / "other.yml").write_text(rule(OTHER, "b"), encoding="utf-8")
    (scenario / "organisation.yml").write_text(APPROVED, encoding="utf-8")
    lines = [
        json.dumps(
            {
                "name": "pack_molehunt_processes_linux",
                "hostIdentifier": host,
                "unixTime": START + at,
                "counter": 1,
                "columns": PROCESS | {"name": name},
                "action": action,
            }
        )
        for host, name, at, action in ROWS
    ]
    (scenario / "a.results.log").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(
        change: Callable[[dict[str, Any]], object] = lambda manifest: None,
        correlations: str = CORRELATIONS,
        *more: str,
    ) -> tuple[int, str]:
        manifest = copy.deepcopy(MANIFEST)
        change(manifest)
        (rules / "correlations.yml").write_text(correlations, encoding="utf-8")
        (scenario / "manifest.yml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
        folder = str(scenario.parent)
        code = main(["test", "--rules", str(rules), "--recordings", folder, *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_a_true_manifest_is_proven(prove: Callable[..., tuple[int, str]]) -> None:
    """States overlap or not, order counts, approved records take no part."""
    code, said = prove()
    assert code == 0, said
    assert "2 of 2 rules proven" in said
    assert "2 of 2 correlations proven" in said


def _entry(manifest: dict[str, Any], place: str, rule_id: str, number: int = 0) -> dict[str, Any]:
    return [one for one in manifest[place] if one["rule"] == rule_id][number]


def _lines(manifest: dict[str, Any], place: str, rule_id: str, lines: list[int]) -> None:
    _entry(manifest, place, rule_id)["records"][0]["lines"] = lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["fires"].remove(_entry(m, "fires", THEN)), "fires in group [second], which"),
        (lambda m: _entry(m, "fires", THEN).update(group=["no"]), "should fire in group [no]"),
        (lambda m: _entry(m, "fires", THEN).pop("group"), "names its group"),
        (lambda m: _lines(m, "fires", TWO_HOSTS, [1, 3]), "counts"),
        (lambda m: _lines(m, "fires", TWO_HOSTS, [1, 3, 5, 9]), "should count"),
        (lambda m: _entry(m, "fires", TWO_HOSTS).update(count=4), "the count is 3, not 4"),
        (lambda m: _entry(m, "fires", TWO_HOSTS).update(count="x"), "is no number"),
        (lambda m: _entry(m, "fires", TWO_HOSTS).update(hosts=["first"]), "the hosts are"),
        (lambda m: _lines(m, "near_misses", THEN, [3, 4]), "near miss fires"),
        (lambda m: _lines(m, "near_misses", TWO_HOSTS, [4]), "is no event of the correlation"),
        (lambda m: m.pop("organisation"), "fires in group [fifth]"),
        (lambda m: m.update(correlate=False), "should fire in group [second]"),
        (
            lambda m: m["near_misses"].remove(_entry(m, "near_misses", TWO_HOSTS)),
            "no recorded near miss",
        ),
    ],
)
def test_a_wrong_manifest_fails(
    prove: Callable[..., tuple[int, str]], change: Callable[[dict[str, Any]], object], said: str
) -> None:
    """Every way in which a manifest can be untrue about a correlation is seen."""
    code, told = prove(change)
    assert code == 2
    assert said in told


def test_a_changed_correlation_fails(prove: Callable[..., tuple[int, str]]) -> None:
    """The manifest holds for one meaning: one second less, and it is untrue."""
    code, said = prove(lambda m: None, CORRELATIONS.replace("timespan: 1h", "timespan: 3599s", 1))
    assert code == 2
    assert "should count" in said or "should fire" in said


def test_one_that_only_serves_others_is_proven_by_them(
    prove: Callable[..., tuple[int, str]],
) -> None:
    """The one above counts all records below; the one below has no finding and needs no entry."""
    above = f"""
---
title: Twice
id: 10000000-0000-4000-8000-00000000c003
status: experimental
correlation:
    type: event_count
    rules: [{TWO_HOSTS}]
    group-by: [name]
    timespan: 1h
    condition: {{gte: 1}}
level: high
"""

    def change(manifest: dict[str, Any]) -> None:
        for place in ("fires", "near_misses"):
            for one in manifest[place]:
                if one["rule"] == TWO_HOSTS:
                    one["rule"] = "10000000-0000-4000-8000-00000000c003"
                    one.pop("count", None)

    code, said = prove(change, CORRELATIONS + above)
    assert code == 0, said
    assert "A on Two Hosts" not in said


def test_show_prints_what_can_be_copied(prove: Callable[..., tuple[int, str]]) -> None:
    """What `--show` prints is the manifest's `fires`."""
    code, said = prove(lambda m: None, CORRELATIONS, "--show", "programs")
    assert code == 0
    shown = yaml.safe_load(said)["fires"]
    assert {"rule": THEN, "group": ["second"], "hosts": ["second"], "count": 2} in [
        {key: value for key, value in one.items() if key != "records"} for one in shown
    ]
    assert prove(lambda m: m.update(fires=shown))[0] == 0
