"""Compiled rules as what osquery and Fleet load: packs for each system, GitOps YAML, the budget.

Formats: docs/wiki/deployment/configuration.md of osquery/osquery ("Packs"), and Fleet's "GitOps"
YAML reference (keys of `queries`, called `reports` from Fleet 4.82).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from molehunt.correlation import Correlation
from molehunt.processes import mapped
from molehunt.yamlloader import SAFE_DUMPER

from ..model import Artefact, Packing
from ..rendering import indented
from .budget import budget, budget_page
from .compiling import LONGEST, pack_sources
from .pack import render_pack

SYSTEMS = ("linux", "darwin", "windows")
DAY = 86400
_FULL = LONGEST * 3 // 4

Pack = dict[str, Any]


def package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    """Packs by system (and by the events they need), Fleet's YAML, and what it all costs a host."""
    entries = list(_entries(artefacts, packing))
    packs = dict(_packs(entries))
    files = {f"packs/{name}.conf": render_pack(pack).encode() for name, pack in packs.items()}
    files["fleet/molehunt_detect.yml"] = _fleet(entries)
    rules = [one.rule for one in artefacts]
    costs = [budget(system, packs, rules) for system in SYSTEMS]
    files["budget.json"] = (indented(costs, sort_keys=True) + "\n").encode()
    files["budget.md"] = budget_page(costs).encode()
    return files


def _entries(
    artefacts: Iterable[Artefact], packing: Packing
) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Name, the osqueryd options that it needs, and the entry of the pack."""
    members = long_members(packing)
    for artefact in artefacts:
        for (name, entry), statement in zip(artefact.body.items(), artefact.query, strict=True):
            if statement["covered"]:
                continue
            source = pack_sources()[statement["queries"][0]]
            yield name, source.flags, dict(entry)
            if artefact.rule in members and not source.evented:
                again = {"interval": DAY, "snapshot": True, "removed": False}
                yield f"{name}_daily", source.flags, entry | again


def long_members(packing: Packing) -> frozenset[str]:
    """Rules whose rows a correlation still wants to see after a day: a state is logged once, so it
    has to be logged again."""
    return frozenset(
        member
        for one in packing.rules.values()
        if isinstance(one, Correlation) and one.timespan > DAY
        for member in one.rules
    )


def _packs(
    entries: Iterable[tuple[str, tuple[str, ...], dict[str, Any]]],
) -> Iterator[tuple[str, Pack]]:
    """One pack for the states of each system, one for each kind of events."""
    sorted_out: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for name, flags, entry in entries:
        for system in entry["platform"].split(","):
            sorted_out.setdefault((system, flags), {})[name] = entry | {"platform": system}
    for (system, flags), queries in sorted(sorted_out.items()):
        plain = f"molehunt_detect_{system}" + (f"_{_kind(flags)}" if flags else "")
        parts = list(_filled(queries))
        for number, part in enumerate(parts, 1):
            name = plain if len(parts) == 1 else f"{plain}_{number}"
            yield (
                name,
                {
                    "platform": system,
                    "shard": 100,
                    "discovery": [_discovery(flag) for flag in flags],
                    "queries": part,
                },
            )


def _filled(queries: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The queries in parts that osquery still reads."""
    part: dict[str, Any] = {}
    size = 0
    for name, entry in sorted(queries.items()):
        mine = len(indented({name: entry})) * 11 // 10
        if part and size + mine > _FULL:
            yield part
            part, size = {}, 0
        part[name] = entry
        size += mine
    if part:
        yield part


def _kind(flags: Sequence[str]) -> str:
    """The events behind osqueryd options, in a word."""
    last = flags[-1].lstrip("-").partition("=")[0]
    for word in ("audit_allow_", "enable_", "disable_", "_subscriber", "_publisher"):
        last = last.replace(word, "")
    return last


def _discovery(flag: str) -> str:
    """A query with a row only where osqueryd runs with the option, so that event tables that
    nothing fills are not asked."""
    name, _, value = flag.lstrip("-").partition("=")
    return f"SELECT 1 FROM osquery_flags WHERE name = '{name}' AND value = '{value}';"  # noqa: S608 - our own words


def _fleet(entries: Iterable[tuple[str, tuple[str, ...], dict[str, Any]]]) -> bytes:
    """A list of Fleet queries, for `queries: [{path: ...}]` (from Fleet 4.82 `reports:`)."""
    listed = [
        {
            "name": f"molehunt_detect_{name}",
            "description": entry["description"] + (f" Needs {' '.join(flags)}." if flags else ""),
            "query": entry["query"],
            "platform": entry["platform"],
            "interval": entry["interval"],
            "automations_enabled": True,
            "observer_can_run": False,
            "logging": _logging(entry),
            "min_osquery_version": entry["version"],
        }
        for name, flags, entry in sorted(entries, key=lambda one: one[0])
    ]
    return "".join(mapped(_listed, listed)).encode() if listed else b"[]\n"


def _listed(entry: Mapping[str, Any]) -> str:
    """An entry of a list in YAML. Nothing in it stands twice, so that it needs no others."""
    made: str = yaml.dump(
        [entry], Dumper=SAFE_DUMPER, sort_keys=False, allow_unicode=True, width=1 << 20
    )
    return made


def _logging(entry: Mapping[str, Any]) -> str:
    if entry["snapshot"]:
        return "snapshot"
    return "differential" if entry["removed"] else "differential_ignore_removals"
