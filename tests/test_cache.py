"""What is kept saves time and changes nothing; what is damaged or foreign is made anew."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt import cache, conditions, rulecache
from molehunt.cli import main
from molehunt.codec import Codec
from molehunt.detectors.matching.kept import guess_kept, tune_kept
from molehunt.detectors.matching.plan import FastPlan, compile_plan
from molehunt.lock import meaning_of
from molehunt.rule import Rule
from molehunt.rulecache import _CONDITIONS, cached_rules, cached_sources, ruleset_key
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

LOG = str(Path(__file__).parent / "recordings/kvm-windows/windows.results.log")
TEXTS = st.text(max_size=5)
WANTED = st.one_of(
    st.builds(
        conditions.Text,
        st.lists(TEXTS | st.sampled_from(conditions.Wild), max_size=3).map(tuple),
        st.booleans(),
    ),
    st.builds(conditions.Number, st.integers() | st.floats(allow_nan=False)),
    st.builds(conditions.Flag, st.booleans()),
    st.just(conditions.Nothing()),
    st.builds(conditions.Exists, st.booleans()),
    st.builds(conditions.Regex, TEXTS, TEXTS),
    st.builds(conditions.Reference, TEXTS, st.booleans(), st.booleans()),
)
TREES = st.recursive(
    st.builds(conditions.FieldIs, TEXTS, WANTED) | st.builds(conditions.Keyword, WANTED),
    lambda inner: (
        st.builds(conditions.And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(conditions.Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(conditions.Not, inner)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def _kept_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Here nothing is kept to begin with."""
    return tmp_path_factory.mktemp("nothing")


def same(one: Any, other: Any) -> bool:
    """Equal in class and content; tuples of different classes can be equal to Python."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(a, b) for a, b in pairs)
    return bool(one == other)


@given(TREES)
def test_conditions_come_back_as_they_were(tree: conditions.Condition) -> None:
    """Through JSON bytes."""
    import orjson

    data = orjson.loads(orjson.dumps(_CONDITIONS.plain(tree)))
    assert same(_CONDITIONS.restored(data), tree)


def test_only_known_classes_are_made() -> None:
    """What the data says cannot name another."""
    codec = Codec((conditions.Number,))
    with pytest.raises(TypeError, match="cannot be kept"):
        codec.plain(conditions.Flag(True))
    for data in ([1, 2], ["object"], [0]):
        with pytest.raises((TypeError, ValueError, IndexError)):
            codec.restored(data)


def test_kept_rules_are_the_loaded_ones() -> None:
    """Every field but the sources, for the shipped rules."""
    paths = [builtin_rules_path()]
    loaded = load_rules(paths)
    made, key = cached_rules(paths)
    kept, again = cached_rules(paths)
    assert key == again
    assert len(made.rules) == len(kept.rules) == len(loaded.rules)
    for one, other in zip(loaded.rules, kept.rules, strict=True):
        for name in type(one).__dataclass_fields__:
            if name == "conditions":
                assert same(tuple(one.conditions), tuple(other.conditions))
            elif name not in ("raw", "lines"):
                assert getattr(one, name) == getattr(other, name), name
    assert not kept.rules[0].lines


def test_what_a_rule_tells_is_read_when_asked_for() -> None:
    """Until then it is there for copies, other processes and comparisons all the same."""
    paths = [builtin_rules_path()]
    cached_rules(paths)
    whole, _ = cached_rules(paths)
    again, _ = cached_rules(paths)
    for one, other in zip(whole.rules, again.rules, strict=True):
        with pytest.raises(AttributeError):
            object.__getattribute__(one, "description")
        silent = one.but(silent=True)
        with pytest.raises(AttributeError):
            object.__getattribute__(silent, "description")
        assert silent.silent and silent.id == one.id
        assert pickle.loads(pickle.dumps(other.meta)) == one.meta
        assert dataclasses.replace(one, silent=True).meta == silent.meta
        assert silent.description == other.description
        assert silent.meta.next_steps == other.meta.next_steps
        assert object.__getattribute__(one, "description") == other.description
        with pytest.raises(AttributeError, match="nothing"):
            one.nothing  # type: ignore[attr-defined]  # noqa: B018
    made = conditions_less(whole.rules[0])
    assert made.but(silent=True) == dataclasses.replace(made, silent=True)


def conditions_less(rule: Rule) -> Rule:
    """A rule all of which is there."""
    return dataclasses.replace(rule, conditions=())


def hunt(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    """A hunt in the recording, as a user sees it."""
    code = main(["hunt", LOG, "--format", "ndjson", *more])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_sources_are_kept_beside() -> None:
    """The first time and the second they are those of the files; only dates become text."""
    folder = [builtin_rules_path()]
    loaded = load_rules(folder)
    for _ in range(2):
        found = cached_sources(folder)
        assert len(found.both) == len(loaded.both)
        for one, other in zip(found.both, loaded.both, strict=True):
            assert one.id == other.id and meaning_of(one) == meaning_of(other)
            assert json.dumps(one.raw, default=str) == json.dumps(other.raw, default=str)


def test_a_second_hunt_finds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """And keeps nothing more. What the pack's SQL says is shipped, and need not be kept."""
    first = hunt(capsys)
    place = cache.folder()
    assert place is not None
    files = sorted(place.iterdir())
    kinds = {file.name.partition("-")[0] for file in files}
    assert kinds == {"rules", "plan", "guess", "yaml"}
    assert hunt(capsys) == first
    assert sorted(place.iterdir()) == files


@pytest.fixture(scope="module", name="before")
def _before() -> list[tuple[Any, dict[str, bytes]]]:
    """What the first hunt told and kept, once it was made."""
    return []


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "folder", "writable", "other form"])
def test_damaged_and_foreign_files_are_made_anew(
    capsys: pytest.CaptureFixture[str], damage: str, before: list[tuple[Any, dict[str, bytes]]]
) -> None:
    """Never trusted, never an error."""
    place = cache.folder()
    assert place is not None
    if not before:
        told = hunt(capsys)
        before.append((told, {file.name: file.read_bytes() for file in place.iterdir()}))
    first, kept = before[0]
    for name, content in kept.items():
        (place / name).write_bytes(content)
        (place / name).chmod(0o600)
    for file in place.iterdir():
        content = file.read_bytes()
        if damage == "cut":
            file.write_bytes(content[:-10])
        elif damage == "changed":
            file.write_bytes(content.replace(b"1", b"2", 3))
        elif damage == "empty":
            file.write_bytes(b"")
        elif damage == "folder":
            file.unlink()
            file.mkdir()
        elif damage == "writable":
            file.chmod(0o666)
        else:
            cache.keep(file.stem, [[["x"]], 1])
    assert hunt(capsys) == first


def test_a_folder_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can write it could leave out a rule."""
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setenv("MOLEHUNT_CACHE", str(place))
    assert cache.folder() is None
    hunt(capsys)
    assert not list(place.iterdir())
    monkeypatch.setenv("MOLEHUNT_CACHE", "")
    assert cache.folder() is None


def test_the_key_follows_the_content(tmp_path: Path) -> None:
    """Another content, name or folder is another set; the same again is the same."""
    rules = tmp_path / "rules"
    shutil.copytree(Path(builtin_rules_path(), "tunnel"), rules)
    before = ruleset_key([str(rules)])
    assert ruleset_key([str(rules)]) == before
    file = next(rules.glob("*.yml"))
    file.write_bytes(file.read_bytes() + b"\n# changed\n")
    changed = ruleset_key([str(rules)])
    file.rename(file.with_name("other.yml"))
    assert len({before, changed, ruleset_key([str(rules)])}) == 3


def test_bad_rules_are_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems are kept with the rules."""
    (tmp_path / "bad.yml").write_text("title: x\nlogsource: 1\ndetection: {}\n")
    told = [hunt(capsys, "--rules", str(tmp_path)) for _ in range(2)]
    assert told[0] == told[1]
    assert "bad.yml" in told[0][2]


def test_a_configuration_decides_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rules over another schedule are looked for under other column names."""
    rule = kit.RULE.format(
        logsource="{product: osquery, service: users}",
        detection="    selection:\n        shell|contains: '/sh'\n    condition: selection",
        more="",
    )
    (tmp_path / "rule.yml").write_text(rule)
    log = tmp_path / "log"
    log.write_bytes(kit.line({"login": "/bin/sh"}, "who") + b"\n")
    config = tmp_path / "osquery.conf"
    config.write_text('{"schedule": {"who": {"query": "SELECT shell AS login FROM users"}}}')
    arguments = ["hunt", str(log), "--rules", str(tmp_path / "rule.yml"), "--format", "ndjson"]
    counts = []
    for more in ([], ["--config", str(config)], [], ["--config", str(config)]):
        main([*arguments, *more])
        counts.append(capsys.readouterr().out.count("\n"))
    assert counts == [0, 1, 0, 1]


@pytest.mark.parametrize("value", [".inf", "-.inf", "1" * 30, "1" * 5000, '"\\ud800"'])
def test_odd_values_in_rules_are_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    """They are kept or not, and a second hunt says the same."""
    rule = kit.RULE.format(
        logsource="{product: osquery, service: users}",
        detection=f"    selection:\n        uid: {value}\n    condition: selection",
        more="",
    )
    (tmp_path / "rule.yml").write_text(rule)
    told = [hunt(capsys, "--rules", str(tmp_path / "rule.yml")) for _ in range(2)]
    assert told[0] == told[1]


def test_only_the_newest_are_kept() -> None:
    """The folder does not grow without end."""
    for number in range(cache.KEPT_FILES + 5):
        cache.keep(f"k{number}", number)
    place = cache.folder()
    assert place is not None
    assert len(list(place.iterdir())) == cache.KEPT_FILES
    assert all(not name.startswith(".new-") for name in os.listdir(place))


def test_what_was_chosen_serves_again_unless_damaged_or_unfit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kept choice finds the same, is not made twice, and is made anew for other data."""
    rule = kit.rule(
        "selection:\n    path|endswith: /alpha\n    cmdline|re: ' x=[0-9]{4}'\ncondition: selection"
    )
    rows = [{"path": "/bin/alpha", "cmdline": f"alpha x={n}"} for n in range(300)]
    block = kit.block(*map(kit.line, rows), kit.line({"path": "/alpha", "cmdline": "alpha x=1234"}))
    other = [{"path": "/bin/a", "cmdline": f"alpha x={n + 1000}"} for n in range(300)]
    tuned: list[bytes] = []
    right = FastPlan.tune
    monkeypatch.setattr(
        FastPlan, "tune", lambda self, data: (tuned.append(data), right(self, data))
    )

    def found(sample: bytes) -> list[int]:
        plan = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
        tune_kept(plan, "key", lambda _size: sample)
        if sample == block.data and len(tuned) == 1:
            assert plan.choice.patterns
        return [match.record.locator.line for match in plan.matches([block], print)]

    assert found(block.data) == [301]
    assert found(block.data) == [301]
    assert len(tuned) == 1
    assert found(kit.block(*map(kit.line, other)).data) == [301]
    assert len(tuned) == 2
    place = cache.folder()
    assert place is not None
    (kept,) = place.glob("choice-*.json")
    for content in ([0.0, "", [{}, {}, [], "0"]], [1, 2], [0.0, "eA==", [{}, {}, [[]], "zz"]]):
        cache.keep(kept.stem, content)
        assert found(block.data) == [301]
    assert len(tuned) == 5


def test_little_data_is_searched_for_what_was_fitted_if_that_serves() -> None:
    """Else for what is chosen without data; either finds the same."""
    rule = kit.rule(
        "selection:\n    path|endswith: /alpha\n    cmdline|re: ' x=[0-9]{4}'\ncondition: selection"
    )
    rows = [{"path": "/bin/alpha", "cmdline": f"alpha x={n}"} for n in range(300)]
    block = kit.block(*map(kit.line, rows), kit.line({"path": "/alpha", "cmdline": "alpha x=1234"}))
    fits = kit.block(kit.line({"path": "/alpha", "cmdline": "alpha x=12"})).data
    other = kit.block(kit.line({"path": "/alpha", "cmdline": "alpha x=1234"})).data

    def search(sample: bytes) -> FastPlan:
        plan = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
        guess_kept(plan, "key", sample)
        assert [match.record.locator.line for match in plan.matches([block], print)] == [301]
        return plan

    guessed = search(fits).choice
    tuned = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
    tune_kept(tuned, "key", lambda _size: block.data)
    assert tuned.choice != guessed
    assert search(fits).choice == tuned.choice
    assert search(other).choice == guessed
    place = cache.folder()
    assert place is not None
    for kind in ("choice", "guess"):
        (kept,) = place.glob(f"{kind}-*.json")
        for content in ([0.0, "", [{}, {}, [], "0"]], [1, 2], 7):
            cache.keep(kept.stem, content)
            assert search(fits).choice == guessed


def test_what_is_kept_belongs_to_the_code_that_made_it(tmp_path: Path) -> None:
    """A checkout of another commit has the same version: its modules tell."""
    found = set()
    for number, text in enumerate(("x = 1", "x = 2", "x = 1")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "module.py").write_text(text, encoding="utf-8")
        found.add(cache.code_of(str(folder / "module.py")))
    assert len(found) == 2
    read = [ruleset_key([str(tmp_path)])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rulecache, "code_of", lambda _file: b"another commit")
        read.append(ruleset_key([str(tmp_path)]))
    assert read[0] != read[1]
