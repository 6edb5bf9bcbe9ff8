"""The benign twins stay quiet, and recordings look as osqueryd writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import kit
import pytest
import yaml

from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.detectors.records import Shape
from molehunt.detectors.schedule.sql import shape_of
from molehunt.schema import tables

RECORDINGS = Path(__file__).with_name("recordings")
PREFIX = "pack_molehunt_"
NUMBERS = {"INTEGER", "BIGINT", "UNSIGNED_BIGINT"}
NUMBER = re.compile(r"-?[0-9]+")


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """All manifests, by folder."""
    return {
        path.parent.name: kit.parsed(path.read_text(encoding="utf-8"))
        for path in sorted(RECORDINGS.glob("*/manifest.yml"))
    }


def test_every_twin_says_that_it_stays_quiet() -> None:
    """A recording that is called a twin allows nothing that anybody would have to look at."""
    twins = {name: one for name, one in manifests().items() if name.startswith("twin-")}
    assert len(twins) == 20
    assert {one.get("at_most") for one in twins.values()} == {"informational"}
    assert {one["kind"] for one in twins.values()} == {"invented"}


RULE = """\
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
status: experimental
logsource: {{product: osquery, service: processes}}
detection:
    selection: {{name: '{name}'}}
    condition: selection
level: {level}
molehunt:
    subject: tool-{number}
    platforms: [linux]
    context_only: {context}
"""


def made(folder: Path, at_most: str, approve: bool = False) -> list[str]:
    """A low rule, a context rule that raises it, a recording of both; the command's arguments."""
    rules, scenario = folder / "rules", folder / "recordings" / "twin"
    rules.mkdir()
    scenario.mkdir(parents=True)
    for number, name, level, context in ((1, "alpha", "low", "false"), (2, "beta", "low", "true")):
        text = RULE.format(
            title=f"Tool {name}", number=number, name=name, level=level, context=context
        )
        (rules / f"{name}.yml").write_text(text, encoding="utf-8")
    columns = dict.fromkeys(pack_columns()["pack_molehunt_processes_linux"], "1")
    lines = [
        {
            "name": "pack_molehunt_processes_linux",
            "hostIdentifier": "lab-01",
            "unixTime": 1795429320 + number,
            "counter": 1,
            "columns": columns | {"name": name},
            "action": "added",
        }
        for number, name in enumerate(("alpha", "beta", "gamma"))
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (scenario / "osqueryd.results.log").write_text(text, encoding="utf-8")
    spots = [[{"log": "osqueryd.results.log", "lines": [line]}] for line in (1, 2, 3)]
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2)]
    manifest = {
        "title": "A twin",
        "kind": "invented",
        "provenance": "made for this test",
        "at_most": at_most,
        "logs": [{"file": "osqueryd.results.log"}],
        "fires": [{"rule": one, "records": spots[n]} for n, one in enumerate(ids)],
        "near_misses": [{"rule": one, "records": spots[2], "why": "another"} for one in ids],
    }
    if approve:
        manifest["organisation"] = "organisation.yml"
        approval = {"what": "tool-1", "for": "*", "owner": "me", "reason": "test"}
        approval |= {"from": "2026-01-01", "until": "2099-01-01"}
        (scenario / "organisation.yml").write_text(
            yaml.safe_dump({"approved": [approval]}), encoding="utf-8"
        )
    (scenario / "manifest.yml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return ["test", "--rules", str(rules), "--recordings", str(folder / "recordings")]


@pytest.mark.parametrize(
    ("at_most", "approve", "said"),
    [
        ("medium", False, ""),
        ("low", False, "medium finding 'Tool alpha' where at most low is allowed"),
        ("informational", True, ""),
        ("quiet", False, "'at_most' is none of informational, low, medium, high, critical: quiet"),
    ],
)
def test_a_twin_that_is_not_quiet_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at_most: str, approve: bool, said: str
) -> None:
    """What counts is what people are told: raised by context, and after approvals."""
    code = main(made(tmp_path, at_most, approve))
    told = capsys.readouterr().err
    assert (code == 2) is bool(said), told
    assert said in told


def pack_columns() -> dict[str, dict[str, str]]:
    """For each name under which osqueryd logs a query of the pack: its columns and their types."""
    found = {}
    for name, entry in load_yaml("pack.yml")["queries"].items():
        shape = shape_of(entry["sql"], tables(), {})
        assert isinstance(shape, Shape)
        types = {}
        for column, origin in shape.columns.items():
            assert origin is not None
            types[column] = tables()[origin.table].columns[origin.column].type.upper()
        several = len(entry["systems"]) > 1
        for system in entry["systems"]:
            found[f"{PREFIX}{name}_{system}" if several else f"{PREFIX}{name}"] = types
    return found


def rows() -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """Every line of the pack in recordings that somebody wrote: where, query, line, its rows."""
    for name, manifest in manifests().items():
        for log in manifest["logs"]:
            if log.get("kind", manifest["kind"]) == "real" or not log["file"].endswith(".log"):
                continue
            data = (RECORDINGS / name / log["file"]).read_text(encoding="utf-8")
            for number, text in enumerate(data.splitlines(), 1):
                line = json.loads(text)
                batch = line.get("diffResults", {}).get("added")
                listed = line.get("snapshot") or batch or [line["columns"]]
                yield f"{name}/{log['file']}:{number}", line["name"], line, listed


def test_written_rows_look_as_osqueryd_logs_them() -> None:
    """The columns are those of the pack's query, sorted as osqueryd sorts them, all of them texts,
    and whole numbers where the schema says so; the envelope is complete and its times agree."""
    known, wrong, looked = pack_columns(), [], 0
    for where, name, line, listed in rows():
        moment = datetime.fromtimestamp(line["unixTime"], UTC)
        said = datetime.strptime(line["calendarTime"][:-3] + "+0000", "%a %b %d %H:%M:%S %Y %z")
        if said != moment or not line["calendarTime"].endswith(" UTC"):
            wrong.append(f"{where}: calendarTime")
        if missing := {"hostIdentifier", "epoch", "counter", "numerics", "decorations"} - set(line):
            wrong.append(f"{where}: {missing}")
        types = known.get(name)
        if types is None:  # a query of an organisation's own
            continue
        looked += 1
        for row in listed:
            if set(row) != set(types) or list(row) != sorted(row):
                wrong.append(f"{where}: {name} has {list(row)}")
            for column, value in row.items():
                kind = types.get(column, "TEXT")
                if not isinstance(value, str):
                    wrong.append(f"{where}: {column} is no text")
                elif kind in NUMBERS and value and not NUMBER.fullmatch(value):
                    wrong.append(f"{where}: {column} is no number: {value}")
    assert looked > 2000
    assert wrong == [], "\n".join(wrong[:40])
