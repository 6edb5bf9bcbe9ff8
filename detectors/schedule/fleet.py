"""Fleet's YAML: reports (queries) of GitOps, and classic query and pack documents.

Sources: https://fleetdm.com/docs/configuration/yaml-files and the `fleetctl` documents
`apiVersion: v1, kind: query|pack`. Fleet 4.82 renamed queries to reports; both are read.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from molehunt.problems import Problem, Severity

from .documents import Document, Lined, read
from .entries import Place, number, platforms_of, scheduled
from .queries import FLEET, ScheduledQuery

_LISTS = ("reports", "queries")
_KINDS = ("query", "report")


def is_fleet(value: object) -> bool:
    """Whether a document is Fleet's rather than osquery's."""
    if isinstance(value, Mapping):
        lists = any(isinstance(value.get(key), list) for key in _LISTS)
        return lists or "apiVersion" in value or "agent_options" in value
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def agent_options(value: object) -> list[Mapping[Any, Any]]:
    """The agent options in a document: GitOps's own, or those of a classic config or team."""
    if not isinstance(value, Mapping):
        return []
    holders: list[object] = [value]
    spec = value.get("spec")
    if str(value.get("kind")).lower() in ("config", "team") and isinstance(spec, Mapping):
        holders += [spec, spec.get("team")]
    found = [holder.get("agent_options") for holder in holders if isinstance(holder, Mapping)]
    return [options for options in found if isinstance(options, Mapping)]


def osquery_configs(options: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    """The osquery configurations in agent options: for all hosts, and those of one system."""
    overrides = options.get("overrides")
    platforms = overrides.get("platforms") if isinstance(overrides, Mapping) else None
    own = list(platforms.values()) if isinstance(platforms, Mapping) else []
    return [config for config in (options.get("config"), *own) if isinstance(config, Mapping)]


@dataclass(slots=True)
class Reports:
    """What Fleet documents say, until all are read: packs may name queries of other files."""

    _queries: list[ScheduledQuery] = field(default_factory=list)
    _sql: dict[str, str] = field(default_factory=dict)
    _packs: list[tuple[Mapping[Any, Any], str]] = field(default_factory=list)
    _unlogged: dict[str, list[str]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._queries) + len(self._sql) + len(self._packs)

    def add(self, document: Document) -> list[Problem]:
        """Take in one document; returns what is wrong with it."""
        value, path = document.value, document.path
        if isinstance(value, list):
            return self._items(value, path)
        assert isinstance(value, Mapping)
        if "apiVersion" in value:
            return self._item(value, path)
        return [
            problem
            for key in _LISTS
            if isinstance(value.get(key), list)
            for problem in self._items(value[key], path)
        ]

    def finish(self) -> tuple[list[ScheduledQuery], list[Problem]]:
        """All scheduled queries, with those of classic packs, and what is wrong with the whole."""
        problems = []
        for spec, path in self._packs:
            for found in self._pack(spec, path):
                if isinstance(found, Problem):
                    problems.append(found)
                else:
                    self._queries.append(found)
        for path, names in self._unlogged.items():
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
            what = f"not sent to the log destination (automations_enabled: false): {shown}"
            hint = "set automations_enabled: true to have rules see them"
            problems.append(Problem(what, path, hint=hint, severity=Severity.WARNING))
        return self._queries, problems

    def _items(self, items: Iterable[object], path: str) -> list[Problem]:
        return [problem for item in items for problem in self._item(item, path)]

    def _item(self, item: object, path: str) -> list[Problem]:
        if not isinstance(item, Mapping):
            return [Problem("not a report", path, hint="a report has name, query and interval")]
        if "kind" in item:
            return self._classic(item, path)
        for key in ("path", "paths"):
            if isinstance(item.get(key), str):
                return self._file(item[key], path, _line(item))
        return self._report(item, path)

    def _file(self, value: str, path: str, line: int | None) -> list[Problem]:
        pattern = os.path.join(os.path.dirname(path), value)
        found = sorted(glob.glob(pattern)) if "*" in value else [pattern]
        problems = []
        for file in found:
            real = os.path.realpath(file)
            if real in self._read:
                continue
            self._read.add(real)
            documents = read(file)
            if isinstance(documents, Problem):
                hint = f"{path} names it"
                problems.append(replace(documents, hint=hint))
                continue
            for document in documents:
                if is_fleet(document.value):
                    problems += self.add(document)
        return problems if found else [Problem(f"no file {value}", path, line, hint="see path")]

    def _classic(self, item: Mapping[Any, Any], path: str) -> list[Problem]:
        kind, spec = str(item["kind"]).lower(), item.get("spec")
        if kind not in (*_KINDS, "pack"):
            return []
        if not isinstance(spec, Mapping):
            return [Problem(f"{kind} without spec", path, _line(item), hint="add name and query")]
        if kind == "pack":
            self._packs.append((spec, path))
            return []
        if spec.get("name") and isinstance(spec.get("query"), str):
            self._sql.setdefault(str(spec["name"]), spec["query"])
        return self._report(spec, path)

    def _report(self, entry: Mapping[Any, Any], path: str) -> list[Problem]:
        """One report; with interval 0 or none it is not scheduled, so nothing is logged."""
        name = entry.get("name")
        if name in (None, ""):
            return [Problem("report without a name", path, _line(entry), hint="give it a name")]
        if isinstance(entry.get("query"), str) and number(entry.get("interval", 0)) == 0:
            self._sql.setdefault(str(name), entry["query"])
            return []
        place = Place(FLEET, frozenset(), path, _line(entry))
        found = scheduled(str(name), _with_logging(entry), place)
        if isinstance(found, Problem):
            return [found]
        self._sql.setdefault(found.name, found.sql)
        if entry.get("automations_enabled") is False:
            self._unlogged.setdefault(path, []).append(found.name)
            found = replace(found, logged=False)
        self._queries.append(found)
        return []

    def _pack(self, spec: Mapping[Any, Any], path: str) -> list[ScheduledQuery | Problem]:
        name, entries = str(spec.get("name", "")), spec.get("queries")
        if not name or not isinstance(entries, list):
            what = f"pack {name or 'without a name'}: no queries"
            return [Problem(what, path, _line(spec), hint="give it name and queries")]
        platforms = platforms_of(spec.get("platform")) or frozenset()
        found: list[ScheduledQuery | Problem] = []
        for entry in entries:
            wanted = str(entry.get("query", "")) if isinstance(entry, Mapping) else ""
            if not isinstance(entry, Mapping) or wanted not in self._sql:
                what = f"pack {name}: query {wanted or '?'} is not in these files"
                hint = "give the file that has it, too"
                found.append(Problem(what, path, _line(entry) or _line(spec), hint=hint))
                continue
            full = {**entry, "query": self._sql[wanted]}
            place = Place(name, platforms, path, _line(entry))
            found.append(scheduled(str(entry.get("name") or wanted), full, place))
        return found


def _with_logging(entry: Mapping[Any, Any]) -> dict[Any, Any]:
    logging = entry.get("logging")
    if logging == "snapshot":
        return {**entry, "snapshot": True}
    if logging == "differential_ignore_removals":
        return {**entry, "removed": False}
    return dict(entry)


def _line(value: object) -> int | None:
    return value.line if isinstance(value, Lined) else None
