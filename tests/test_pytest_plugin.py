"""The pytest plugin in somebody else's repository, and in repositories that know nothing of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from test_mutation import ID, repository

from molehunt.cli import main

pytest_plugins = ["pytester"]
INI = "[pytest]\nmolehunt_recordings = recordings\nmolehunt_rules =\n    rules\n"


@pytest.fixture
def scratch(pytester: pytest.Pytester) -> Path:
    """A rule repository that is proven."""
    repository(pytester.path, ["odd", "even"], ["longer", "idle"])
    pytester.makefile(".ini", pytest=INI)
    return pytester.path


def ran(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Plain pytest in a process of its own."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_plain_pytest_proves_each_rule_on_each_recording(
    pytester: pytest.Pytester, scratch: Path
) -> None:
    """One item for the rule and recording, one for the recording, one for all other rules, and what
    must hold of whole rules."""
    done = ran(pytester, "-v")
    done.assert_outcomes(passed=5)
    done.stdout.fnmatch_lines(
        [
            "*manifest.yml::odd is sound PASSED*",
            "*manifest.yml::Odd Shell [[]odd[]] PASSED*",
            "*manifest.yml::every other rule stays quiet [[]odd[]] PASSED*",
            "*::rules load PASSED*",
            "*::Odd Shell is proven PASSED*",
        ]
    )
    assert done.ret == 0


def test_a_missed_record_is_explained(pytester: pytest.Pytester, scratch: Path) -> None:
    """The failure has the record, the value and what was wanted of it."""
    manifest = scratch / "recordings" / "odd" / "manifest.yml"
    text = manifest.read_text(encoding="utf-8").replace("lines: [1, 2]", "lines: [1, 2, 4]")
    manifest.write_text(text, encoding="utf-8")
    done = ran(pytester)
    done.assert_outcomes(passed=4, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*should fire on *log.results.log:4 but does not*",
            "Odd Shell * does not match",
            "*- CommandLine contains '--serve'; cmdline = 'oddsh'",
        ]
    )


def test_a_rule_that_fires_where_nobody_lists_it_fails(
    pytester: pytest.Pytester, scratch: Path
) -> None:
    """Also if the manifest does not name the rule at all; and then it has no near miss either."""
    manifest = scratch / "recordings" / "odd" / "manifest.yml"
    text = manifest.read_text(encoding="utf-8").partition("fires:")[0]
    manifest.write_text(text, encoding="utf-8")
    done = ran(pytester)
    done.assert_outcomes(passed=2, failed=2)
    done.stdout.fnmatch_lines(["*which the manifest does not list*", "*no recorded near miss*"])


def test_broken_rules_and_manifests_fail_and_stop_nothing(
    pytester: pytest.Pytester, scratch: Path
) -> None:
    """Each is an item that says what is wrong; the good ones still pass."""
    (scratch / "rules" / "broken.yml").write_text("title: [", encoding="utf-8")
    other = scratch / "recordings" / "other"
    other.mkdir()
    (other / "manifest.yml").write_text(
        "title: x\nkind: invented\nlogs: [{file: gone.log}]\n", encoding="utf-8"
    )
    done = ran(pytester)
    done.stdout.fnmatch_lines(["*no such log: gone.log*", "*broken.yml:*: error: not YAML*"])
    assert done.parseoutcomes()["passed"] >= 4


def test_junit_comes_from_pytest_itself(pytester: pytest.Pytester, scratch: Path) -> None:
    """`pytest --junitxml` has the same items."""
    ran(pytester, "--junitxml=out.xml")
    root = ET.parse(scratch / "out.xml").getroot()
    assert "Odd Shell [odd]" in {node.get("name") for node in root.iter("testcase")}


@pytest.mark.parametrize("ini", ["[pytest]\n", "[pytest]\nmolehunt_rules = rules\n"])
def test_without_recordings_in_the_configuration_it_does_nothing(
    pytester: pytest.Pytester, scratch: Path, ini: str
) -> None:
    """A manifest.yml of whatever kind is left alone, and nothing of molehunt is loaded."""
    pytester.makefile(".ini", pytest=ini)
    pytester.makepyfile(
        test_own="""
        import sys

        def test_own():
            heavy = {"sigma", "jinja2", "rich", "orjson", "molehunt.ruleset", "molehunt.detectors"}
            assert heavy.isdisjoint(sys.modules)
        """
    )
    ran(pytester).assert_outcomes(passed=1)


def test_other_manifests_beside_the_recordings_are_left_alone(
    pytester: pytest.Pytester, scratch: Path
) -> None:
    """Only those below the named folder are proofs."""
    (scratch / "app").mkdir()
    (scratch / "app" / "manifest.yml").write_text("no: recording\n", encoding="utf-8")
    ran(pytester).assert_outcomes(passed=5)


def test_the_plugin_comes_with_the_package() -> None:
    """An entry point of the installed distribution, as pip sees it."""
    text = (
        "from importlib.metadata import entry_points as e;"
        "print([p.value for p in e(group='pytest11', name='molehunt')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['molehunt.pytest_plugin']"


def test_molehunt_test_writes_the_same_cases_as_json_and_junit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what failed in both, and exit code 2."""
    options = ["test", *repository(tmp_path, ["odd", "idle"], ["longer"])]
    assert main([*options, "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    failed = [case for case in found["cases"] if not case["holds"]]
    assert [(case["rule"], case["recording"]) for case in failed] == [(ID, "odd")]
    assert "log.results.log:2 but does not" in failed[0]["problems"][0]
    target = tmp_path / "out.xml"
    assert main([*options, "--format", "junit", "--output", str(target)]) == 2
    root = ET.parse(target).getroot()
    told = [node.get("name") for node in root.iter("testcase") if node.find("failure") is not None]
    assert told == ["Odd Shell [odd]"]
    assert root.get("failures") == "1"
    assert len(list(root.iter("testcase"))) == len(found["cases"])
