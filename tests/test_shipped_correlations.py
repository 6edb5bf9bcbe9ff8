"""Shipped correlations as users meet them: lists of members, approvals of correlations, sites."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kit
import pytest

from molehunt.cli import main
from molehunt.members import check_members, listings
from molehunt.rulefiles import builtin_rules_path

RECORDINGS = Path(__file__).parent / "recordings"
DAYS = RECORDINGS / "first-days"
TWO_TOOLS = "8d5fdf33-f710-4605-899c-f1812f104c48"
ONE_PLACE = "9758b417-c1b7-4897-9643-7f0f8f7e2cc9"


@pytest.fixture
def hunt(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[[Path, str], list[dict[str, Any]]]:
    """Hunt with the text of an organisation's file and give the findings."""

    def run(logs: Path, organisation: str) -> list[dict[str, Any]]:
        file = tmp_path / "organisation.yml"
        file.write_text(organisation, encoding="utf-8")
        options = ("--organisation", str(file), "--format", "ndjson", "--quiet")
        assert main(["hunt", str(logs), *options]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_the_lists_of_members_are_current(tmp_path: Path) -> None:
    """Each list is what its members say; a list that is not is told, and `--update` mends it."""
    rules = builtin_rules_path()
    assert [str(p) for p in check_members(listings([rules]), kit.shipped().rules)] == []
    copy = tmp_path / "rules"
    shutil.copytree(rules, copy)
    file = copy / "correlations" / "two_remote_tools.yml"
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    gone = next(n for n, line in enumerate(lines) if line.startswith("        - "))
    file.write_text("".join(lines[:gone] + lines[gone + 1 :]), encoding="utf-8")
    assert main(["members", "--rules", str(copy)]) == 2
    assert main(["members", "--rules", str(copy), "--update"]) == 0
    assert file.read_text(encoding="utf-8") == text


def _groups(findings: list[dict[str, Any]], rule: str) -> list[str]:
    return sorted(one["host"]["id"] for one in findings if one["rule"]["id"] == rule)


def test_a_correlation_can_be_approved_without_its_rules(
    hunt: Callable[[Path, str], list[dict[str, Any]]],
) -> None:
    """An approval of the correlation's subject or id takes its hits on those hosts; the rules below
    it, and other hosts, stay."""
    before = hunt(DAYS, "groups: {}\n")
    assert _groups(before, TWO_TOOLS) == ["win-help-14", "win-new-01", "win-two-11"]
    for what in ("two-remote-tools", TWO_TOOLS):
        after = hunt(
            DAYS,
            "groups: {desk: {hosts: [win-help-14]}}\n"
            f"approved: [{{what: {what}, for: desk, owner: it, reason: r, until: 2126-01-01}}]\n",
        )
        assert _groups(after, TWO_TOOLS) == ["win-new-01", "win-two-11"]
        assert len(before) == len(after) + 1


@pytest.mark.parametrize("spelling", ["00:00:5e:00:53:f1", "00-00-5E-00-53-F1", "0:0:5e:0:53:f1"])
def test_a_site_is_no_place_of_a_farm(
    hunt: Callable[[Path, str], list[dict[str, Any]]], spelling: str
) -> None:
    """A router under sites, in any spelling, ends the finding about hosts behind it."""
    logs = RECORDINGS / "places" / "places.results.log"
    office = "sites: {office: {owner: it, routers: ['00:00:5e:00:53:01'%s]}}\n"
    assert _groups(hunt(logs, office % ""), ONE_PLACE) == ["lin-far-03"]
    assert _groups(hunt(logs, office % f", '{spelling}'"), ONE_PLACE) == []


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("{owner: it}", "has no mark"),
        ("{routers: '00:00:5e:00:53:01'}", "without owner"),
        ("{owner: it, routers: router-1}", "is no hardware address"),
        ("{owner: it, addresses: 192.0.2.1/24}", "no address or network"),
        ("{owner: it, router: x}", "unknown key"),
    ],
)
def test_a_wrong_site_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], site: str, said: str
) -> None:
    """What is wrong with a site is named with its line, and it approves nothing."""
    file = tmp_path / "organisation.yml"
    file.write_text(f"sites:\n    office: {site}\n", encoding="utf-8")
    assert main(["hunt", str(DAYS), "--organisation", str(file), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "organisation.yml:2" in told
