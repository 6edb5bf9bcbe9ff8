"""What `molehunt lint` writes: JSON, SARIF, GitHub's annotations, JUnit."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator
from lint_kit import FIXABLE, RULE, run, write

from molehunt.linting.catalogue import checks

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No recordings and nothing kept from other runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOLEHUNT_CACHE", str(tmp_path / "cache"))


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every finding with its place and its severity."""
    write("dns_query_windows_tool.yml", RULE)
    found = json.loads(run(capsys, "rules", "--format", "json")[1])
    (one,) = found["findings"]
    assert one["check"] == "MH104"
    assert one["severity"] == "warning"
    assert (one["line"], one["column"], one["end_column"]) == (20, 29, 42)
    assert found["files"] == 1


def test_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    """What the standard requires (SARIF 2.1.0, 3.13, 3.14, 3.19, 3.27 to 3.30) fits
    together: results point at their rule, addresses are relative, columns count code points."""
    write("dns_query windows 100%.yml", RULE)
    write("unreadable_file.yml", "title: [\n")
    log = json.loads(run(capsys, "rules", "--format", "sarif", "--level", "hint")[1])
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (done,) = log["runs"]
    assert done["columnKind"] == "unicodeCodePoints"
    rules = done["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert rule["shortDescription"]["text"]
    assert {result["ruleId"] for result in done["results"]} >= {"MH001", "MH104", "MH411"}
    for result in done["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert uri in ("rules/dns_query%20windows%20100%25.yml", "rules/unreadable_file.yml")
        region = place["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1
        if "endLine" in region:
            start = (region["startLine"], region["startColumn"])
            assert (region["endLine"], region["endColumn"]) >= start


SARIF_SCHEMA = Path(__file__).parent / "formats" / "sarif-schema-2.1.0.json"


def sarif_problems(text: str) -> list[str]:
    """What breaks the official schema (OASIS Standard, errata 01), addresses and formats too."""
    schema = json.loads(SARIF_SCHEMA.read_text(encoding="utf-8"))
    checker = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)
    return [f"{one.json_path}: {one.message}" for one in checker.iter_errors(json.loads(text))]


def test_sarif_keeps_its_official_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the failing example of every check, of odd names and of nothing found."""
    for name, check in checks().items():
        for file, text in check.failing.files.items():
            write(f"{name} é#%/{file}", text)
    everything = run(capsys, "rules", "--format", "sarif", "--level", "hint", "--validators")[1]
    assert sarif_problems(everything) == []
    found = {one["ruleId"] for one in json.loads(everything)["runs"][0]["results"]}
    assert len(found) > 60
    assert sarif_problems(run(capsys, "rules", "--format", "sarif", "--select", "MH903")[1]) == []


def test_sarif_of_the_shipped_rules_keeps_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Real output on real rules."""
    assert sarif_problems(run(capsys, "--format", "sarif", "--level", "hint")[1]) == []


def test_the_sarif_schema_is_one_that_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A check that cannot fail would prove nothing."""
    write("dns_query_windows_tool.yml", RULE)
    log = json.loads(run(capsys, "rules", "--format", "sarif")[1])
    del log["runs"][0]["tool"]
    assert sarif_problems(json.dumps(log)) == ["$.runs[0]: 'tool' is a required property"]


def test_github(capsys: pytest.CaptureFixture[str]) -> None:
    """Workflow commands: one line for each finding, with commas and line breaks escaped."""
    write("dns_query,windows.yml", RULE)
    out = run(capsys, "rules", "--format", "github")[1]
    assert out.startswith(
        "::warning file=rules/dns_query%2Cwindows.yml,line=20,col=29,endLine=20,endColumn=42,"
        "title=MH104 bare-domain::also matches"
    )
    assert len(out.splitlines()) == 1


def test_junit(capsys: pytest.CaptureFixture[str]) -> None:
    """One case for each file; only warnings and errors fail it."""
    write("dns_query_windows_tool.yml", RULE)
    write("proc_creation_windows_tool.yml", FIXABLE.replace("5f1c3f0e", "00000000"))
    root = ET.fromstring(run(capsys, "rules", "--format", "junit", "--level", "hint")[1])
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "rules/dns_query_windows_tool.yml"
    ]


def test_a_hostile_rule_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters of a rule come out as text."""
    text = RULE.replace("'example.com'", '"\\e]0;owned\\aexample.com"').replace("endswith", "all")
    write("dns_query_windows_tool.yml", text)
    for kind in ("text", "github", "junit"):
        assert "\x1b" not in run(capsys, "rules", "--format", kind, "--level", "hint")[1]
