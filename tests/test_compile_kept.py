"""What is kept between two runs of `molehunt compile`, and how the files are written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import RULE

from molehunt import cache
from molehunt.backends import compiling, kept, packed, subjects
from molehunt.backends.registry import target, targets
from molehunt.backends.rendering import pretty
from molehunt.backends.sentinel.packaging import _dumper
from molehunt.cli import main
from molehunt.commands import compile as compile_command
from molehunt.exits import Exit

OWN = [one.name for one in targets() if one.own]
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=25,
)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with a rule that every target can say."""
    folder = tmp_path / "rules"
    folder.mkdir()
    write(folder, "one.exe")
    return folder


def write(folder: Path, name: str) -> None:
    """Write the rule, which wants processes of that name."""
    text = RULE.format(
        logsource="{category: process_creation, product: windows}",
        detection=f"  selection:\n    Image|endswith: '\\{name}'\n  condition: selection",
        more="",
    )
    (folder / "rule.yml").write_text(text, encoding="utf-8")


def compiled(target: str, rules: Path, output: Path) -> dict[str, bytes]:
    """The files of `molehunt compile` by their name."""
    assert main(["compile", "-t", target, "--rules", str(rules), "-o", str(output)]) == 0
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def refuse(*_: Any) -> Any:
    """In place of what must not run."""
    raise AssertionError("it was compiled again")


@pytest.mark.parametrize("target", OWN)
def test_a_second_run_compiles_nothing_and_writes_the_same(
    target: str, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every target whose compiler is ours."""
    first = compiled(target, rules, tmp_path / "first")
    assert json.loads(first[f"{target}/manifest.json"])["rules"]
    monkeypatch.setattr(subjects, "subjects", refuse)
    monkeypatch.setattr(kept, "compile_all", refuse)
    assert compiled(target, rules, tmp_path / "second") == first


def test_what_others_compile_is_not_kept(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release of a pySigma backend may answer otherwise."""
    compiled("pysigma:sqlite", rules, tmp_path / "first")
    monkeypatch.setattr(kept, "compile_all", refuse)
    with pytest.raises(AssertionError, match="compiled again"):
        compiled("pysigma:sqlite", rules, tmp_path / "second")


def test_a_changed_rule_is_compiled_anew(rules: Path, tmp_path: Path) -> None:
    """Its content decides, not its name or time."""
    first = compiled("sentinel", rules, tmp_path / "first")
    write(rules, "two.exe")
    second = compiled("sentinel", rules, tmp_path / "second")
    assert any(b"two" in data for data in second.values())
    assert not any(b"two" in data for data in first.values())
    assert not any(b"one.exe" in data for data in second.values())


def test_changed_code_compiles_anew(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does changed data beside the rules: both are in the same hash."""
    compiled("splunk", rules, tmp_path / "first")
    monkeypatch.setattr(kept, "dependencies", lambda: "other code")
    monkeypatch.setattr(kept, "compile_all", refuse)
    with pytest.raises(AssertionError, match="compiled again"):
        compiled("splunk", rules, tmp_path / "second")


def test_all_that_decides_is_in_the_hash() -> None:
    """Compilers, the engine's reading of rules, the schema, the reviewed refusals."""
    names = {path.name for path in kept._files()}
    wanted = "kqlwhere.py evaluate.py taxonomy.py pack.yml taxonomy.yml reviewed.yml"
    assert {*wanted.split(), "osquery_schema.json", "attack_v18.1.json"} <= names


@pytest.mark.parametrize(
    "damage", [[[1]], [None], {}, [["a"] * 6 + [3, 4, 5]], "text", [1, 2, 3, 4, 5]]
)
def test_a_file_of_another_form_is_made_anew(
    damage: Any, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later release may keep something else under the same name."""
    first = compiled("splunk", rules, tmp_path / "first")
    real = cache.recall
    for module in (kept, packed):
        monkeypatch.setattr(
            module, "recall", lambda key: damage if key.startswith("compiled") else real(key)
        )
        monkeypatch.setattr(module, "keep", lambda key, value: None)
    assert compiled("splunk", rules, tmp_path / "second") == first


def test_without_a_cache_everything_is_compiled(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes out the same."""
    first = compiled("elastic", rules, tmp_path / "first")
    monkeypatch.setenv("MOLEHUNT_CACHE", "")
    calls = []
    monkeypatch.setattr(
        kept, "compile_all", lambda *given: calls.append(1) or compiling.compile_all(*given)
    )
    assert compiled("elastic", rules, tmp_path / "second") == first
    assert calls


@pytest.mark.parametrize("target", OWN)
def test_artefacts_are_kept_apart_from_the_files(
    target: str, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that must be made anew, as with another file of the organisation, are made of them."""
    first = compiled(target, rules, tmp_path / "first")
    monkeypatch.setattr(compile_command, "recalled", lambda _: None)
    monkeypatch.setattr(subjects, "subjects", refuse)
    monkeypatch.setattr(kept, "compile_all", refuse)
    assert compiled(target, rules, tmp_path / "second") == first


def test_a_second_run_tells_the_same(
    rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many were compiled, and what was refused and why."""
    text = (rules / "rule.yml").read_text(encoding="utf-8")
    other = text.replace("product: windows", "product: nothing").replace("0001", "0002")
    (rules / "other.yml").write_text(other, encoding="utf-8")
    compiled("elastic", rules, tmp_path / "output")
    first = capsys.readouterr()
    assert "1 of 2 compiled" in first.out
    assert "1 refused: no_query" in first.err
    compiled("elastic", rules, tmp_path / "output")
    assert capsys.readouterr() == first


def test_a_second_run_tells_of_broken_rules_again(
    rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And still writes what is good."""
    (rules / "broken.yml").write_text("title: [", encoding="utf-8")
    for _ in range(2):
        arguments = ["-t", "splunk", "--rules", str(rules), "-o", str(tmp_path / "output")]
        assert main(["compile", *arguments]) == Exit.BAD_INPUT
        assert "not YAML" in capsys.readouterr().err


def test_what_is_asked_for_decides_what_is_kept(
    rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files with all rules are no files with proven ones."""
    output = ["--rules", str(rules), "-o", str(tmp_path / "output")]
    assert main(["compile", "-t", "elastic", *output]) == 0
    assert "1 of 1 compiled" in capsys.readouterr().out
    assert main(["compile", "-t", "elastic", "--min-evidence", "engine", *output]) == 0
    assert "0 of 1 compiled (none), 1 below --min-evidence" in capsys.readouterr().out


def test_what_is_known_of_the_rules_decides_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest tells versions from the rule lock and evidence from the support lock."""
    (splunk,) = (one for one in targets() if one.name == "splunk")
    keys = [packed.packed_key(splunk, splunk.profile(), "rules", ())]
    monkeypatch.setattr(packed, "read_bytes", lambda _: b"another lock")
    keys.append(packed.packed_key(splunk, splunk.profile(), "rules", ()))
    monkeypatch.setattr(packed, "files", lambda _: tmp_path)
    keys.append(packed.packed_key(splunk, splunk.profile(), "rules", ()))
    assert len(set(keys)) == 3


def test_only_the_target_that_is_asked_for_is_imported() -> None:
    """Neither other targets nor the engine, which is for proving."""
    code = (
        "import sys\nfrom molehunt.backends.registry import target\n"
        "assert target('elastic').name == 'elastic'\n"
        "print(*(name for name in sys.modules if name.startswith('molehunt.backends.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    names = {name.removeprefix("molehunt.backends.") for name in done.stdout.split()}
    folders = {name.partition(".")[0] for name in names}
    assert "elastic" in folders
    assert not folders & {"opensearch", "osquery", "sentinel", "splunk", "defender", "pysigma"}
    assert not names & {"elastic.engine", "searching.server"}


@pytest.mark.parametrize("name", ["nothing", "elastic:nothing", "searching", "pysigma", ""])
def test_targets_that_are_not_there_are_told_with_those_that_are(name: str) -> None:
    """Whether a folder is called so or not."""
    with pytest.raises(KeyError, match=r"defender, elastic, opensearch, osquery, .*splunk"):
        target(name)


@given(JSON)
def test_pretty_writes_what_json_writes(value: Any) -> None:
    """With its indent, order and escapes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert pretty(value) == text.encode()


@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT), max_size=4))
def test_yaml_of_sentinel_reads_back(body: Any) -> None:
    """libyaml writes it; what it writes means the same again."""
    text = yaml.dump(body, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100)
    assert yaml.safe_load(text) == body
