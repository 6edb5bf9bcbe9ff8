"""Baseline and shadow: rates over an organisation's own logs, and rules that are only counted."""

from __future__ import annotations

import json
from datetime import date
from math import exp
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import line

from molehunt.cli import main
from molehunt.detectors.baseline.rates import bounds
from molehunt.detectors.findings.organisation_file import load_organisation

RULE = """\
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
status: experimental
logsource: {{product: osquery, service: processes}}
detection: {{selection: {{name: {name}}}, condition: selection}}
level: {level}
molehunt: {{subject: {name}, identity: [path]}}
"""
DAY = 86400
BEGIN = 1795392000  # 2026-11-23T00:00:00Z


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Two hundred hosts for two weeks; `noisy` on every second one, `rare` on one, both medium."""
    rules = tmp_path / "rules"
    rules.mkdir()
    for number, (name, level) in enumerate(
        {"noisy": "medium", "rare": "high", "never": "high", "seen": "low"}.items(), 1
    ):
        text = RULE.format(title=name.title(), number=number, name=name, level=level)
        (rules / f"{name}.yml").write_text(text, encoding="utf-8")
    lines = []
    for host in range(200):
        for day in range(14):
            names = ["calm"]
            if day == 3 and host % 2 == 0:
                names.append("noisy")
            if (day, host) == (5, 7):
                names += ["rare", "seen"]
            for name in names:
                columns = {"pid": "1", "name": name, "path": f"/opt/{name}", "cmdline": name}
                stamp = {"unixTime": BEGIN + day * DAY, "hostIdentifier": f"host-{host:03}"}
                lines.append(line(columns, **stamp) + b"\n")
    (tmp_path / "logs.results.log").write_bytes(b"".join(lines))
    return [str(tmp_path / "logs.results.log"), "--rules", str(rules), "--quiet"]


def measured(options: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The baseline as JSON."""
    assert main(["baseline", *options, "--format", "json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_rates_are_per_thousand_hosts_and_week(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """100 findings in 400 device-weeks are 250; silent hosts count as well as noisy ones."""
    found = measured(options, capsys)
    assert (found["hosts"], found["host_days"], found["device_weeks"]) == (200, 2800, 400)
    rules = {one["title"]: one for one in found["rules"]}
    assert rules["Noisy"]["rate"] == pytest.approx(250)
    assert rules["Noisy"]["verdict"] == "over"
    assert rules["Noisy"]["top"] == [{"value": "path: /opt/noisy", "findings": 100}]
    assert len(rules["Noisy"]["hosts"]) == 100
    assert rules["Rare"]["findings"] == 1
    assert rules["Never"]["findings"] == 0
    assert rules["Seen"]["budget"] is None
    assert rules["Seen"]["verdict"] == "no budget"


def test_little_data_is_no_verdict(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """None in 400 device-weeks does not show that a rule keeps to 0.5 in 1,000."""
    rules = {one["title"]: one for one in measured(options, capsys)["rules"]}
    assert rules["Never"]["verdict"] == "unsure"
    assert rules["Rare"]["verdict"] == "unsure" or rules["Rare"]["low"] <= 0.5


def test_what_is_approved_is_no_noise(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The organisation's approvals count."""
    file = tmp_path / "organisation.yml"
    file.write_text(
        "approved: [{what: noisy, for: '*', owner: IT, reason: r, until: 2099-01-01}]\n"
    )
    rules = measured([*options, "--organisation", str(file)], capsys)["rules"]
    assert {one["title"]: one["findings"] for one in rules}["Noisy"] == 0


def test_the_draft_approves_nothing_before_somebody_signs(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As written, each entry is refused; with owner and reason it covers just those hosts, and ends
    on a day that stands there."""
    draft = tmp_path / "draft.yml"
    assert main(["baseline", *options, "--draft", str(draft)]) == 0
    loaded, problems = load_organisation(draft)
    assert (loaded.approvals, loaded.shadows) == ((), ())
    assert problems
    text = draft.read_text(encoding="utf-8")
    signed = tmp_path / "signed.yml"
    signed.write_text(
        text.replace("owner:\n", "owner: IT\n").replace("reason:\n", "reason: known\n")
    )
    loaded, problems = load_organisation(signed)
    assert problems == []
    (noisy,) = [one for one in loaded.approvals if "noisy" in one.what]
    assert noisy.hosts == tuple(f"host-{host:03}" for host in range(0, 200, 2))
    assert noisy.end > date.today()  # noqa: DTZ011 - any day of this year will do
    assert "# " in text
    assert {name for one in loaded.shadows for name in one.what} == {
        "00000000-0000-4000-8000-000000000001"
    }
    capsys.readouterr()
    assert main(["baseline", *options, "--draft", str(draft)]) == 3
    assert "is there already" in capsys.readouterr().err
    assert draft.read_text(encoding="utf-8") == text


def test_a_hostile_host_name_stays_text_in_the_draft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line, no pattern and no key comes out of a log."""
    name = 'evil*"]\napproved: [{what: noisy}]\n#'
    (tmp_path / "rule.yml").write_text(
        RULE.format(title="Noisy", number=1, name="noisy", level="medium")
    )
    columns = {"pid": "1", "name": "noisy", "path": "/opt/x\n    - what: y", "cmdline": "x"}
    (tmp_path / "a.results.log").write_bytes(line(columns, hostIdentifier=name) + b"\n")
    draft = tmp_path / "draft.yml"
    rules = ["--rules", str(tmp_path / "rule.yml"), "--quiet"]
    main(["baseline", str(tmp_path / "a.results.log"), *rules, "--draft", str(draft)])
    data = yaml.safe_load(draft.read_text(encoding="utf-8"))
    assert list(data) == ["groups", "approved", "shadow"]
    assert data["groups"] == {
        "has noisy": {"hosts": [name.replace("*", "[*]").replace("[{", "[[]{")]}
    }
    assert [one["owner"] for one in data["approved"]] == [None]


def test_rules_in_shadow_are_counted_and_not_shown(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the day on which it ends; by subject or id; what is not in shadow is shown."""
    file = tmp_path / "organisation.yml"

    def hunted(until: str) -> tuple[set[str], list[object], str]:
        file.write_text(f"shadow: [{{what: noisy, owner: SOC, reason: noise, until: {until}}}]\n")
        arguments = [options[0], *options[1:3], "--organisation", str(file)]
        main(["hunt", *arguments, "--format", "json", "--level", "medium"])
        said = capsys.readouterr()
        found = json.loads(said.out)
        return {one["title"] for one in found["findings"]}, found["run"]["shadow"], said.err

    titles, shadow, err = hunted("2027-01-01")
    assert titles == {"Rare"}
    assert shadow == [{"subject": "noisy", "owner": "SOC", "findings": 100}]
    assert "100 findings in shadow" in err
    titles, shadow, _ = hunted("2026-11-20")
    assert titles == {"Rare", "Noisy"}
    assert shadow == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("what: noisy, owner: a, reason: b", "shadow without until"),
        ("what: noisy, owner: a, reason: b, until: soon", "must be a day"),
        ("what: noisy, for: x, owner: a, reason: b, until: 2027-01-01", "unknown key 'for'"),
        ("what: noisy, owner: '', reason: b, until: 2027-01-01", "owner must be a text"),
    ],
)
def test_a_faulty_shadow_hides_nothing(tmp_path: Path, entry: str, said: str) -> None:
    """It is left out and told with its line."""
    file = tmp_path / "organisation.yml"
    file.write_text(f"shadow:\n    - {{{entry}}}\n", encoding="utf-8")
    loaded, problems = load_organisation(file)
    assert loaded.shadows == ()
    assert said in problems[0].what
    assert problems[0].line == 2


@given(st.integers(0, 60))
def test_bounds_are_the_exact_ones(count: int) -> None:
    """At the lower bound so many or more have a chance of 5 %, at the upper one so few or fewer."""

    def chance(mean: float, most: int) -> float:
        term, total = exp(-mean), 0.0
        for k in range(most + 1):
            total += term
            term *= mean / (k + 1)
        return total

    low, high = bounds(count)
    assert chance(high, count) == pytest.approx(0.05, abs=1e-6)
    if count:
        assert 1 - chance(low, count - 1) == pytest.approx(0.05, abs=1e-6)
    else:
        assert low == 0


def test_no_time_is_no_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so instead of dividing by nothing."""
    document = {"name": "x", "hostIdentifier": "h", "columns": {"a": "1"}, "action": "added"}
    (tmp_path / "a.log").write_text(json.dumps(document) + "\n", encoding="utf-8")
    assert main(["baseline", str(tmp_path / "a.log"), "--quiet"]) == 2
    assert "no row has a time" in capsys.readouterr().err
