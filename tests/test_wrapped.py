"""Logs as other programs store them: the same rows and findings as from the plain log."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import kit
import pytest
import wrapped

from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.matching.plan import Plan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import blocks
from molehunt.detectors.records import Row
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

RECORDINGS = Path(__file__).with_name("recordings")
STATE = str(RECORDINGS / "linux-lab-state/osquery.conf")
AUDIT = str(RECORDINGS / "linux-lab-audit/osquery-audit.conf")
LOGS = [
    "kvm-windows/windows.results.log",
    "linux-lab-batch/linux-state-batch-numerics-toplevel.results.log.gz",
    "linux-lab-batch/linux-state-batch-numerics-toplevel.snapshots.log",
    "linux-lab-audit/linux-audit-events.results.log",
]
BIG = "linux-lab-state/linux-state-event.results.log.gz"

Finding = tuple[str, str, int, float | None, float | None, tuple[Any, ...]]


def documents(log: str) -> list[dict[str, Any]]:
    """The lines of a recording."""
    data = (RECORDINGS / log).read_bytes()
    data = gzip.decompress(data) if log.endswith(".gz") else data
    return [json.loads(line) for line in data.decode().splitlines()]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    """Every engine with the shipped rules."""
    rules, binder = kit.shipped().rules, kit.binder(STATE, AUDIT)
    judged = compile_plan(rules, taxonomy(), binder, judges=True)
    assert judged.judge is not None
    judged.judge.fit(b"".join(wrapped.lines(documents(log)) for log in LOGS), {})
    return {
        "judged": judged,
        "fast": compile_plan(rules, taxonomy(), binder, scan="hyperscan"),
        "plain": compile_plan(rules, taxonomy(), binder, scan=""),
        "reference": reference_plan(rules, taxonomy(), binder),
    }


def findings(plan: Plan, path: Path, problems: list[Problem]) -> list[Finding]:
    """What the findings of a file say, apart from where the records stand."""
    folder = Folder(None)
    for match in plan.matches(blocks(str(path), problems.append), problems.append):
        folder.add(match)
    return sorted(
        (
            f.id,
            f.level.name,
            f.count,
            f.first_seen,
            f.last_seen,
            tuple(e.values for e in f.evidence),
        )
        for f in (*folder.findings(), *folder.context())
    )


def rows(path: Path, problems: list[Problem]) -> list[Row]:
    """Every row of a file."""
    plan = compile_plan((), taxonomy(), kit.binder(), scan="")
    return list(plan.rows(blocks(str(path), problems.append), problems.append))


def told(row: Row) -> tuple[Any, ...]:
    """What a row says, apart from where it stands."""
    return (
        row.source,
        row.query,
        row.host,
        row.action,
        row.observed_at,
        tuple(row.values.items()),
        dict(row.decorations),
        row.counter,
    )


@pytest.mark.parametrize("name", wrapped.LOSSLESS)
@pytest.mark.parametrize("log", LOGS)
def test_rows_are_those_of_the_plain_log(tmp_path: Path, name: str, log: str) -> None:
    """Nothing is lost, added or changed, nothing is complained about, and places are true."""
    plain = documents(log)
    problems: list[Problem] = []
    path = tmp_path / "export"
    path.write_bytes(wrapped.lines(plain))
    wanted = [told(row) for row in rows(path, problems)]
    data = wrapped.LOSSLESS[name](plain)
    path.write_bytes(data)
    found = rows(path, problems)
    assert [told(row) for row in found] == wanted
    assert not problems
    places = [row.locator for row in found]
    assert len({(place.line, place.row) for place in places}) == len(places)
    assert places == sorted(places, key=lambda place: (place.line, place.row))
    for place in places:
        assert data[: place.offset].count(b"\n") + 1 == place.line


@pytest.mark.parametrize("name", wrapped.LOSSLESS)
def test_the_size_of_blocks_does_not_matter(tmp_path: Path, name: str) -> None:
    """A file larger than a block is read like a small one."""
    path = tmp_path / "export"
    path.write_bytes(wrapped.LOSSLESS[name](documents(LOGS[0])))
    plan = compile_plan((), taxonomy(), kit.binder(), scan="")
    problems: list[Problem] = []
    small = list(plan.rows(blocks(str(path), problems.append, size=4096), problems.append))
    assert not problems
    assert [(told(row), row.locator.line, row.locator.row) for row in small] == [
        (told(row), row.locator.line, row.locator.row) for row in rows(path, problems)
    ]


OKTA: dict[str, wrapped.Build] = {
    "glued": wrapped.glued,
    "array": wrapped.pretty,
    "message": lambda d: wrapped.lines({"message": wrapped.dump(event)} for event in d),
    "raw": lambda d: wrapped.lines({"result": {"_raw": wrapped.dump(event)}} for event in d),
    "original": lambda d: wrapped.lines(
        wrapped.hit({"event": {"original": wrapped.dump(event), "module": "okta"}}) for event in d
    ),
}


@pytest.mark.parametrize("name", OKTA)
def test_okta_events_inside(tmp_path: Path, plans: dict[str, Plan], name: str) -> None:
    """A wrapper may hold any log that is read."""
    events = documents("okta-sign-in/system.ndjson")
    path = tmp_path / "export"
    path.write_bytes(wrapped.lines(events))
    wanted = findings(plans["plain"], path, [])
    path.write_bytes(OKTA[name](events))
    assert wanted
    for engine in ("fast", "judged", "plain", "reference"):
        assert findings(plans[engine], path, []) == wanted


@pytest.mark.parametrize("name", wrapped.LOSSLESS)
def test_findings_are_those_of_the_plain_log(
    tmp_path: Path, plans: dict[str, Plan], name: str
) -> None:
    """In every engine: the raw scan misses nothing, however quotes and backslashes are spelled."""
    path = tmp_path / "export"
    total = 0
    for log in LOGS:
        plain = documents(log)
        path.write_bytes(wrapped.lines(plain))
        wanted = findings(plans["plain"], path, [])
        total += len(wanted)
        path.write_bytes(wrapped.LOSSLESS[name](plain))
        for engine in ("fast", "judged", "plain"):
            problems: list[Problem] = []
            assert findings(plans[engine], path, problems) == wanted, engine
            assert not problems
    assert total > 10


@pytest.mark.parametrize("name", ["splunk-web", "filebeat-response-pretty", "glued", "tls-text"])
def test_findings_of_the_slow_evaluator_too(
    tmp_path: Path, plans: dict[str, Plan], name: str
) -> None:
    """The definition agrees on Windows paths behind two layers of escapes."""
    plain = documents(LOGS[0])
    path = tmp_path / "export"
    path.write_bytes(wrapped.LOSSLESS[name](plain))
    wanted = findings(plans["fast"], path, [])
    assert wanted
    assert findings(plans["reference"], path, []) == wanted
