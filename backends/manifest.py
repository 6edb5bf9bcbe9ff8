"""What was compiled, as the manifest that lies beside the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from .model import Artefact, Compiled
from .rendering import pretty
from .support import Support, digest, evidence_of


def make_manifest(
    compiled: Iterable[Compiled],
    files: Mapping[str, bytes],
    versions: Mapping[str, int],
    known: Mapping[tuple[str, str, str], Support],
    release: str,
) -> dict[str, Any]:
    """The manifest as a JSON-able mapping: rules with version, hash and evidence; refusals with
    their reasons; files with SHA-256. `versions` are those of the rule lock (0: not in it)."""
    rules, refused = [], []
    for one in compiled:
        entry = {
            "rule": one.rule,
            "title": one.title,
            "version": versions.get(one.rule, 0),
            "target": one.target,
            "profile": one.profile,
        }
        if isinstance(one, Artefact):
            hashed = digest(one)
            evidence = evidence_of(one, known, hashed)
            assert evidence is not None
            entry |= {
                "language": one.language,
                "hash": hashed,
                "evidence": evidence.name.lower(),
                "differences": list(one.differences),
            }
            rules.append(entry)
        else:
            refused.append(entry | {"code": one.code, "reason": one.reason})
    return {
        "molehunt": release,
        "rules": sorted(rules, key=_place),
        "refused": sorted(refused, key=_place),
        "files": {name: sha256(data).hexdigest() for name, data in sorted(files.items())},
    }


def render(manifest: Mapping[str, Any]) -> bytes:
    """The text of the manifest's file; the same for the same manifest."""
    return pretty(manifest)


def _place(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["target"], entry["profile"], entry["rule"]
