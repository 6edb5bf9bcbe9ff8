"""docs/incidents.md says what the recordings of incidents and twins are; a hunt agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest
import yaml

from molehunt.cli import main
from molehunt.joins import load_joins
from molehunt.levels import Level
from molehunt.rulefiles import builtin_rules_path

RECORDINGS = Path(__file__).with_name("recordings")
PAGE = Path(__file__).parents[1] / "docs" / "incidents.md"


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the table below a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def manifest(name: str) -> dict[str, Any]:
    """The manifest of a recording."""
    text = (RECORDINGS / name / "manifest.yml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def folders(prefix: str) -> set[str]:
    """The recordings whose names begin so."""
    return {path.name for path in RECORDINGS.glob(f"{prefix}-*")}


INCIDENTS = {row[1]: row for row in table("Incidents") if row[1] != "–"}
TWINS = {row[1]: row for row in table("Benign twins")}


def test_each_incident_and_twin_is_on_the_page() -> None:
    """And nothing is there that is no recording; kinds, levels and approvals are those of it."""
    assert set(INCIDENTS) == folders("incident")
    assert set(TWINS) == folders("twin")
    for name, row in INCIDENTS.items():
        assert row[2] == manifest(name)["kind"], name
    for name, row in TWINS.items():
        data = manifest(name)
        assert row[2] == data["at_most"], name
        assert row[3] == ("yes" if "organisation" in data else "no"), name


def test_what_an_incident_is_said_to_tell_is_in_its_manifest() -> None:
    """Each title in the table is one of a rule, correlation or join that fires there."""
    rules = kit.shipped()
    joins, _ = load_joins([builtin_rules_path()], rules.rules)
    ids = {one.title: one.id for one in (*rules.both, *joins)}
    for name, row in INCIDENTS.items():
        fires = {entry["rule"] for entry in manifest(name)["fires"]}
        for title in row[4].split("; "):
            assert ids[title] in fires, (name, title)


@pytest.mark.parametrize("name", INCIDENTS)
def test_a_hunt_through_an_incident_finds_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The highest finding is the one that the table promises."""
    folder, data = RECORDINGS / name, manifest(name)
    options = [str(folder / log["file"]) for log in data["logs"]]
    for key in ("organisation", "entities"):
        options += [f"--{key}", str(folder / data[key])] if key in data else []
    for database in data.get("mmdb", ()):
        options += ["--mmdb", str(folder / database)]
    assert main(["hunt", *options, "--format", "ndjson", "--quiet"]) == 0
    levels = [json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()]
    assert max(Level[level.upper()] for level in levels) == Level[INCIDENTS[name][3].upper()]
