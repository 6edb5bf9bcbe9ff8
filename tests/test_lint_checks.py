"""Every check of `molehunt lint` on its examples, the ones that docs/lint.md shows."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import kit
import pytest

from molehunt.data import techniques
from molehunt.detectors.matching.necessary import rule_clauses
from molehunt.linting.attack import CROSSWALK_19, REVOKED_19
from molehunt.linting.catalogue import Example, checks
from molehunt.linting.cost import _surely
from molehunt.linting.run import Linted, analyse, lint
from molehunt.linting.subject import Subject
from molehunt.linting.validators import validated
from molehunt.rulefiles import builtin_rules_path, rule_files
from molehunt.ruleset import load_documents
from molehunt.taxonomy import taxonomy
from molehunt.yamlfile import read_text

CHECKS = checks()
VALIDATORS = {"MH801", "MH802", "MH803"}


def linted(example: Example, folder: Path, validators: bool = False) -> Linted:
    """The findings of an example, written to files."""
    place = folder / "rules"
    place.mkdir()
    for name, text in example.files.items():
        (place / name).write_text(text, encoding="utf-8")
    recordings = None
    if example.recording:
        rows = folder / "recordings" / "rows"
        rows.mkdir(parents=True)
        (rows / "rows.log").write_text("{}\n{}\n", encoding="utf-8")
        (rows / "manifest.yml").write_text(example.recording, encoding="utf-8")
        recordings = str(rows.parent)
    found = lint([str(place)], CHECKS, recordings, cached=False)
    return validated(found, [str(place)]) if validators else found


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_failing_example(name: str, tmp_path: Path) -> None:
    """Each check finds its failing example, on a line that is there."""
    example = CHECKS[name].failing
    found = [
        one for one in linted(example, tmp_path, name in VALIDATORS).findings if one.check == name
    ]
    assert found, name
    for one in found:
        lines = Path(one.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= one.span.line <= len(lines)
        assert one.span.column <= len(lines[one.span.line - 1]) + 1


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_passing_example(name: str, tmp_path: Path) -> None:
    """The passing example does not show the check, and nothing worse than the check either."""
    found = linted(CHECKS[name].passing, tmp_path)
    assert name not in {one.check for one in found.findings}
    assert not {one.check for one in found.findings} - {"MH112", "MH107", "MH205"}, found.findings


def test_the_catalogue_is_what_the_code_finds() -> None:
    """Each id that the code can give is in the catalogue, and the other way round."""
    folder = Path(str(files("molehunt.linting")))
    given = {
        name
        for path in folder.glob("*.py")
        for name in re.findall(r'"(MH[0-9]{3})"', path.read_text(encoding="utf-8"))
    }
    assert given == set(CHECKS)


def test_fixes_are_said(tmp_path: Path) -> None:
    """A check has an edit for its failing example if, and only if, it says so."""
    for name, check in CHECKS.items():
        if name in VALIDATORS:
            continue
        folder = tmp_path / name
        folder.mkdir()
        found = [one for one in linted(check.failing, folder).findings if one.check == name]
        assert check.fixes == any(one.edits for one in found), name


def test_the_crosswalk_leads_from_new_ids_to_pinned_ones() -> None:
    """ATT&CK 19's ids are not in v18.1; what they were is, and the page names each pair."""
    page = (Path(__file__).parents[1] / "docs" / "lint.md").read_text(encoding="utf-8")
    for old, new in REVOKED_19.items():
        assert new in CROSSWALK_19
        assert old in page
        assert new in page
    for new, old in CROSSWALK_19.items():
        assert new not in techniques()
        assert not techniques()[old].get("revoked")
        assert not techniques()[old].get("deprecated")
        assert new in page
        assert old in page


def test_the_crosswalk_has_all_that_v19_revoked_and_our_rules_use() -> None:
    """Seventeen techniques (the notes of v19): all of T1562, two ways to clear logs, T1656, T1672.
    What our rules name of these has its v19 id."""
    assert len(REVOKED_19) == 17
    moved = re.compile(r"T1562(\.\d{3})?|T1070\.00[12]|T1656|T1672")
    assert {one for one in techniques() if moved.fullmatch(one)} == set(REVOKED_19)
    ruleset = kit.shipped()
    used = {technique for rule in ruleset.both for technique in rule.techniques}
    assert "T1656" in used
    assert {one for one in used if moved.fullmatch(one)} <= set(REVOKED_19)


def test_what_v19_added_is_no_mistake() -> None:
    """All new techniques of v19, by id: newer than what is known here, not unknown to ATT&CK."""
    text = CHECKS["MH421"].failing.files["example_rule_file.yml"]
    for name in ("T1027.018", "T1682", "T1683", "T1683.001", "T1683.002", "T1684", "T1687"):
        source = text.replace("attack.t1685", f"attack.{name.lower()}")
        (one,) = [
            one
            for one in analyse(source.encode(), "rule.yml", "rule.yml").findings
            if one.check.startswith("MH42")
        ]
        assert (one.check, one.message.split()[0]) == ("MH421", name)


def test_a_hive_is_one_at_the_beginning_only() -> None:
    r"""`\Overwrite_Keys\HKEY_LOCAL_MACHINE\` is a key that some program named so."""
    check = CHECKS["MH120"]
    (text,) = check.failing.files.values()
    inside = re.sub(r"'(HKEY_)", r"'\\SOFTWARE\\Tool\\Saved\\\1", text, count=1)
    assert inside != text
    for source, expected in ((text, True), (inside, False)):
        found = analyse(source.encode(), "rule.yml", "rule.yml").findings
        assert any(one.check == "MH120" for one in found) == expected


def test_the_page_is_current() -> None:
    """docs/lint.md has every check; `make lint-docs` writes it."""
    root = Path(__file__).parents[1]
    command = [sys.executable, str(root / "docs" / "lint.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_short_way_about_literals_is_the_long_way() -> None:
    """Where a rule is taken to have a literal at sight, the engine finds one too."""
    sure = 0
    for path, name, _ in rule_files([builtin_rules_path()], []):
        text = Path(path).read_text(encoding="utf-8")
        documents, _ = read_text(text, path, nodes=True)
        for document in documents:
            rules, _, _ = load_documents([document], path, name)
            subject = Subject(path, name, text, document.data, document.node)
            for rule in rules:
                maps = taxonomy().maps(rule.category, rule.product, rule.service)
                if maps and subject.conditions and _surely(subject):
                    clauses = rule_clauses(rule, taxonomy(), {})
                    assert clauses is None or any(not one.key for one in clauses), name
                    sure += 1
    assert sure > 200
