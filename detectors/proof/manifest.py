"""The manifest of a recording: which rules must fire on which records, and what must stay quiet.

docs/recordings.md describes the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.yamlfile import plain_values

# From strongest to weakest: what stands behind the rows of a recording.
KINDS = ("real", "published", "ordered", "invented")
MANIFEST = "manifest.yml"
_KEYS = {
    *("title", "kind", "provenance", "config", "logs", "fires", "near_misses", "timeline"),
    *("organisation", "correlate", "entities", "mmdb", "at_most"),
}


class Spot(NamedTuple):
    """One record of a scenario: log file name, line from 1, row from 0."""

    log: str
    line: int
    row: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """A rule and the records on which it must (or must not) fire.

    A correlation fires on all of them together, in the group with the values `group` (None for a
    rule); `hosts` (any order) and `count` are what its finding says, None where it is left open.
    """

    rule: str
    spots: tuple[Spot, ...]
    why: str = ""
    group: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One folder of recordings. `kinds` has each log's kind; `config` paths are joined to it, and
    so is `organisation`, whose approvals take events from correlations ("" without one). If not
    `correlate`, its rows are samples side by side that mean nothing together.
    `entities` and `mmdb` are the inputs of `hunt` of that name. A hunt through it has no finding
    above `at_most` (None: no limit).
    """

    name: str
    folder: str
    title: str
    kinds: Mapping[str, str]
    config: tuple[str, ...]
    fires: tuple[Expectation, ...]
    near_misses: tuple[Expectation, ...]
    organisation: str = ""
    correlate: bool = True
    entities: str | None = None
    mmdb: tuple[str, ...] = ()
    at_most: Level | None = None

    def path(self, log: str) -> str:
        """The path of one of its logs."""
        return os.path.join(self.folder, log)


def load_scenarios(folder: str) -> tuple[list[Scenario], list[Problem]]:
    """Every scenario below `folder`, sorted by name, with what is wrong in their manifests."""
    scenarios, problems = [], []
    manifests = sorted(_manifests(folder))
    if not manifests:
        hint = "name the folder with --recordings"
        problems.append(Problem("no recordings here", folder, hint=hint))
    for path in manifests:
        scenario, found = load_scenario(path)
        problems += found
        if scenario is not None:
            scenarios.append(scenario)
    return scenarios, problems


def _manifests(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        if MANIFEST in names:
            yield os.path.join(place, MANIFEST)


def load_scenario(path: str) -> tuple[Scenario | None, list[Problem]]:
    """One manifest; None if it is too broken to use."""
    problems: list[Problem] = []
    try:
        with open(path, encoding="utf-8") as stream:
            data = plain_values(stream.read())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return None, [Problem(f"cannot be read: {error}", path)]
    if not isinstance(data, dict):
        return None, [Problem("a manifest is a mapping", path, hint="see docs/recordings.md")]
    for key in sorted(set(data) - _KEYS):
        problems.append(Problem(f"unknown key '{key}'", path))
    for key in ("title", "kind", "provenance", "logs"):
        if not data.get(key):
            problems.append(Problem(f"'{key}' is missing", path))
    folder = os.path.dirname(path)
    kinds = dict(_kinds(data, path, folder, problems))
    if not kinds:
        problems.append(Problem("no logs listed", path))
    scenario = Scenario(
        os.path.basename(folder) or folder,
        folder,
        str(data.get("title", "")),
        kinds,
        tuple(os.path.join(folder, str(name)) for name in data.get("config") or ()),
        tuple(_expectations(data, "fires", path, kinds, problems)),
        tuple(_expectations(data, "near_misses", path, kinds, problems)),
        os.path.join(folder, str(data["organisation"])) if data.get("organisation") else "",
        data.get("correlate", True) is not False,
        os.path.join(folder, str(data["entities"])) if data.get("entities") else None,
        tuple(os.path.join(folder, str(name)) for name in data.get("mmdb") or ()),
        _level(data, path, problems),
    )
    return scenario, problems


def _level(data: Mapping[str, Any], path: str, problems: list[Problem]) -> Level | None:
    named = data.get("at_most")
    if named is None:
        return None
    found = next((level for level in Level if str(level) == named), None)
    if found is None:
        words = ", ".join(map(str, Level))
        problems.append(Problem(f"'at_most' is none of {words}: {named}", path))
    return found


def _kinds(
    data: Mapping[str, Any], path: str, folder: str, problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for entry in data.get("logs") or ():
        if not isinstance(entry, dict) or "file" not in entry:
            problems.append(Problem("a log needs 'file'", path))
            continue
        name, kind = str(entry["file"]), str(entry.get("kind", data.get("kind")))
        if kind not in KINDS:
            problems.append(Problem(f"kind '{kind}' of {name} is none of {', '.join(KINDS)}", path))
            continue
        log = os.path.join(folder, name)
        if not os.path.isfile(log):
            problems.append(Problem(f"no such log: {name}", path))
            continue
        wanted = entry.get("sha256")
        if kind == "real" and not wanted:
            problems.append(Problem(f"{name}: a real recording needs its sha256", path))
        if wanted and _sha256(log) != wanted:
            problems.append(Problem(f"{name} was changed: sha256 is {_sha256(log)}", path))
        yield name, kind


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _expectations(
    data: Mapping[str, Any],
    key: str,
    path: str,
    kinds: Mapping[str, str],
    problems: list[Problem],
) -> Iterator[Expectation]:
    for entry in data.get(key) or ():
        rule = str(entry.get("rule", "")) if isinstance(entry, dict) else ""
        spots = tuple(_spots(entry.get("records") or ())) if rule else ()
        if not rule or not spots:
            problems.append(
                Problem(f"{key}: an entry names a rule and at least one record", path, rule=rule)
            )
            continue
        for spot in spots:
            if spot.log not in kinds:
                problems.append(Problem(f"{key}: {spot.log} is not listed", path, rule=rule))
        why = str(entry.get("why", ""))
        if key == "near_misses" and not why:
            problems.append(Problem("a near miss says why it is one", path, rule=rule))
        known = tuple(s for s in spots if s.log in kinds)
        count = entry.get("count")
        if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
            problems.append(Problem(f"{key}: 'count' is no number: {count}", path, rule=rule))
            count = None
        yield Expectation(rule, known, why, _texts(entry, "group"), _texts(entry, "hosts"), count)


def _texts(entry: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    found = entry.get(key)
    if found is None:
        return None
    return tuple(map(str, found)) if isinstance(found, list) else (str(found),)


def _spots(entries: Sequence[Any]) -> Iterator[Spot]:
    for entry in entries:
        for line in entry.get("lines") or ():
            for row in entry.get("rows") or (0,):
                yield Spot(str(entry.get("log")), int(line), int(row))
