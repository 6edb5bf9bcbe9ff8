"""Loading rules: every defect is named with file and line, and nothing beside it is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kit
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.registry import targets
from molehunt.backends.support import locked
from molehunt.joins import load_joins
from molehunt.levels import Level
from molehunt.lock import check_lock, parse_lock, update_lock
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules

SIGN_IN = ("azure", "gcp", "okta")  # logs of services, which have no platform and no osquery table
GOOD = kit.RULE.format(
    logsource="{product: osquery, service: processes}",
    detection="    selection:\n        path|endswith: /x\n    condition: selection",
    more="",
)


def load(folder: Path, **files: str) -> Any:
    """Write files and load the folder."""
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return load_rules([str(folder)])


def test_a_rule_carries_what_it_says(tmp_path: Path) -> None:
    """Log source, level, techniques, metadata and line numbers."""
    more = "tags: [attack.command-and-control, attack.t1219.002]\n"
    more += "molehunt: {subject: x, identity: [path]}"
    (rule,) = load(tmp_path, a=GOOD + more).rules
    assert (rule.product, rule.service, rule.category) == ("osquery", "processes", None)
    assert rule.level is Level.MEDIUM
    assert rule.techniques == ("T1219.002",)
    assert (rule.meta.subject, rule.meta.identity) == ("x", ("path",))
    assert rule.lines["detection", "selection", "path|endswith"] == 7


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (GOOD.replace("endswith", "endswiht"), 7, "endswiht"),
        (GOOD.replace("condition: selection", "condition: selectoin"), 8, "selectoin"),
        (GOOD.replace("condition: selection", "condition: 1 of filter_*"), 8, "filter_"),
        (GOOD.replace("path|endswith: /x", "path|re: '(?<=a)b'"), 7, "regex"),
        (GOOD.replace("path|endswith: /x", "path|re: '(a)\\1'"), 7, "regex"),
        (GOOD.replace("path|endswith: /x", "path|expand: '%x%'"), 7, "placeholder"),
        (GOOD.replace("level:", "levle:"), 9, "levle"),
        (GOOD.replace("product:", "prodcut:"), 4, "prodcut"),
        (GOOD.replace("detection:", "detections:"), 5, "detections"),
        (GOOD.replace("level: medium", "level: loud"), 1, "loud"),
        (GOOD + "molehunt: {subjekt: x}", 11, "subjekt"),
        (GOOD + "level: high\n", 11, "duplicate key"),
        (GOOD.replace("        path", "\tpath"), 7, "not YAML"),
        ("- a list", 1, "mapping"),
        ("title: only", None, ""),
    ],
)
def test_defects_are_named_with_their_line(
    tmp_path: Path, text: str, line: int | None, word: str
) -> None:
    """Each defect is reported once where it stands, and the good rule beside it is loaded."""
    good = GOOD.replace("0001", "0002")
    loaded = load(tmp_path, bad=text, good=good)
    assert [rule.id[-1] for rule in loaded.rules] == ["2"]
    if line is None:
        assert loaded.ignored
        return
    problem = loaded.problems[0]
    assert problem.path.endswith("bad.yml")
    assert (problem.line, word in str(problem)) == (line, True), str(problem)


def test_yaml_bombs_and_depth_are_refused(tmp_path: Path) -> None:
    """Aliases are counted before they are expanded; nesting and size are bounded."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    loaded = load(
        tmp_path,
        bomb=bomb,
        loop="a: &a [*a]",
        deep="a: " + "[" * 5000 + "]" * 5000,
        big="a: " + "x" * (1 << 20),
        good=GOOD,
    )
    assert len(loaded.rules) == 1
    assert {Path(p.path).stem for p in loaded.problems} == {"bomb", "loop", "deep", "big"}


def test_good_documents_of_a_broken_file_are_kept(tmp_path: Path) -> None:
    """Several documents in a file: the one that is wrong is left out."""
    second = GOOD.replace("0001", "0002").replace("endswith", "endswiht")
    third = GOOD.replace("0001", "0003")
    loaded = load(tmp_path, many=f"{GOOD}---\n{second}---\n{third}")
    assert [rule.id[-1] for rule in loaded.rules] == ["1", "3"]
    assert loaded.problems[0].line is not None
    assert loaded.problems[0].line > 11


def test_an_id_is_used_once(tmp_path: Path) -> None:
    """The later rule is refused, and both places are named."""
    loaded = load(tmp_path, a=GOOD, b=GOOD)
    assert len(loaded.rules) == 1
    assert "a.yml" in str(loaded.problems[0])
    assert "b.yml" in str(loaded.problems[0])


def test_filters_are_applied_and_dangling_ones_named(tmp_path: Path) -> None:
    """A Sigma filter narrows its rule; one that names no loaded rule is a problem."""
    text = """\
title: Filter
id: 00000000-0000-4000-8000-0000000000f1
logsource: {product: osquery, service: processes}
filter:
    rules: [00000000-0000-4000-8000-000000000001]
    lab:
        name: allowed
    condition: not lab
"""
    loaded = load(tmp_path, rule=GOOD, f=text)
    assert not loaded.problems
    row = {"pid": "1", "path": "/bin/x", "name": "other"}
    assert kit.fires(loaded.rules, kit.line(row))
    assert not kit.fires(loaded.rules, kit.line(row | {"name": "allowed"}))
    dangling = load(tmp_path, f=text.replace("0001]", "0009]"))
    assert any("not loaded" in problem.what for problem in dangling.problems)


def test_correlations_are_loaded_apart(tmp_path: Path) -> None:
    """They are no rules that match by themselves."""
    text = """\
title: Correlation
id: 00000000-0000-4000-8000-0000000000c1
correlation:
    type: event_count
    rules: [00000000-0000-4000-8000-000000000001]
    group-by: [path]
    timespan: 1h
    condition: {gte: 3}
"""
    loaded = load(tmp_path, rule=GOOD, c=text)
    assert (len(loaded.rules), len(loaded.correlations)) == (1, 1)
    assert not loaded.problems


words = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | words | st.floats(allow_nan=False)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["title", "id", "logsource", "detection", "level", "tags", "molehunt", "correlation", "filter"]
)


@given(st.dictionaries(keys, trees, max_size=6))
def test_odd_data_never_raises(data: dict[str, Any]) -> None:
    """Whatever YAML holds, loading it gives rules and problems, no exception."""
    kit.ruleset(yaml.safe_dump(data, allow_unicode=True))


def test_the_rules_in_the_package_load_without_a_word() -> None:
    """All shipped rules, and at least twenty of them."""
    loaded = kit.shipped()
    assert [str(problem) for problem in loaded.problems] == []
    assert len(loaded.rules) >= 20


def test_every_shipped_rule_says_what_a_human_needs() -> None:
    """Metadata, false positives, references, and techniques that exist with their tactic."""
    from molehunt.data import techniques
    from molehunt.schema import tables

    for rule in kit.shipped().rules:
        where = rule.path
        meta = rule.meta
        assert meta.subject and meta.next_steps and meta.validate, where
        assert meta.platforms or rule.product in SIGN_IN, where
        assert meta.blind_spots and rule.false_positives and rule.references, where
        assert rule.description.startswith("Detects"), where
        assert rule.techniques, where
        tactics = {tag.split(".", 1)[1] for tag in rule.tags if not tag[7:8].isdigit()}
        for technique in rule.techniques:
            assert technique in techniques(), (where, technique)
            assert tactics & set(techniques()[technique]["tactics"]), (where, technique)
        for table in meta.tables:
            assert rule.product in SIGN_IN or table in tables(), (where, table)


def test_every_shipped_rule_and_correlation_names_a_behaviour() -> None:
    """At least one, so that docs/coverage.md leaves none out."""
    loaded = kit.shipped()
    assert loaded.correlations
    every = [*loaded.rules, *loaded.correlations]
    assert [rule.path for rule in every if not rule.meta.behaviours] == []


def test_lock_sees_a_changed_meaning_but_no_changed_text(tmp_path: Path) -> None:
    """New rules start at 1; a changed detection must be locked again and counts up."""
    first = load(tmp_path, a=GOOD)
    lines = update_lock([], first)
    assert check_lock(lines, first) == []
    text = load(tmp_path, a=GOOD.replace("Test Rule", "Other Title"))
    assert check_lock(lines, text) == []
    changed = load(tmp_path, a=GOOD.replace("/x", "/y"))
    assert len(check_lock(lines, changed)) == 1
    again = update_lock(lines, changed)
    assert again[0].split(" ")[1] == "2"
    assert check_lock(again, changed) == []
    gone = load(tmp_path, a=GOOD.replace("0001", "0002"))
    assert {problem.rule and problem.rule[-1] for problem in check_lock(lines, gone)} == {"1", "2"}


def test_lock_sees_changed_artefacts(tmp_path: Path) -> None:
    """What a rule compiles to is locked too: another artefact counts the version up, one more or
    one less does not; a lock from before says nothing of artefacts."""
    rules = load(tmp_path, a=GOOD)
    (rule,) = rules.rules
    made = {rule.id: {"splunk/osquery": "0" * 16, "elastic/filebeat": "1" * 16}}
    lines = update_lock([], rules, artefacts=made)
    assert f" elastic/filebeat:{'1' * 16},splunk/osquery:{'0' * 16} " in lines[0]
    assert check_lock(lines, rules, artefacts=made) == []
    for other, version, told in (
        ({"splunk/osquery": "2" * 16, "elastic/filebeat": "1" * 16}, "2", "splunk/osquery"),
        ({"elastic/filebeat": "1" * 16}, "1", "splunk/osquery"),
        (made[rule.id] | {"osquery/osquery": "3" * 16}, "1", "osquery/osquery"),
        ({}, "1", "elastic/filebeat, splunk/osquery"),
    ):
        (problem,) = check_lock(lines, rules, artefacts={rule.id: other})
        assert problem.what.endswith(f" for {told}") and problem.rule == rule.id
        again = update_lock(lines, rules, artefacts={rule.id: other})
        assert again[0].split(" ")[1] == version
        assert check_lock(again, rules, artefacts={rule.id: other}) == []
    before = [" ".join([*lines[0].split(" ")[:3], lines[0].split(" ")[4]])]
    assert len(check_lock(before, rules, artefacts=made)) == 1
    assert update_lock(before, rules, artefacts=made) == lines


def test_lock_lines_with_spaces_in_file_names(tmp_path: Path) -> None:
    """They come back from both forms of a line."""
    rules = load(tmp_path, **{"a b": GOOD})
    made = {rules.rules[0].id: {"splunk/osquery": "0" * 16}}
    for lines in (update_lock([], rules), update_lock([], rules, artefacts=made)):
        assert check_lock(lines, rules) == []
        parts = lines[0].split(" ", 4)
        assert check_lock([" ".join([*parts[:3], parts[4]])], rules) == []


def test_the_two_locks_agree() -> None:
    """The artefacts of the rule lock are those of which the support lock says what is known."""
    entries, problems = parse_lock(
        Path(builtin_rules_path(), "rules.lock").read_text().splitlines()
    )
    assert not problems
    own = {target.name for target in targets() if target.own}
    known = {
        (one.rule, f"{one.target}/{one.profile}"): one.digest
        for one in locked().values()
        if one.target in own and one.evidence is not None
    }
    assert known == {
        (entry.id, key): hashed
        for entry in entries.values()
        for key, hashed in (entry.artefacts or {}).items()
    }


def test_the_shipped_lock_is_current() -> None:
    """`make lock` was run after the last change of a rule."""
    folder = Path(builtin_rules_path())
    lines = (folder / "rules.lock").read_text(encoding="utf-8").splitlines()
    loaded = load_rules([str(folder)])
    joins, _ = load_joins([str(folder)], loaded.rules)
    assert joins
    assert [str(p) for p in check_lock(lines, loaded, joins)] == []
