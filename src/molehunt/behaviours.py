"""The catalogue of behaviours: `rules/behaviours.yml` as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .data import load_yaml
from .problems import Problem
from .schema import Table

# The systems of osquery in its spelling, and what a rule on sign-in logs is for.
SIGN_IN = "sign_in"
SYSTEMS = ("linux", "darwin", "windows", SIGN_IN)
SYSTEM_NAMES = {"linux": "Linux", "darwin": "macOS", "windows": "Windows", SIGN_IN: "sign-in"}
_KEYS = {"id", "name", "phase", "context", "sees", "cannot"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One entry. `sees` has the tables or logs by system; a system that is not in it cannot show
    it. `cannot` says by system what stays unseen and why. `context`: never alerts alone."""

    id: str
    name: str
    phase: str
    context: bool
    sees: Mapping[str, tuple[str, ...]]
    cannot: Mapping[str, str]


@cache
def behaviours() -> tuple[Behaviour, ...]:
    """The whole catalogue, in order."""
    return parse_behaviours(load_yaml("behaviours.yml"))


def parse_behaviours(data: Any) -> tuple[Behaviour, ...]:
    """The file's entries as values; `check_behaviours` says what is wrong with them."""
    return tuple(
        Behaviour(
            entry["id"],
            entry["name"],
            data["phases"][entry["phase"]],
            bool(entry.get("context", False)),
            {system: tuple(tables) for system, tables in entry["sees"].items()},
            _spread(entry.get("cannot", {})),
        )
        for entry in data["behaviours"]
    )


def _spread(cannot: Mapping[str, str]) -> dict[str, str]:
    """What is said of all systems, said of each."""
    both = {system: [cannot[k] for k in ("all", system) if k in cannot] for system in SYSTEMS}
    return {system: " ".join(texts) for system, texts in both.items() if texts}


def check_behaviours(data: Any, tables: Mapping[str, Table]) -> Iterator[Problem]:
    """Keys, systems and tables that do not exist, systems that nothing is said of, ids twice."""
    seen: set[str] = set()
    for entry in data["behaviours"]:
        name = str(entry.get("id"))
        if name in seen:
            yield Problem(f"{name}: id twice", "behaviours.yml")
        seen.add(name)
        for key in sorted(set(entry) - _KEYS):
            yield Problem(f"{name}: unknown key '{key}'", "behaviours.yml")
        if entry.get("phase") not in data["phases"]:
            yield Problem(f"{name}: unknown phase '{entry.get('phase')}'", "behaviours.yml")
        said = set(entry["sees"]) | set(entry.get("cannot", {}))
        for system in sorted(said - {*SYSTEMS, "all"}):
            yield Problem(f"{name}: unknown system '{system}'", "behaviours.yml")
        for system in SYSTEMS[:3] if "all" not in said else ():
            if system not in said:
                yield Problem(f"{name}: says nothing of {system}", "behaviours.yml")
        for system, names in entry["sees"].items():
            for table in names if system != SIGN_IN else ():
                if table not in tables or system not in tables[table].platforms:
                    yield Problem(f"{name}: {system} has no table {table}", "behaviours.yml")
