"""Mutation: what no recording needs is shown, with its line; reasons are never stale."""

from __future__ import annotations

import json
from pathlib import Path

import kit
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import line, rule

from molehunt.cli import main
from molehunt.detectors.proof.loose import loosened
from molehunt.detectors.proof.mutants import conditions_of, mutants
from molehunt.detectors.proof.phrase import Join, Name, Negation, Phrase, Several, parse, written
from molehunt.levels import Level

ID = "00000000-0000-4000-8000-000000000001"
RULE = """\
title: Odd Shell
id: {id}
status: experimental
logsource: {{product: linux, category: process_creation}}
detection:
    selection:
        Image|endswith:
            - /oddsh
            - /evensh
        CommandLine|contains: '--serve'
    filter_main_local:
        CommandLine|contains: '--local'
    condition: selection and not 1 of filter_main_*
level: {level}
"""
MANIFEST = """\
title: Odd shells
kind: invented
provenance: invented
logs: [{{file: log.results.log}}]
fires:
    - rule: {id}
      records: [{{log: log.results.log, lines: {fires}}}]
near_misses:
    - rule: {id}
      records: [{{log: log.results.log, lines: {near}}}]
      why: not quite
"""
ROWS = {
    "odd": ("/usr/bin/oddsh", "oddsh --serve"),
    "even": ("/usr/bin/evensh", "evensh --serve"),
    "longer": ("/usr/bin/oddsh-doc", "oddsh-doc --serve"),
    "idle": ("/usr/bin/oddsh", "oddsh"),
    "other": ("/usr/bin/cat", "cat --serve"),
    "local": ("/usr/bin/oddsh", "oddsh --serve --local"),
    "far": ("/usr/bin/true", "true"),
}


def repository(folder: Path, fires: list[str], near: list[str], level: str = "high") -> list[str]:
    """A rule repository of one rule and one recording; returns the options that name them."""
    (folder / "rules").mkdir(exist_ok=True)
    rule_file = folder / "rules" / "odd.yml"
    rule_file.write_text(RULE.format(id=ID, level=level), encoding="utf-8")
    place = folder / "recordings" / "odd"
    place.mkdir(parents=True, exist_ok=True)
    rows = [ROWS[name] for name in (*fires, *near)]
    lines = [
        line({"pid": "7", "path": path, "cmdline": text}, "pack_molehunt_processes_linux")
        for path, text in rows
    ]
    (place / "log.results.log").write_bytes(b"".join(item + b"\n" for item in lines))
    text = MANIFEST.format(
        id=ID,
        fires=list(range(1, len(fires) + 1)),
        near=list(range(len(fires) + 1, len(rows) + 1)),
    )
    (place / "manifest.yml").write_text(text, encoding="utf-8")
    return ["--rules", str(rule_file.parent), "--recordings", str(place.parent)]


def survivors(options: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, set[str]]:
    """The exit code, and the names of the mutants that survive."""
    code = main(["test", "--mutate", *options, "--format", "json"])
    (found,) = json.loads(capsys.readouterr().out)["rules"]
    return code, {one["name"] for one in found["mutants"] if one["killed_by"] is None}


def test_each_row_kills_what_only_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all near misses nothing survives; without one, just what it would have killed."""
    # "other" stands in for "longer", which without it kills a second one.
    every = ["longer", "idle", "other", "local"]
    needed = {
        "longer": {"selection.Image|endswith: endswith -> contains"},
        "idle": {"selection.CommandLine|contains removed"},
        "local": {"condition: 'not 1 of filter_main_*' removed"},
    }
    assert survivors(repository(tmp_path, ["odd", "even"], every), capsys) == (0, set())
    for name, alive in needed.items():
        near = [one for one in every if one != name]
        assert survivors(repository(tmp_path, ["odd", "even"], near), capsys) == (2, alive), name
    code, alive = survivors(repository(tmp_path, ["odd"], every), capsys)
    assert (code, alive) == (2, {"selection.Image|endswith: '/evensh' removed"})


def test_survivors_of_medium_rules_are_shown_and_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has the survivor with file and line, and the score by level."""
    options = repository(tmp_path, ["odd"], ["longer", "idle", "other", "local"], "medium")
    assert main(["test", "--mutate", *options]) == 0
    out = capsys.readouterr().out
    assert "odd.yml:9: selection.Image|endswith: '/evensh' removed" in out
    assert "medium" in out
    assert "all" in out


def test_a_row_that_is_merely_elsewhere_is_no_near_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, with its manifest."""
    options = repository(tmp_path, ["odd", "even"], ["longer", "idle", "other", "local"])
    manifest = tmp_path / "recordings" / "odd" / "manifest.yml"
    text = manifest.read_text(encoding="utf-8")
    log = manifest.parent / "log.results.log"
    path, command = ROWS["far"]
    row = line({"pid": "7", "path": path, "cmdline": command}, "pack_molehunt_processes_linux")
    log.write_bytes(log.read_bytes() + row + b"\n")
    text += f"    - rule: {ID}\n      records: [{{log: log.results.log, lines: [7]}}]\n"
    manifest.write_text(text + "      why: another program\n", encoding="utf-8")
    main(["test", "--mutate", *options])
    said = capsys.readouterr().err
    assert "near miss log.results.log:7 kills nothing" in said
    assert "log.results.log:3" not in said


def test_a_reason_is_for_a_survivor_and_only_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason excuses; one for a killed or unknown mutant, or an empty one, is an error."""
    options = repository(tmp_path, ["odd"], ["longer", "idle", "other", "local"])
    path = tmp_path / "recordings" / "survivors.yml"
    name = "selection.Image|endswith: '/evensh' removed"

    def said(rule_id: str, why: str, *names: str) -> tuple[int, str]:
        listed = json.dumps(list(names))
        path.write_text(f'- rule: {rule_id}\n  why: "{why}"\n  mutants: {listed}\n')
        code = main(["test", "--mutate", *options])
        return code, capsys.readouterr().err

    assert said(ID, "no such shell could be had", name) == (0, "")
    killed = "selection.Image|endswith removed"
    assert "kills: selection.Image|endswith removed" in said(ID, "why not", name, killed)[1]
    assert "does not have: no such" in said(ID, "why not", name, "no such")[1]
    assert "rule that does not exist" in said("other", "why not", name)[1]
    assert "says why" in said(ID, "", name)[1]
    assert all(said(*one)[0] == 2 for one in ((ID, "x", name, killed), ("other", "x", name)))


def test_a_rule_that_is_not_proven_is_not_mutated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its score would mean nothing."""
    options = repository(tmp_path, ["odd", "idle"], ["longer"])
    assert main(["test", "--mutate", *options]) == 2
    assert "was not mutated" in capsys.readouterr().err


def names(detection: str) -> set[str]:
    """The names of the mutants of a detection."""
    return {mutant.name for mutant in mutants(rule(detection))}


def test_every_kind_of_change_has_a_readable_name() -> None:
    """Values, fields, modifiers, entries, keywords, detections, and the words of the condition."""
    found = names("""
        selection_a:
            path|startswith|cased: /opt
            cmdline|contains|all: [a, b]
        selection_b:
            - pid|gte: 5
            - name: x
        selection_c: [red, green]
        condition: 1 of selection_* and not selection_c
        """)
    assert {
        "selection_a.path|startswith|cased removed",
        "selection_a.path|startswith|cased: startswith -> contains",
        "selection_a.path|startswith|cased: cased removed",
        "selection_a.cmdline|contains|all: all removed",
        "selection_a.cmdline|contains|all: 'a' removed",
        "selection_b[1] removed",
        "selection_b[1].pid|gte: gte -> gt",
        "selection_c: 'red' removed",
        "selection_a removed",
        "condition: 1 -> all of selection_*",
        "condition: and -> or in '1 of selection_* and not selection_c'",
        "condition: 'not selection_c' removed",
        "condition: not removed before 'selection_c'",
    } <= found


def test_a_mutant_differs_from_its_rule() -> None:
    """Each has other conditions than the rule, and the line of what was changed."""
    one = rule("""
        selection:
            path|endswith: [/a, /b]
            name: x
        condition: selection
        """)
    made = list(mutants(one))
    assert len({repr(mutant.rule.conditions) for mutant in made}) == len(made)
    assert all(mutant.rule.conditions != one.conditions for mutant in made)
    assert all(mutant.line for mutant in made)
    assert conditions_of(one.raw["detection"]) == one.conditions


def test_looser_readings_let_in_what_is_near_only() -> None:
    """The bare word anywhere, or the field ignored."""
    one = rule("selection: {path|endswith: /x11vnc, uid: 0}\ncondition: selection")
    told = [name for name, _ in loosened(one.conditions)]
    assert "path: bare words, in any field" in told
    assert "uid: ignored" in told


_NAMES = st.sampled_from(["a", "b_1", "selection_x"]).map(Name)
_OF = st.builds(Several, st.sampled_from(["1", "all"]), st.sampled_from(["them", "sel_*"]))
_PHRASES: st.SearchStrategy[Phrase] = st.recursive(
    _NAMES | _OF,
    lambda below: (
        st.builds(Negation, below)
        | st.builds(
            Join,
            st.sampled_from(["and", "or"]),
            st.lists(below, min_size=2, max_size=3).map(tuple),
        )
    ),
    max_leaves=8,
)


@given(_PHRASES)
def test_a_condition_is_read_as_it_was_written(phrase: Phrase) -> None:
    """Writing and reading give the same tree; so brackets stand where they must."""
    assert parse(written(phrase)) == phrase


@pytest.mark.parametrize("text", ["a | count() > 5", "a and", "(a", "a b", "", "not", "a or or b"])
def test_what_is_no_condition_has_no_tree(text: str) -> None:
    """Nothing is guessed."""
    assert parse(text) is None


RECORDINGS = Path(__file__).resolve().parent / "recordings"


def unexplained(capsys: pytest.CaptureFixture[str], *rules: str) -> dict[str, dict[str, int]]:
    """The score by level of shipped rules on the shipped recordings, which must be no error."""
    options = ["--recordings", str(RECORDINGS), "--format", "json"]
    assert main(["test", "--mutate", *rules, *options]) == 0
    score: dict[str, dict[str, int]] = json.loads(capsys.readouterr().out)["score"]
    return score


def test_the_rules_with_alternatives_recorded_keep_them_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every survivor of a rule that fires in `high-alternatives` and is high or critical has a
    reason, and no reason is stale."""
    manifest = yaml.safe_load((RECORDINGS / "high-alternatives" / "manifest.yml").read_text())
    found = unexplained(capsys, *sorted({entry["rule"] for entry in manifest["fires"]}))
    assert found["high"]["rules"] > 20
    assert found["high"]["unexplained"] == 0


@pytest.mark.long
def test_no_survivor_of_a_high_or_critical_rule_lacks_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of any of them."""
    rules = kit.shipped().rules
    high = [rule.id for rule in rules if rule.level >= Level.HIGH]
    found = unexplained(capsys, *high)
    for level in ("critical", "high"):
        assert found[level]["rules"] >= 5
        assert found[level]["unexplained"] == 0
