"""The committed samples give the rows of the plain logs that they were made from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import wrapped
from test_wrapped import rows, told

from molehunt.cli import main
from molehunt.detectors.records import Row
from molehunt.problems import Problem, Severity

SAMPLES = Path(__file__).with_name("samples")
LOSSLESS = [
    "filebeat.ndjson",
    "filebeat-response.json",
    "filebeat-bulk.ndjson",
    "splunk-web.json",
    "splunk-results.json",
    "splunk-raw.csv",
    "fleet-webhook.json",
    "fleet-hec.ndjson",
    "tls.ndjson",
    "kinesis-s3.json",
    "syslog-journald.ndjson",
    "fluent-bit.ndjson",
]
FLEET = [
    "fleet-report.json",
    "fleetctl.ndjson",
    "molehunt_usb_devices (11-16-26 09-22-00).csv",
    "old/molehunt_usb_devices.csv",
]


def read(name: str) -> tuple[list[Row], list[Problem]]:
    """Rows and problems of a sample."""
    problems: list[Problem] = []
    return rows(SAMPLES / name, problems), problems


def core(row: Row) -> tuple[Any, ...]:
    """What no way of storing loses: empty and missing are one value."""
    values = {name: value for name, value in row.values.items() if value != ""}
    return row.query, row.host, row.action, row.observed_at, row.counter, values


@pytest.mark.parametrize("name", LOSSLESS)
def test_samples_that_lose_nothing(name: str) -> None:
    """Every part of every row, and no complaint."""
    found, problems = read(name)
    assert [told(row) for row in found] == [told(row) for row in read("plain.results.log")[0]]
    assert not problems


@pytest.mark.parametrize("name", ["integration.ndjson", "osquery_manager.json"])
def test_samples_that_lose_empty_columns_or_decorations(name: str) -> None:
    """All that a rule looks at is there."""
    found, problems = read(name)
    assert [core(row) for row in found] == [core(row) for row in read("plain.results.log")[0]]
    assert all(problem.severity is Severity.WARNING for problem in problems)


@pytest.mark.parametrize("name", FLEET)
def test_samples_of_fleet(name: str) -> None:
    """Hosts and values; the time and the name of the query only where the export has them."""
    found, problems = read(name)
    wanted = read("usb_devices.results.log")[0]
    assert [(r.host, r.action, dict(r.values)) for r in found] == [
        (r.host, r.action, dict(r.values)) for r in wanted
    ]
    if name.endswith(".csv"):
        assert {row.query for row in found} == {row.query for row in wanted}
    assert problems
    assert all(problem.severity is Severity.WARNING for problem in problems)


def test_the_recorded_wire() -> None:
    """Of eleven requests, four carry results, and what was not logged is said."""
    found, problems = read("tls-wire.jsonl")
    assert [(row.query, row.action, row.host) for row in found] == [
        ("time_snapshot", "snapshot", "itw-lab-01"),
        ("pack_itw_etc_hosts", "added", "itw-lab-01"),
        ("time_snapshot", "snapshot", "itw-lab-01"),
        ("time_snapshot", "snapshot", "itw-lab-01"),
    ]
    assert found[0].decorations["host_uuid"] == "94997216-0152-4f60-abec-6703de8e37e2"
    assert len(problems) == 1


def test_every_sample_is_described() -> None:
    """And every description has its sample."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for path in SAMPLES.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert f"`{path.relative_to(SAMPLES).as_posix()}`" in readme, path


@pytest.mark.parametrize("engine", ["fast", "plain", "reference"])
def test_hunting_the_samples(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As a user does: the same findings from every engine, each seen in every kind of file."""
    code = main(["hunt", str(SAMPLES), "--engine", engine, "--quiet", "--format", "json"])
    output = capsys.readouterr()
    assert code == 0, output.err
    findings = json.loads(output.out)["findings"]
    assert {(f["host"]["id"], f["rule"]["id"][:8], f["count"]) for f in findings} == {
        ("win-01", "2f3986bc", 15),
        ("win-01", "341b06ff", 15),
        ("lin-01", "006178c5", 35),
        ("lin-02", "006178c5", 5),
        ("lin-01", "08cc89e8", 15),
        ("lin-01", "c3f0e2af", 15),
        ("lin-01", "0f1d3f3a", 5),
        # The CSV exports of Okta and of Entra ID, which all hold the same sign-ins.
        ("a.lind@corp.example", "39189e54", 2),
        ("j.rowe@corp.example", "e0fdd552", 1),
        ("h.admin@corp.example", "d22985ff", 1),
        ("o.reyes@corp.example", "eef0fab5", 5),
        ("r.kent@corp.example", "eef0fab5", 5),
    }
    assert output.err.count("tls-wire.jsonl:7: warning") == 1


def test_a_finding_in_a_sample_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """FILE:LINE leads back into a document that goes over many lines."""
    path = SAMPLES / "filebeat-response.json"
    place = next(row.locator for row in rows(path, []) if row.host == "win-01")
    assert place.line > 100
    assert main(["explain", "2f3986bc", f"{path}:{place.line}"]) == 0
    assert "VID_1D6B&PID_0104" in capsys.readouterr().out


def test_a_pasted_document_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """As Kibana shows it, over many lines."""
    first = (SAMPLES / "filebeat.ndjson").read_text(encoding="utf-8").splitlines()[3]
    pasted = json.dumps(json.loads(first), indent=2)
    assert main(["explain", "2f3986bc", pasted]) == 0
    assert "VID_1D6B&PID_0104" in capsys.readouterr().out


def test_what_is_left_out_is_said_and_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A compressed, pretty-printed response: its good hits are found, its merged one is named."""
    sources = [
        json.loads(line)["_source"]
        for line in (SAMPLES / "filebeat.ndjson").read_text(encoding="utf-8").splitlines()
    ]
    response = wrapped.response(sources[:5])
    snapshot = next(s for s in sources if "snapshot" in s["osquery"]["result"])
    response["hits"]["hits"][2:2] = [wrapped.fields(snapshot)] * 2
    path = tmp_path / "hits.json.gz"
    path.write_bytes(gzip.compress(wrapped.pretty(response)))
    code = main(["hunt", str(tmp_path), "--quiet", "--format", "json"])
    output = capsys.readouterr()
    assert code == 2
    document = json.loads(output.out)
    assert len(document["findings"]) == 5
    (problem,) = document["run"]["problems"]
    assert problem["severity"] == "error"
    assert problem["what"].endswith("left out (2 times)")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert '"fields"' in "".join(lines[problem["line"] - 1 : problem["line"] + 4])
