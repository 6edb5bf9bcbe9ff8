"""The benign twins stay quiet, and recordings look as osqueryd writes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.schema import tables

RECORDINGS = Path(__file__).with_name("recordings")
PREFIX = "pack_molehunt_"
# Columns that no event of the kind fills, and those that are numbers where they are anything.
NUMBERS = {"INTEGER", "BIGINT", "UNSIGNED_BIGINT"}


def manifests() -> dict[str, dict[str, Any]]:
    """All manifests, by folder."""
    return {
        path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(RECORDINGS.glob("*/manifest.yml"))
    }


def test_every_twin_says_that_it_stays_quiet() -> None:
    """A recording that is called a twin allows nothing that anybody would have to look at."""
    twins = {name: one for name, one in manifests().items() if name.startswith("twin-")}
    assert len(twins) == 20
    assert {one.get("at_most") for one in twins.values()} == {"informational", "low"}
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
    """Two rules (a low one, a context rule that raises it) and a recording of both; the arguments."""
    rules, scenario = folder / "rules", folder / "recordings" / "twin"
    rules.mkdir()
    scenario.mkdir(parents=True)
    for number, name, level, context in ((1, "alpha", "low", "false"), (2, "beta", "low", "true")):
        text = RULE.format(title=f"Tool {name}", number=number, name=name, level=level, context=context)
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


def pack_columns() -> dict[str, tuple[str, ...]]:
    """The columns of each query of the pack, by the name under which osqueryd logs it."""
    found = {}
    for query in pack_schedule(load_yaml("pack.yml")).queries:
        found[query.name] = query.columns
    return found
