"""Schedules from osquery configurations, pack files and Fleet's YAML.

Sources: osquery/config/config.cpp, osquery/config/packs.cpp and
plugins/config/filesystem_config.cpp of https://github.com/osquery/osquery.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from molehunt.problems import Problem

from . import fleet
from .documents import Document, Lined, read
from .entries import Place, platforms_of, scheduled
from .queries import DELIMITERS, MAIN, Schedule, ScheduledQuery

_CONFIG_KEYS = ("schedule", "packs", "options", "views", "decorators", "file_paths")


def load_schedule(paths: Iterable[str | os.PathLike[str]]) -> tuple[Schedule, list[Problem]]:
    """The schedule that these files make together, and what was wrong with them.

    Takes osquery configurations (with the packs that they name, and the files of `<path>.d` that
    osquery reads with them), pack files, multi-pack files, and Fleet's YAML (GitOps, and classic
    query and pack documents). An entry that cannot be used is a problem; those beside it stay.
    """
    loader = _Loader()
    for path in dict.fromkeys(os.fspath(path) for path in paths):
        loader.load_file(path)
    return loader.finish()


class _Loader:
    """Gathers what the files say."""

    def __init__(self) -> None:
        self.queries: dict[ScheduledQuery, None] = {}
        self.problems: list[Problem] = []
        self.delimiters: dict[str, None] = {}
        self.views: dict[str, str] = {}
        self.fleet = fleet.Reports()

    def finish(self) -> tuple[Schedule, list[Problem]]:
        queries, problems = self.fleet.finish()
        self.problems += problems
        return (
            Schedule(
                tuple(dict.fromkeys((*self.queries, *queries))),
                tuple(dict.fromkeys((*self.delimiters, *DELIMITERS))),
                MappingProxyType(self.views),
            ),
            self.problems,
        )

    def load_file(self, path: str) -> None:
        """A file that the user named."""
        for part in (*sorted(glob.glob(glob.escape(path) + ".d/*.conf")), path):
            documents = read(part)
            if isinstance(documents, Problem):
                self.problems.append(documents)
                continue
            before = len(self.queries) + len(self.fleet) + len(self.problems) + len(self.views)
            for document in documents:
                self.load_document(document)
            if before == len(self.queries) + len(self.fleet) + len(self.problems) + len(self.views):
                self.problem(
                    part,
                    None,
                    "no scheduled queries in this file",
                    "give a file with schedule, packs, queries or reports",
                )

    def load_document(self, document: Document) -> None:
        value = document.value
        if fleet.is_fleet(value):
            self.problems += self.fleet.add(document)
            for options in fleet.agent_options(value):
                self.agent_options(options, document)
        elif not isinstance(value, Mapping):
            if value is not None:
                self.problem(document.path, None, "not an object", "is it a configuration?")
        elif any(key in value for key in _CONFIG_KEYS):
            self.config(document)
        elif "queries" in value:
            self.pack(None, value, document)
        else:
            self.packs({k: v for k, v in value.items() if _is_pack(v)}, document)

    def agent_options(self, options: Mapping[object, object], document: Document) -> None:
        """Fleet's agent options, in the document or in a file that it names."""
        for config in fleet.osquery_configs(options):
            self.config(document._replace(value=config))
        path = options.get("path")
        if not isinstance(path, str):
            return
        file = os.path.join(os.path.dirname(document.path), path)
        documents = read(file)
        if isinstance(documents, Problem):
            self.problems.append(replace(documents, hint=f"{document.path} names it"))
            return
        for found in documents:
            if isinstance(found.value, Mapping):
                # A file cannot name another one, so that they cannot go in circles.
                for config in fleet.osquery_configs(found.value):
                    self.config(found._replace(value=config))

    def config(self, document: Document) -> None:
        """An osquery configuration."""
        value, path = document.value, document.path
        assert isinstance(value, Mapping)
        options = value.get("options")
        delimiter = options.get("pack_delimiter") if isinstance(options, Mapping) else None
        if isinstance(delimiter, str) and delimiter:
            self.delimiters[delimiter] = None
        views = value.get("views")
        if isinstance(views, Mapping):
            self.views.update((str(k), v) for k, v in views.items() if isinstance(v, str) and v)
        for key, value_of_key in value.items():
            if key not in ("schedule", "packs", "queries"):
                continue
            line = document.lines.of(key)
            if not isinstance(value_of_key, Mapping):
                self.problem(path, line, f"{key} is not an object", "see osquery's documentation")
            elif key == "schedule":
                self.pack(MAIN, {"queries": value_of_key}, document)
            elif key == "packs":
                self.packs(value_of_key, document)
            else:
                self.pack(None, value, document)

    def packs(self, packs: Mapping[object, object], document: Document) -> None:
        """Packs by name: inline, or as the path of a file; `*` stands for several."""
        for key, value in packs.items():
            name, line = str(key), document.lines.of(str(key)) or _line(value)
            if isinstance(value, Mapping):
                if name == "*":
                    self.packs(value, document)
                else:
                    self.pack(name, value, document)
            elif isinstance(value, str):
                self.pack_files(name, value, document.path, line)
            else:
                what = f"pack {name}: neither an object nor a path"
                self.problem(document.path, line, what, "give its queries or its file")

    def pack_files(self, name: str, value: str, path: str, line: int | None) -> None:
        found = _matching(value, path) if name == "*" else _existing(value, path)
        if not found:
            what = f"pack {name}: no file {value}"
            hint = "copy it beside the configuration, or give the pack file itself"
            self.problem(path, line, what, hint)
        for file in found:
            documents = read(file)
            if isinstance(documents, Problem):
                self.problems.append(documents)
                continue
            for document in documents:
                if isinstance(document.value, Mapping):
                    own = Path(file).stem if name == "*" else name
                    self.pack(own, document.value, document)
                else:
                    self.problem(file, None, "not an object", "a pack file has queries")

    def pack(self, name: str | None, value: Mapping[object, object], document: Document) -> None:
        """One pack, or `schedule` as the pack `main`."""
        path, lines = document.path, document.lines
        queries = value.get("queries")
        if not isinstance(queries, Mapping):
            what = f"pack {name}: it has no queries" if name else "queries is not an object"
            self.problem(path, _line(value), what, 'a pack looks like {"queries": {…}}')
            return
        platforms = platforms_of(value.get("platform"))
        for key, entry in queries.items():
            line = lines.of(str(key)) or _line(entry)
            inherits = platforms is None and isinstance(entry, Mapping)
            whole = {**entry, "platform": value.get("platform")} if inherits else entry
            place = Place(name, platforms or frozenset(), path, line)
            found = scheduled(str(key), whole, place)
            if isinstance(found, Problem):
                self.problems.append(found)
            else:
                self.queries[found] = None

    def problem(self, path: str, line: int | None, what: str, hint: str) -> None:
        self.problems.append(Problem(what, path, line, hint=hint))


def _line(value: object) -> int | None:
    return value.line if isinstance(value, Lined) else None


def _is_pack(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("queries"), Mapping)


def _places(value: str, config: str) -> tuple[str, ...]:
    """Where a path in a configuration may lie: as osquery finds it (a relative one from the
    configuration's folder), or copied beside the configuration, or below the current folder."""
    folder = os.path.dirname(config)
    return (os.path.join(folder, value), os.path.join(folder, os.path.basename(value)), value)


def _existing(value: str, config: str) -> list[str]:
    """The file of a pack."""
    return [path for path in _places(value, config) if os.path.isfile(path)][:1]


def _matching(value: str, config: str) -> list[str]:
    """The files of a pattern in osquery's spelling, in which `%` is `*` and `%%` is recursive."""
    pattern = value.replace("%%", "**").replace("%", "*")
    for candidate in _places(pattern, config):
        found = sorted(p for p in glob.glob(candidate, recursive=True) if os.path.isfile(p))
        if found:
            return found
    return []
