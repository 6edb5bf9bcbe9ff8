"""Releases of the rules: the same bytes every time, whole, listed, and signed."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from molehunt.cli import main
from molehunt.exits import Exit

ROOT = Path(__file__).resolve().parents[1]
NAME, TAG = "molehunt-rules-2026.11.1", "rules-2026.11.1"
ROW = {
    "name": "pack_molehunt_usb_devices_linux",
    "hostIdentifier": "h1",
    "unixTime": 1700000000,
    "action": "added",
    "columns": {"vendor": "PiKVM", "model": "PiKVM Composite Device", "serial": "CAFEBABE"},
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The script as a module, on a repository with our rules and more, tagged."""
    repository = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rules", repository / "rules", ignore=ignored)
    for name in ("LICENSE", "NOTICE", "README.md"):
        shutil.copy(ROOT / name, repository / name)
    who = ["-c", "user.name=A Person", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", TAG]):
        subprocess.run(["git", *who, *command], cwd=repository, check=True, capture_output=True)
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT = repository
    return module


@pytest.fixture(scope="module")
def built(
    release: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, bytes]]:
    """A release of the tag, signed, and its files."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen to sign with")
    folder = tmp_path_factory.mktemp("release")
    key = folder / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a@example.com", "-f", str(key)]
    subprocess.run(command, check=True)
    assert release.main([TAG, "2026.11.1", str(folder / "dist"), "--key", str(key)]) == 0
    found = {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}
    return folder, found


def test_again(release: ModuleType, built: tuple[Path, dict[str, bytes]]) -> None:
    """Built again it is the same, byte for byte."""
    again = release.build(TAG, "2026.11.1")
    assert again == {name: data for name, data in built[1].items() if not name.endswith(".sig")}


def test_content(built: tuple[Path, dict[str, bytes]]) -> None:
    """Every rule is in it as committed, nothing else of the repository, nobody's name or time."""
    data = built[1][f"{NAME}.tar.gz"]
    assert data[4:8] == bytes(4), "gzip's own time"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        lock = archive.extractfile(f"{NAME}/rules/rules.lock")
        assert lock is not None
        locked = [line.split(" ", 4)[4] for line in lock.read().decode().splitlines()]
    assert names == sorted(names)
    assert {name.split("/")[1] for name in names} == {"rules", "LICENSE", "NOTICE"}
    assert {f"{NAME}/rules/{name}" for name in locked} <= set(names)
    assert not [name for name in names if name.endswith(".py")]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, "", "", 0o644)}
    assert len({member.mtime for member in members}) == 1


def test_sums(built: tuple[Path, dict[str, bytes]]) -> None:
    """The sums are those of the files."""
    lines = built[1]["SHA256SUMS"].decode().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256(built[1][name]).hexdigest() == digest


def test_signature(built: tuple[Path, dict[str, bytes]]) -> None:
    """The signature holds for the sums and for nothing else."""
    folder, found = built
    signers = folder / "allowed"
    signers.write_text(f"a@example.com {(folder / 'key.pub').read_text()}", encoding="utf-8")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "a@example.com"]
    command += ["-n", "molehunt-rules", "-s", str(folder / "dist" / "SHA256SUMS.sig")]
    good = subprocess.run(command, input=found["SHA256SUMS"], check=False, capture_output=True)
    assert good.returncode == 0, good.stderr
    bad = subprocess.run(command, input=b"other", check=False, capture_output=True)
    assert bad.returncode != 0


def test_bill_of_materials(built: tuple[Path, dict[str, bytes]]) -> None:
    """It is valid CycloneDX, and lists each file of the archive with its hash."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = built[1][f"{NAME}.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {one["name"]: one for one in json.loads(text)["components"]}
    data = gzip.decompress(built[1][f"{NAME}.tar.gz"])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            assert stream is not None
            digest = hashlib.sha256(stream.read()).hexdigest()
            component = components.pop(member.name.removeprefix(f"{NAME}/"))
            assert component["hashes"][0]["content"] == digest
    assert not components


def test_hunt(
    built: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unpacked rules hunt."""
    data = built[1][f"{NAME}.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        archive.extractall(tmp_path, filter="data")
    log = tmp_path / "a.results.log"
    log.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    rules = str(tmp_path / NAME / "rules")
    assert main(["hunt", str(log), "--rules", rules, "--format", "ndjson"]) == Exit.DONE
    assert "PiKVM" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["1.0", "2026.11.1; rm", "v2026.11.1"])
def test_version(release: ModuleType, tmp_path: Path, version: str) -> None:
    """A version of no form is refused."""
    assert release.main([TAG, version, str(tmp_path)]) == 3


def test_revision(release: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that is not there is told."""
    assert release.main(["no-such-tag", "2026.11.1", str(tmp_path)]) == 2
    assert "git rev-parse" in capsys.readouterr().err
