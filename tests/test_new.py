"""`molehunt new`: a rule and its recording that load, and whose proof fails for one reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.detectors.schedule.queries import pack_queries
from molehunt.linting.catalogue import checks
from molehunt.linting.run import analyse
from molehunt.scaffold import draft, sources
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

ID = "5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11"
SOURCES = sources(pack_queries(load_yaml("pack.yml")), tables())


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("query", sorted(one.query for one in SOURCES))
def test_every_query_has_a_draft(query: str) -> None:
    """The rule loads, a query feeds it, and lint says only what is still to be filled in."""
    source = next(one for one in SOURCES if one.query == query)
    made = draft(ID, "Potential Odd Tool: Seen", source, taxonomy(), tables(), "2026-11-26")
    found = analyse(made.rule.encode(), made.name, made.name).findings
    assert "MH105" in {one.check for one in found}
    worse = {one.check for one in found if checks()[one.check].severity in ("error", "warning")}
    assert worse == {"MH105"}, found
    rows = [json.loads(line) for line in made.log.splitlines()]
    assert [set(row["columns"]) for row in rows] == [set(source.columns)] * 2
    assert all(isinstance(value, str) for row in rows for value in row["columns"].values())


def test_from_a_failing_proof_to_a_holding_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The author fills in values and the condition; then the same command proves the rule."""
    assert main(["new", "Potential Odd Tool", "--query", "process_events"]) == 0
    said = capsys.readouterr()
    rule, manifest, log = map(Path, said.out.split())
    assert rule == Path("rules/proc_creation_linux_potential_odd_tool.yml")
    assert "should fire on" in said.err
    prove = ["test", "--rules", str(rule), "--recordings", str(manifest.parent)]
    assert main(prove) == 2
    rule.write_text(rule.read_text(encoding="utf-8").replace("CHANGE_ME", "odd"), encoding="utf-8")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows[0]["columns"]["path"] = "/opt/odd"
    rows[1]["columns"]["path"] = "/opt/oddly"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capsys.readouterr()
    assert main(prove) == 0
    assert "1 of 1 rules proven" in capsys.readouterr().out


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """The same title again is wrong usage, and the files stay."""
    main(["new", "Potential Odd Tool", "--query", "usb_devices_linux"])
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(["new", "Potential Odd Tool", "--query", "usb_devices_linux"]) == 3
    assert "is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_query_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A table with queries for several systems is met with their names."""
    assert main(["new", "Potential Odd Tool", "--query", "usb_devices"]) == 3
    assert "did you mean usb_devices_darwin, usb_devices_linux?" in capsys.readouterr().err
