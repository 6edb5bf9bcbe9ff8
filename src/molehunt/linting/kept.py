"""What was found in files the last time, by their content: only what changed is checked again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..cache import keep, recall
from ..data import read_bytes
from ..problems import Problem
from .model import Edit, Finding, Span
from .summary import Summary
from .suppress import Suppression

if TYPE_CHECKING:
    from .run import Record

_DATA = (
    *("taxonomy.yml", "pack.yml", "rule.schema.json"),
    *("data/osquery_schema.json", "data/attack_v18.1.json", "rules.lock"),
)
Contents = dict[str, tuple[str, bytes]]


@cache
def tools() -> str:
    """A hash of all that decides what is found, files aside."""
    digest = sha256(repr((__version__, version("pysigma"), sys.version_info[:2])).encode())
    for name in _DATA:
        digest.update(sha256(read_bytes(name)).digest())
    own = files(__package__)
    for place in sorted(own.iterdir(), key=lambda one: one.name):
        if place.name.endswith((".py", ".yml")):
            digest.update(sha256(place.read_bytes()).digest())
    for name in ("ruleset.py", "rulechecks.py", "yamlfile.py", "correlation.py", "sigmatree.py"):
        digest.update(sha256(files("molehunt").joinpath(name).read_bytes()).digest())
    return digest.hexdigest()


class Kept:
    """The records of an earlier run on the same paths. Without paths nothing is kept."""

    def __init__(self, paths: Sequence[str] | None) -> None:
        self._key = ""
        self._old: dict[str, Any] = {}
        self._new: dict[str, Any] = {"files": {}}
        self._changed = False
        self._folders: dict[str, str] = {}
        if paths is not None:
            named = repr([str(Path(path).absolute()) for path in paths])
            self._key = f"lint-{sha256((tools() + named).encode()).hexdigest()}"
            found = recall(self._key)
            self._old = found if isinstance(found, dict) else {}

    def records(
        self, contents: Contents, make: Callable[[Contents], dict[str, Record]]
    ) -> dict[str, Record]:
        """The records of all files, of which only changed ones are made."""
        from .run import Record

        kept = self._old.get("files", {})
        digests = {
            path: sha256(name.encode() + b"\0" + content).hexdigest()
            for path, (name, content) in contents.items()
        }
        found: dict[str, Record] = {}
        plain: dict[str, Any] = {}
        for path, digest in digests.items():
            old = kept.get(path)
            if old is not None and old[0] == digest:
                findings, summaries, suppressions = old[1]
                found[path] = Record(
                    tuple(map(_finding, findings)),
                    tuple(map(_summary, summaries)),
                    tuple(map(_suppression, suppressions)),
                )
                plain[path] = old
        changed = {path: contents[path] for path in contents if path not in found}
        for path, record in make(changed).items():
            found[path] = record
            plain[path] = [digests[path], record]
        self._changed |= bool(changed) or kept.keys() != plain.keys()
        self._new["files"] = plain
        return {path: found[path] for path in contents}

    def together(
        self, summaries: Sequence[Summary], make: Callable[[list[Summary]], list[Finding]]
    ) -> list[Finding]:
        """What the rules show together; made anew if a summary changed."""
        digest = sha256(repr([one[0] for one in self._new["files"].values()]).encode()).hexdigest()
        old = self._old.get("together")
        if old is not None and old[0] == digest:
            self._new["together"] = old
            return list(map(_finding, old[1]))
        # Those that were kept still have lists for tuples, which most runs never look at.
        found = make([one._replace(clauses=_tuple(one.clauses)) for one in summaries])
        self._new["together"] = [digest, found]
        self._changed = True
        return found

    def knows(self, folder: str) -> bool:
        """Whether the manifests of a folder are those of the last run."""
        old = self._old.get("evidence")
        return old is not None and bool(old[0] == self._manifests(folder))

    def _manifests(self, folder: str) -> str:
        if folder not in self._folders:
            digest = sha256(folder.encode())
            for path in sorted(Path(folder).rglob("manifest.yml")):
                digest.update(str(path).encode() + path.read_bytes())
            self._folders[folder] = digest.hexdigest()
        return self._folders[folder]

    def evidence(
        self,
        folder: str,
        make: Callable[[], tuple[dict[str, tuple[list[str], int]], list[Problem]]],
    ) -> tuple[dict[str, tuple[list[str], int]], list[Problem]]:
        """What the manifests of a folder say; made anew if one changed."""
        old = self._old.get("evidence")
        if old is not None and old[0] == self._manifests(folder):
            self._new["evidence"] = old
            return {rule: (kinds, misses) for rule, (kinds, misses) in old[1].items()}, []
        found, problems = make()
        if not problems:
            self._new["evidence"] = [self._manifests(folder), found]
            self._changed = True
        return found, problems

    def keep(self) -> None:
        """Keep it for the next run."""
        if self._key and self._changed:
            keep(self._key, self._new, named=True)


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _finding(plain: list[Any]) -> Finding:
    check, message, path, span, rule, hint, edits = plain
    return Finding(
        check, message, path, Span(*span), rule, hint, tuple(Edit(*edit) for edit in edits)
    )


def _summary(plain: list[Any]) -> Summary:
    values = dict(zip(Summary._fields, plain, strict=True))
    for name in ("place", "id_place"):
        values[name] = Span(*values[name])
    values["refers"] = tuple((reference, Span(*span)) for reference, span in values["refers"])
    for name in ("source", "removed", "lacks"):
        values[name] = tuple(values[name])
    return Summary(**values)


def _suppression(plain: list[Any]) -> Suppression:
    ids, first, last, reason, span = plain
    return Suppression(tuple(ids), first, last, reason, Span(*span))
