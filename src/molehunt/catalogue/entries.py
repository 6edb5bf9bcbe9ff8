"""The catalogue of tools: files of rules/catalogue in, checked values out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..problems import Problem
from ..yamlfile import Document, KeyPath, read_file

SYSTEMS = ("windows", "macos", "linux")
COMPARISONS = ("is", "starts", "ends", "contains", "matching")
SEEN, RECALLED = "seen", "recalled"
SCHEMA = "catalogue.schema.json"


@dataclass(frozen=True, slots=True)
class Key:
    """One value that tells a tool. `shared` values belong to other software as well."""

    value: str
    comparison: str
    status: str
    sources: tuple[str, ...]
    shared: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A command line that prepares a tool for somebody who is not at the keyboard. `telling` texts,
    all of one list, say so whatever the program is called, and so does what `telling_matching`
    finds."""

    slug: str
    title: str
    detects: str
    why: str
    program: tuple[str, ...]
    any_of: tuple[str, ...]
    all_of: tuple[str, ...]
    matching: tuple[str, ...]
    unless: tuple[str, ...]
    sources: tuple[str, ...]
    level: str
    validate: str = ""
    falsepositives: tuple[str, ...] = ()
    telling: tuple[tuple[str, ...], ...] = ()
    telling_matching: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """One entry. `keys` maps system and kind, as in the file, to the values."""

    id: str
    name: str
    category: str
    vendor: str
    benign: str
    added: date
    sources: Mapping[str, str]
    path: str = ""
    cases: tuple[str, ...] = ()
    about: str = ""
    raised: str = ""
    lowered: str = ""
    falsepositives: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    look: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    by_hand: frozenset[str] = frozenset()
    traces: bool = False
    keys: Mapping[tuple[str, str], tuple[Key, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    set_up: Mapping[str, tuple[SetUp, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, system: str, kind: str) -> tuple[Key, ...]:
        """The values of a kind; empty if there are none."""
        return self.keys.get((system, kind), ())


def read_catalogue(folder: str) -> tuple[list[Tool], list[Problem]]:
    """The tools of a folder in the order of their ids, and what is wrong with the others.

    The schema is the file `catalogue.schema.json` beside the folder.
    """
    root = Path(folder)
    files = sorted(root.glob("*.yml"))
    if not files:
        return [], [Problem("no catalogue files (*.yml) in this folder", folder)]
    check = _checker(root.parent / SCHEMA)
    tools: list[Tool] = []
    problems: list[Problem] = []
    for file in files:
        documents, found = read_file(str(file))
        for document in documents:
            wrong = list(_wrong(document, str(file), check))
            found += wrong
            if not wrong:
                tools.append(_tool(document.data, str(file)))
        problems += found
    return tools, problems


def _checker(path: Path) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(path.read_bytes()))


def _wrong(document: Document, path: str, check: Any) -> Iterator[Problem]:
    errors = sorted(check.iter_errors(document.data), key=lambda error: str(error.json_path))
    for error in errors:
        place: KeyPath = tuple(error.absolute_path)
        what = f"{'.'.join(str(part) for part in place)}: {error.message}".removeprefix(": ")
        yield Problem(what[:300], path, document.near(place), hint="see docs/catalogue.md")
    if not errors:
        yield from _unfit(document, path)


def _unfit(document: Document, path: str) -> Iterator[Problem]:
    """What a schema cannot say."""
    data = document.data
    if not isinstance(data["added"], date):
        yield Problem("added must be a day", path, document.near(("added",)), hint="YYYY-MM-DD")
    if Path(path).stem != data["id"]:
        what = f"the file of {data['id']} must be called {data['id']}.yml"
        yield Problem(what, path, document.near(("id",)))
    known = {SEEN, RECALLED, *data["sources"]}
    used: set[str] = set()
    for place, entry in _entries(data):
        used.update(entry["source"])
        if RECALLED in entry["source"] and entry.get("status") != "uncertain":
            what = "a value that is only recalled must be uncertain"
            yield Problem(what, path, document.near((*place, "status")))
        for name in entry["source"]:
            if name not in known:
                yield Problem(
                    f"source '{name}' has no address",
                    path,
                    document.near((*place, "source")),
                    hint="add it under sources",
                )
    for name in sorted(set(data["sources"]) - used):
        place = ("sources", name)
        yield Problem(f"source '{name}' is cited by no value", path, document.near(place))


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    for system in SYSTEMS:
        for kind, entries in data.get(system, {}).items():
            for index, entry in enumerate(entries):
                yield (system, kind, index), entry


def _tool(data: Mapping[str, Any], path: str) -> Tool:
    keys: dict[tuple[str, str], tuple[Key, ...]] = {}
    set_up: dict[str, tuple[SetUp, ...]] = {}
    for system in SYSTEMS:
        for kind, entries in data.get(system, {}).items():
            if kind == "set_up":
                set_up[system] = tuple(_set_up(entry) for entry in entries)
            else:
                keys[system, kind] = tuple(_key(entry) for entry in entries)
    return Tool(
        id=data["id"],
        name=data["name"],
        category=data["category"],
        vendor=data["vendor"],
        benign=data["benign"],
        added=data["added"],
        sources=MappingProxyType(dict(data["sources"])),
        path=path,
        cases=_texts(data, "cases"),
        about=data.get("about", ""),
        raised=data.get("raised", ""),
        lowered=data.get("lowered", ""),
        falsepositives=_texts(data, "falsepositives"),
        blind_spots=_texts(data, "blind_spots"),
        look=MappingProxyType(dict(data.get("look", {}))),
        by_hand=frozenset(data.get("by_hand", ())),
        traces=data.get("traces", False),
        keys=MappingProxyType(keys),
        set_up=MappingProxyType(set_up),
    )


def _key(entry: Mapping[str, Any]) -> Key:
    comparison = next(name for name in COMPARISONS if name in entry)
    return Key(
        value=entry[comparison],
        comparison=comparison,
        status=entry["status"],
        sources=tuple(entry["source"]),
        shared=entry.get("shared", False),
        note=entry.get("note", ""),
    )


def _set_up(entry: Mapping[str, Any]) -> SetUp:
    return SetUp(
        slug=entry["slug"],
        title=entry["title"],
        detects=entry["detects"],
        why=entry["why"],
        program=_texts(entry, "program"),
        any_of=_texts(entry, "any"),
        all_of=_texts(entry, "all"),
        matching=_texts(entry, "matching"),
        unless=_texts(entry, "unless"),
        sources=tuple(entry["source"]),
        level=entry["level"],
        validate=entry.get("validate", ""),
        falsepositives=_texts(entry, "falsepositives"),
        telling=tuple(tuple(texts) for texts in entry.get("telling", ())),
        telling_matching=_texts(entry, "telling_matching"),
    )


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(data.get(key, ()))


def addresses(tool: Tool, names: Iterable[str]) -> list[str]:
    """The public addresses behind source names, in the order of the entry, each once."""
    wanted = set(names)
    return [address for name, address in tool.sources.items() if name in wanted]
