"""Where some of the rules change, all comes out as if nothing had been kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kit import RULE
from test_cache import same

from molehunt import rulecache, ruleset
from molehunt.backends import kept
from molehunt.backends.model import Subject
from molehunt.backends.registry import target, targets
from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.rule import RuleSet
from molehunt.rulecache import cached_rules, cached_sources, ruleset_key
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

OWN = [one.name for one in targets() if one.own]
CORRELATION = """
title: Both On One Host
id: 10000000-0000-4000-8000-0000000000c{number}
level: {level}
correlation:
    type: temporal
    rules: [{rules}]
    group-by: [osquery.host]
    timespan: 1h
"""
FILTER = """
title: Not That One
id: 10000000-0000-4000-8000-0000000000f1
logsource: {{category: process_creation, product: windows}}
filter:
    rules: [{rule}]
    selection:
        Image|endswith: '\\{name}'
    condition: not selection
"""


def rule_id(number: int) -> str:
    """The id of a rule."""
    return f"00000000-0000-4000-8000-00000000000{number}"


def write(folder: Path, number: int, name: str, more: str = "") -> None:
    """Write a rule that wants processes of that name."""
    text = RULE.format(
        logsource="{category: process_creation, product: windows}",
        detection=f"  selection:\n    Image|endswith: '\\{name}'\n  condition: selection",
        more=more,
    )
    first = RULE.split("id: ")[1].split("\n")[0]
    (folder / f"rule{number}.yml").write_text(text.replace(first, rule_id(number)), "utf-8")


def tie(folder: Path, number: int, *rules: int, level: str = "high") -> None:
    """Write a correlation over some of the rules."""
    named = ", ".join(map(rule_id, rules))
    text = CORRELATION.format(number=number, rules=named, level=level)
    (folder / f"tie{number}.yml").write_text(text, "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four rules and a correlation."""
    folder = tmp_path / "rules"
    folder.mkdir()
    for number in range(1, 5):
        write(folder, number, f"name{number}.exe")
    tie(folder, 1, 1, 2)
    return folder


def told(found: RuleSet) -> Any:
    """All of a set but sources and lines."""
    return (
        [
            [getattr(one, name) for name in ("id", "title", "asked", "silent", "meta", "path")]
            for one in found.rules
        ],
        [(one.id, one.rules, one.level, one.carried, one.silent) for one in found.correlations],
        sorted(map(str, found.problems)),
        found.filtered,
    )


def change(rng: Random, folder: Path) -> None:
    """One file is written, changed, broken or gone."""
    number = rng.randrange(1, 6)
    match rng.randrange(7):
        case 0:
            (folder / f"rule{number}.yml").unlink(missing_ok=True)
        case 1:
            tie(folder, rng.randrange(1, 3), *rng.sample(range(1, 6), 2))
        case 2:
            (folder / f"tie{rng.randrange(1, 3)}.yml").unlink(missing_ok=True)
        case 3:
            text = FILTER.format(rule=rule_id(number), name=rng.choice(["a.exe", "b.exe"]))
            (folder / "filter.yml").write_text(text, "utf-8")
        case 4:
            (folder / "filter.yml").unlink(missing_ok=True)
        case 5:
            (folder / f"rule{number}.yml").write_text("title: [", "utf-8")
        case _:
            write(folder, number, rng.choice(["a.exe", "b.exe", "c.exe"]))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_changes_the_set_is_the_loaded_one(seed: int, folder: Path) -> None:
    """With sources and without, after each of many changes."""
    rng, paths = Random(seed), [str(folder)]
    for _ in range(12):
        change(rng, folder)
        expected = load_rules(paths)
        for load in (cached_sources, lambda paths: cached_rules(paths)[0]):
            found = load(paths)
            assert told(found) == told(expected)
            for one, other in zip(found.rules, expected.rules, strict=True):
                assert same(tuple(one.conditions), tuple(other.conditions))
        sources = cached_sources(paths)
        for one, other in zip(sources.both, expected.both, strict=True):
            assert json.dumps(one.raw, default=str) == json.dumps(other.raw, default=str)


def test_only_what_changed_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And correlations, of which it is told where in their file something is wrong."""
    cached_sources([str(folder)])
    read: list[str] = []
    right = ruleset.read_file
    monkeypatch.setattr(
        ruleset, "read_file", lambda path: (read.append(Path(path).name), right(path))[1]
    )
    write(folder, 3, "other.exe")
    found = cached_sources([str(folder)])
    assert sorted(read) == ["rule3.yml", "tie1.yml"]
    assert "other" in str(found.rules[2].conditions)


def test_what_changes_while_it_is_read_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be taken for what it was, or is."""
    key = ruleset_key([str(folder)])
    right = ruleset.load_rules
    monkeypatch.setattr(
        ruleset, "load_rules", lambda *given: (write(folder, 1, "late.exe"), right(*given))[1]
    )
    rulecache.sources_of([str(folder)], key)
    monkeypatch.undo()
    assert rulecache._recalled(key) is None
    assert "late" in str(cached_sources([str(folder)]).rules[0].conditions)


def compile_to(name: str, folder: Path, output: Path) -> dict[str, bytes]:
    """The files of `molehunt compile`."""
    assert main(["compile", "-t", name, "--rules", str(folder), "-o", str(output)]) == 0
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.*")}


@pytest.mark.parametrize("name", OWN)
def test_changes_compile_as_if_nothing_were_kept(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule with other words, a member of a correlation, a rule fewer, one more."""
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: write(folder, 2, "other.exe"),
        lambda: write(folder, 3, "name3.exe", "tags: [attack.t1219]"),
        lambda: tie(folder, 1, 1, 2, level="low"),
        (folder / "rule4.yml").unlink,
        lambda: write(folder, 5, "name5.exe"),
        lambda: tie(folder, 2, 3, 5),
        (folder / "tie2.yml").unlink,
    ]
    for number, one in enumerate(changes):
        one()
        kept_files = compile_to(name, folder, tmp_path / f"kept{number}")
        with monkeypatch.context() as patch:
            patch.setenv("MOLEHUNT_CACHE", "")
            assert compile_to(name, folder, tmp_path / f"made{number}") == kept_files


def test_only_what_changed_is_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the correlations over it; with a filter about, everything."""
    from molehunt.backends.subjects import subjects

    product, asked = target("elastic"), []
    right = kept.compile_all

    def compile_all(target: Any, profile: Any, made: Any) -> Any:
        asked.extend(one.rule.id[-2:] for one in made)
        return right(target, profile, made)

    monkeypatch.setattr(kept, "compile_all", compile_all)

    def ids() -> list[str]:
        asked.clear()
        paths = [str(folder)]
        found = cached_sources(paths)

        def made() -> tuple[Subject, ...]:
            return subjects(found, load_yaml("pack.yml"), taxonomy())

        compiled = kept.compile_kept(
            product, product.profile(), ruleset_key(paths), made, apart=lambda: not found.filtered
        )
        assert [one.rule for one in compiled] == [one.rule.id for one in made()]
        return sorted(asked)

    assert ids() == ["01", "02", "03", "04", "c1"]
    assert ids() == []
    write(folder, 2, "other.exe")
    assert ids() == ["02", "c1"]
    write(folder, 4, "other.exe")
    assert ids() == ["04"]
    tie(folder, 1, 1, 3)
    # Two rules are no longer silent or are, which is a part of what they are.
    assert ids() == ["02", "03", "c1"]
    (folder / "filter.yml").write_text(FILTER.format(rule=rule_id(1), name="a.exe"), "utf-8")
    assert len(ids()) == 5
    (folder / "filter.yml").unlink()
    write(folder, 4, "third.exe")
    assert len(ids()) == 5
    text = (folder / "rule4.yml").read_text("utf-8")
    text = text.replace("Image|endswith: '\\third.exe'", "Image: null")
    (folder / "rule4.yml").write_text(text, "utf-8")
    assert ids() == ["04"]
    write(folder, 3, "other.exe")
    assert ids() == ["03", "c1"]
