"""Every shipped rule is proven on its recordings; a proof that cannot fail is no proof."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import kit
import pytest
import yaml

from molehunt.backends.osquery.pack import make_pack, render_pack
from molehunt.data import load_yaml
from molehunt.rulefiles import builtin_rules_path
from molehunt.schema import tables
from molehunt.taxonomy import check_taxonomy, taxonomy

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "tests" / "recordings"
LAB = RECORDINGS / "linux-lab-state"
X11VNC = "6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10"


def molehunt(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    command = [sys.executable, "-m", "molehunt", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)


@pytest.mark.long
def test_every_shipped_rule_is_proven() -> None:
    """`molehunt test` on the recordings of the project: exit 0, every rule proven."""
    done = molehunt("test", "--recordings", str(RECORDINGS))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "FAILED" not in done.stdout
    count = len(kit.shipped().rules)
    assert f"{count} of {count} rules proven" in done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """One scenario to spoil."""
    folder = tmp_path / "recordings" / "linux-lab-state"
    shutil.copytree(LAB, folder)
    return folder


def spoiled(folder: Path, change: str) -> str:
    """Change the manifest, prove the x11vnc rule, and return what was said."""
    path = folder / "manifest.yml"
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = [entry for entry in manifest["fires"] if entry["rule"] == X11VNC]
    if change == "a record more":
        entries[0]["records"][0]["lines"].append(1)
    elif change == "a record less":
        manifest["fires"].remove(entries[0])
    elif change == "an unknown rule":
        manifest["fires"].append({"rule": "no-such-rule", "records": entries[0]["records"]})
    elif change == "an empty list":
        entries[0]["records"] = []
    elif change == "a near miss that fires":
        manifest["near_misses"].append(
            {"rule": X11VNC, "records": entries[0]["records"], "why": "wrong"}
        )
    elif change == "an edited log":
        for log in manifest["logs"]:
            log["sha256"] = "0" * 64
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    done = molehunt("test", X11VNC, "--recordings", str(folder.parent))
    assert done.returncode == 2, (change, done.stdout, done.stderr)
    return done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a record more", "should fire on"),
        ("a record less", "which the manifest does not list"),
        ("an unknown rule", "does not exist"),
        ("an empty list", "at least one record"),
        ("a near miss that fires", "near miss"),
        ("an edited log", "was changed"),
    ],
)
def test_a_wrong_manifest_fails(copy: Path, change: str, said: str) -> None:
    """Every way in which a manifest can be untrue is seen."""
    assert said in spoiled(copy, change)


def test_a_rule_without_recordings_fails(tmp_path: Path) -> None:
    """No positive, no near miss, no recordings at all: each is said."""
    done = molehunt("test", X11VNC, "--recordings", str(tmp_path))
    assert done.returncode == 2
    assert "no recordings here" in done.stderr
    assert "no recording on which it must fire" in done.stderr
    assert "no recorded near miss" in done.stderr


def test_invented_proof_keeps_a_rule_experimental(tmp_path: Path) -> None:
    """Rows that nobody recorded prove no stable rule."""
    rule = Path(builtin_rules_path(), "remote_desktop", "proc_creation_linux_x11vnc.yml")
    text = rule.read_text(encoding="utf-8").replace("status: experimental", "status: stable")
    (tmp_path / "rule.yml").write_text(text, encoding="utf-8")
    recordings = tmp_path / "recordings"
    shutil.copytree(RECORDINGS / "linux-near-misses", recordings / "linux-near-misses")
    done = molehunt(
        "test", X11VNC, "--rules", str(tmp_path / "rule.yml"), "--recordings", str(recordings)
    )
    assert "proven on invented rows only" in done.stderr


def hunted(folder: Path, *config: Path) -> list[dict[str, object]]:
    """The findings in a recording, as JSON."""
    options = [part for path in config for part in ("--config", str(path))]
    done = molehunt("hunt", str(folder), *options, "--format", "ndjson")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_timeline_of_the_lab_is_found() -> None:
    """Every staged phase of the real recording is found; before it, nothing above low is."""
    manifest = yaml.safe_load((LAB / "manifest.yml").read_text(encoding="utf-8"))
    findings = hunted(LAB, LAB / "osquery.conf")
    times = [str(finding["first_seen"]) for finding in findings]
    phases = [
        (entry["utc"], entry["phase"])
        for entry in manifest["timeline"]
        if entry["phase"] not in ("note", "end")
    ]
    for (begin, phase), (end, _) in zip(phases, [*phases[1:], ("9999", "")], strict=True):
        begun = [time for time in times if str(begin) <= time < str(end)]
        if phase not in ("baseline", "benign", "teardown"):
            assert begun, phase
    staged = next(begin for begin, phase in phases if phase == "install")
    early = [f for f in findings if str(f["first_seen"]) < str(staged)]
    assert [f for f in early if f["level"] not in ("low", "informational")] == []


def test_the_taxonomy_agrees_with_the_osquery_schema() -> None:
    """Every table, column, join and normaliser in it exists."""
    assert [str(problem) for problem in check_taxonomy(taxonomy(), tables())] == []


def test_the_shipped_pack_is_what_the_rules_need() -> None:
    """The committed pack is current, every query is sound, and every rule is fed."""
    rules = kit.shipped().rules
    pack, problems = make_pack(load_yaml("pack.yml"), rules, tables())
    assert [str(problem) for problem in problems] == []
    shipped = ROOT / "backends" / "osquery" / "molehunt.conf"
    assert shipped.read_text(encoding="utf-8") == render_pack(pack)
    for name, query in pack["queries"].items():
        assert query["interval"] > 0, name
        assert query["version"], name


def test_recordings_hold_no_real_person_or_address() -> None:
    """Made rows use documentation addresses only (real lab rows are loopback and private)."""
    import re

    allowed = re.compile(
        r"^(192\.0\.2|198\.51\.100|203\.0\.113|127|10|172\.(1[6-9]|2\d|3[01])|192\.168|"
        r"100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])|169\.254|198\.1[89]|0|22[4-9]|23\d|255)\."
    )
    # The first networks past the ranges that rules are about, and routes wider than one.
    just_outside = {"100.128.4.0", "128.0.0.0", "172.32.0.1", "175.0.0.0", "198.20.0.1"}
    # Addresses that are themselves the subject of a rule: name servers of VPN services, and the
    # ranges that are registered to North Korea or lent to it, with what lies just behind the first.
    subject = re.compile(
        r"^(103\.86\.96\.100|103\.86\.99\.100|162\.252\.172\.57|194\.242\.2\.4|"
        r"175\.45\.(17[6-9]|180)\.\d+|210\.52\.109\.\d+)$"
    )
    quad = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
    versions = re.compile(
        r"(Chrome|Edg)[/ ]\S+|_\d+(\.\d+){3}_|-v\d+(\.\d+){3}-|"
        r'(?<=\\)\d+(\.\d+){3}(?=\\)|"version":"[^"]*"'
    )
    for manifest in RECORDINGS.glob("*/manifest.yml"):
        said = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        if said["kind"] == "real":
            continue
        # What was published with an incident, and is named as such.
        told = set(quad.findall(said["provenance"])) if said["kind"] == "published" else set()
        for log in manifest.parent.iterdir():
            if log.suffix in (".log", ".ndjson"):
                text = log.read_text(encoding="utf-8")
                text = versions.sub("", text)
                odd = {a for a in quad.findall(text) if not allowed.match(a + ".")}
                odd = {a for a in odd - told if not subject.match(a)}
                assert {
                    a for a in odd if all(int(p) < 256 for p in a.split("."))
                } <= just_outside, log
