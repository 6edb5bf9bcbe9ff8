"""The documentation site builds without a warning and holds every rule; the tutorial works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import html5lib
import kit
import pytest

from molehunt.cli import main
from molehunt.exits import Exit

DOCS = Path(__file__).resolve().parents[1] / "docs"
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(DOCS / "site" / "build.py"), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
def test_every_page_and_rule_is_there(site: Path) -> None:
    """Each page of docs/ is on the site and reached from its index, and so is each rule."""
    index = (site / "index.html").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()
        assert f'href="{page.stem}.html"' in index, f"{page.name} is not in docs/site/index.md"
    found = "".join(path.read_text(encoding="utf-8") for path in (site / "rules").glob("*.html"))
    for rule in kit.shipped().both:
        assert f'id="rule-{rule.id}"' in found, rule.title


@pytest.mark.long
def test_links(site: Path) -> None:
    """Every link within the site leads to a page and to a place on it."""
    trees = {
        path.relative_to(site).as_posix(): html5lib.parse(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if path.name not in ("genindex.html", "search.html")
    }
    places = {
        name: {node.get("id") for node in tree.iter() if node.get("id")}
        for name, tree in trees.items()
    }
    broken = []
    for name, tree in trees.items():
        for node in tree.iter(f"{XHTML}a"):
            target = unquote(node.get("href") or "")
            if re.match(r"[a-z]+:", target) or not target:
                continue
            path, _, anchor = target.partition("#")
            there = (site / name).parent.joinpath(path).resolve() if path else site / name
            if not there.is_file():
                broken.append((name, target))
                continue
            page = there.relative_to(site.resolve()).as_posix() if path else name
            if anchor and page in places and anchor not in places[page]:
                broken.append((name, target))
    assert not broken


def _blocks(language: str) -> list[str]:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the tutorial has its reader write; we stand in it."""
    monkeypatch.chdir(tmp_path)
    recording = tmp_path / "my-recordings" / "farview"
    recording.mkdir(parents=True)
    (tmp_path / "my-rules").mkdir()
    rule, manifest = _blocks("yaml")
    (tmp_path / "my-rules" / "farview_unattended.yml").write_text(rule, encoding="utf-8")
    (recording / "manifest.yml").write_text(manifest, encoding="utf-8")
    lines = [json.dumps(json.loads(block)) for block in _blocks("json")]
    log = recording / "laptop.results.log"
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_tutorial(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the tutorial tells its reader to run does what it says."""
    assert main(["hunt", "my-recordings", "--rules", "my-rules", "--quiet"]) == Exit.DONE
    assert "1 high on 1 host" in capsys.readouterr().out
    where = "my-recordings/farview/laptop.results.log:1"
    assert main(["explain", "farview_unattended", where, "--rules", "my-rules"]) == Exit.DONE
    assert "--unattended" in capsys.readouterr().out
    proof = ["test", "--rules", "my-rules", "--recordings", "my-recordings"]
    assert main(proof) == Exit.DONE
    assert "proven" in capsys.readouterr().out
    assert main([*proof, "--mutate"]) == Exit.BAD_INPUT
    assert "Image|endswith" in capsys.readouterr().out
    assert main(["baseline", "my-recordings", "--rules", "my-rules", "--quiet"]) == Exit.DONE
