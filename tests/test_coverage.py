"""Coverage: behaviours and systems from the rules, and its documents as they should be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from io import StringIO
from pathlib import Path

import html5lib
import kit
import pytest
from kit import ruleset

from molehunt.behaviours import SYSTEMS, behaviours, check_behaviours
from molehunt.cli import main
from molehunt.commands.coverage import render
from molehunt.data import load_yaml, techniques
from molehunt.detectors.proof.coverage import coverage
from molehunt.detectors.report.rulebook import write_rulebook
from molehunt.schema import tables

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = str(ROOT / "tests" / "recordings")
RULE = """\
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
status: experimental
logsource: {{product: osquery, service: usb_devices}}
detection: {{selection: {{vendor_id: '{number}'}}, condition: selection}}
level: {level}
molehunt: {{behaviours: [{behaviours}], platforms: [{platforms}]{more}}}
"""


def written(kind: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `molehunt coverage` prints for the shipped rules."""
    assert main(["coverage", "--recordings", RECORDINGS, "--format", kind]) == 0
    return capsys.readouterr().out


def made(
    number: int, level: str, names: str, platforms: str = "linux", more: str = "", title: str = "T"
) -> str:
    """The text of a rule."""
    return RULE.format(
        number=number, level=level, behaviours=names, platforms=platforms, more=more, title=title
    )


def test_the_catalogue_is_whole_and_names_what_exists() -> None:
    """Sixty-three behaviours; every table exists on its system, every blind system has its why."""
    assert list(check_behaviours(load_yaml("behaviours.yml"), tables())) == []
    assert [one.id for one in behaviours()] == [f"B{number:02}" for number in range(1, 64)]
    for one in behaviours():
        for system in SYSTEMS[:3]:
            assert system in one.sees or one.cannot.get(system), (one.id, system)


def test_a_broken_catalogue_is_told() -> None:
    """Each way in which an entry can be wrong."""
    data = {
        "phases": {"p": "P"},
        "behaviours": [
            {"id": "B01", "name": "x", "phase": "q", "sees": {"linux": ["wifi_status"]}},
            {"id": "B01", "name": "x", "phase": "p", "sees": {"amiga": []}, "cannot": {"all": "x"}},
            {"id": "B02", "name": "x", "phase": "p", "sees": {}, "oops": 1},
        ],
    }
    told = " ".join(problem.what for problem in check_behaviours(data, tables()))
    for what in (
        "unknown phase 'q'",
        "linux has no table wifi_status",
        "id twice",
        "unknown system 'amiga'",
        "unknown key 'oops'",
        "says nothing of windows",
    ):
        assert what in told


def test_shipped_rules_name_only_behaviours_that_exist() -> None:
    """And those that name none are listed as such, not lost."""
    found = coverage(kit.shipped(), behaviours(), [], [])
    assert found.unknown == ()
    for one in found.covering:
        placed = any(one in cell.rules for cell in found.cells.values())
        assert placed != (one in found.unplaced), one.rule.name


def test_cells_tell_alerts_observations_gaps_and_blindness() -> None:
    """By level, context and platform of the rules, and by the catalogue where there is none."""
    rules = ruleset(
        made(1, "high", "B14"),
        made(2, "low", "B15"),
        made(3, "high", "B17", more=", context_only: true"),
        made(4, "medium", "B53", "darwin, windows"),
    )
    found = coverage(rules, behaviours(), [], [])
    state = {key: cell.state for key, cell in found.cells.items()}
    assert state["B14", "linux"] == "covered"
    assert state["B14", "darwin"] == "gap"
    assert state["B15", "linux"] == "context"
    assert state["B17", "linux"] == "context"
    assert state["B53", "darwin"] == state["B53", "windows"] == "covered"
    assert state["B18", "linux"] == "blind"
    assert state["B14", "sign_in"] == "blind"


def test_proof_counts_only_on_the_system_where_it_was_recorded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The rule on sudoers is for Linux and macOS; its real rows are Linux ones."""
    found = json.loads(written("json", capsys))
    (sudoers,) = [one for one in found["rules"] if "sudoers" in one["file"]]
    assert sudoers["proof_on"] == {"linux": "real", "darwin": "invented"}


def test_an_unknown_behaviour_is_an_error_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and the rest is printed."""
    (tmp_path / "rule.yml").write_text(made(1, "high", "B99"), encoding="utf-8")
    assert main(["coverage", "--rules", str(tmp_path), "--recordings", RECORDINGS]) == 2
    said = capsys.readouterr()
    assert "rule.yml:7: error: names a behaviour that does not exist: B99" in said.err
    assert "B14 KVM-over-IP" in said.out


def test_the_page_in_the_docs_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/coverage.md is what `make coverage` writes."""
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert page == written("markdown", capsys), "run make coverage"


def test_the_layer_names_known_techniques(capsys: pytest.CaptureFixture[str]) -> None:
    """Every technique of the rules once, scored by the highest level."""
    layer = json.loads(written("navigator", capsys))
    ids = [one["techniqueID"] for one in layer["techniques"]]
    assert ids == sorted(set(ids))
    assert set(ids) <= set(techniques())
    scores = {one["techniqueID"]: one["score"] for one in layer["techniques"]}
    assert scores["T1219.003"] >= 4
    assert layer["domain"] == "enterprise-attack"
    assert set(layer["versions"]) == {"attack", "navigator", "layer"}


def test_every_rule_has_its_card_and_every_link_a_target(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Title, next steps and blind spots of each rule stand on the page once; nothing is loaded."""
    page = written("html", capsys)
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    text = " ".join("".join(tree.itertext()).split())
    rules = kit.shipped().both
    cards = [node for node in tree.iter("article") if "card" in node.get("class", "")]
    assert len(cards) == len(rules)
    for rule in rules:
        for said in (rule.title, *rule.meta.next_steps, *rule.meta.blind_spots):
            assert " ".join(said.split()) in text, (rule.name, said)
    targets = {node.get("id") for node in tree.iter() if node.get("id")}
    for node in tree.iter("a"):
        where = node.get("href", "")
        assert where[1:] in targets if where.startswith("#") else where.startswith("https://")
    assert not list(tree.iter("script")) + list(tree.iter("img")) + list(tree.iter("link"))
    style = next(tree.iter("style")).text or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [node.get("content", "") for node in tree.iter("meta") if node.get("http-equiv")]
    assert [f"style-src 'sha256-{digest}'" in policy for policy in policies] == [True]


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "</bdi></article><b>", "{{ 7 * 7 }}", "a\u202eb", "javascript:x"],
)
def test_no_rule_writes_markup(text: str) -> None:
    """A rule from elsewhere may hold anything."""
    source = made(
        1, "high", "B14", title=json.dumps(text), more=f", next_steps: [{json.dumps(text)}]"
    )
    source += f"falsepositives: [{json.dumps(text)}]\nreferences: [{json.dumps(text)}]\n"
    stream = StringIO()
    write_rulebook(coverage(ruleset(source), behaviours(), [], []), stream)
    page = stream.getvalue()
    assert "<script" not in page
    assert "<b>" not in re.sub(r"<b>\d+</b>|<b>(high|low|medium)</b>", "", page)
    assert 'href="javascript' not in page
    assert "\u202e" not in page
    assert "{{ 7 * 7 }}" in page or "7 * 7" not in text


def test_formats_are_the_same_bytes_each_time() -> None:
    """No time, no order of sets."""
    found = coverage(kit.shipped(), behaviours(), [], [])
    for kind in ("table", "markdown", "html", "json", "navigator"):
        assert render(kind, found) == render(kind, found)


def test_a_correlation_covers_what_it_names_where_its_rules_look() -> None:
    """Its systems are those of the rules that it refers to, unless it says otherwise."""
    correlation = """\
title: Two of them
id: 00000000-0000-4000-8000-000000000009
status: experimental
correlation:
    type: event_count
    rules: [00000000-0000-4000-8000-000000000001, 00000000-0000-4000-8000-000000000002]
    group-by: [osquery.host]
    timespan: 1h
    condition: {gte: 2}
level: high
molehunt: {behaviours: [B10]}
"""
    rules = ruleset(made(1, "low", "B21"), made(2, "low", "B21", "darwin"), correlation)
    assert rules.problems == ()
    found = coverage(rules, behaviours(), [], [])
    states = {system: found.cells["B10", system].state for system in SYSTEMS}
    assert states == {
        "linux": "covered",
        "darwin": "covered",
        "windows": "gap",
        "sign_in": "blind",
    }
    page = render("html", found)
    assert "Two of them" in page
    assert "event_count" in page
