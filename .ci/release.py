"""Build a release of the rules: `release.py REVISION VERSION OUTPUT [--key FILE]`.

Makes `molehunt-rules-VERSION.tar.gz` (the rules, their lock, licence and notice), an SBOM of it
(CycloneDX 1.6), and SHA256SUMS of both. The same revision and version give the same bytes, wherever
and whenever it is built: names are sorted, times are the commit's, owners are nobody. With --key,
an SSH key, SHA256SUMS is signed; `ssh-keygen -Y verify -n molehunt-rules` checks it
(docs/release.md).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTENT = ("rules", "LICENSE", "NOTICE")
NAMESPACE = "molehunt-rules"
_ID = uuid.UUID("5f1d0f4e-6e0c-5f5e-9c58-0d9c7a1f7a55")
_VERSION = re.compile(r"\d{4}\.\d{1,2}\.\d+\Z")


def git(*arguments: str) -> bytes:
    """What git says about this repository. Raises CalledProcessError."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def files_at(revision: str) -> dict[str, bytes]:
    """The content of a release by name, sorted; nothing but plain files."""
    data = git("archive", "--format=tar", revision, "--", *CONTENT)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                found[member.name] = stream.read()
    # The Python package marker serves the engine, not the pack.
    return {name: found[name] for name in sorted(found) if not name.endswith(".py")}


def pack(files: Mapping[str, bytes], folder: str, at: int) -> bytes:
    """A gzip tar of the files below `folder`, all of the time `at` (seconds since 1970)."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), at, 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=9) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


def sbom(files: Mapping[str, bytes], version: str, commit: str, at: int, archive: bytes) -> bytes:
    """The bill of materials: each file with its hash, each rule with its id and version."""
    versions = {
        name: (rule, number)
        for line in files["rules/rules.lock"].decode().splitlines()
        for rule, number, _, _, name in [line.split(" ", 4)]
    }
    components = []
    for name, data in files.items():
        rule = versions.get(name.removeprefix("rules/"))
        components.append(
            {
                "type": "data" if name.startswith("rules/") else "file",
                "bom-ref": name,
                "name": name,
                "version": rule[1] if rule else version,
                "hashes": _hashes(data),
                **({"properties": [{"name": "sigma:id", "value": rule[0]}]} if rule else {}),
            }
        )
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_ID, hashlib.sha256(archive).hexdigest())}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "data",
                "bom-ref": f"pkg:github/molehunt/molehunt@{commit}#rules",
                "name": "molehunt-rules",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": _hashes(archive),
            },
        },
        "components": components,
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def _hashes(data: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def build(revision: str, version: str) -> dict[str, bytes]:
    """The files of a release by name."""
    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    at = int(git("show", "-s", "--format=%ct", commit))
    files = files_at(commit)
    name = f"molehunt-rules-{version}"
    archive = pack(files, name, at)
    made = {
        f"{name}.tar.gz": archive,
        f"{name}.cdx.json": sbom(files, version, commit, at, archive),
    }
    sums = "".join(f"{hashlib.sha256(made[one]).hexdigest()}  {one}\n" for one in sorted(made))
    return {**made, "SHA256SUMS": sums.encode()}


def sign(path: Path, key: str) -> None:
    """Write `path`.sig with an SSH key. Raises CalledProcessError."""
    path.with_name(path.name + ".sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, write, and sign if there is a key."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("version", help="YEAR.MONTH.NUMBER, as in the tag rules-VERSION")
    parser.add_argument("output")
    parser.add_argument("--key", metavar="FILE")
    options = parser.parse_args(arguments)
    if not _VERSION.match(options.version):
        print(f"release: {options.version!r} is not YEAR.MONTH.NUMBER", file=sys.stderr)
        return 3
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, data in build(options.revision, options.version).items():
            (folder / name).write_bytes(data)
            print(f"{folder / name}")
        if options.key:
            sign(folder / "SHA256SUMS", options.key)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        print(f"release: {' '.join(error.cmd[:3])}: {said or 'failed'}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
