"""The reviewed refusals and differences, `backends/reviewed.yml`, as values and as a check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from molehunt.problems import Problem

from .model import Artefact, Compiled, Refusal

FILE = "backends/reviewed.yml"
_KINDS = ("refusals", "differences")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One accepted code of a target. No `rules`: it may be any rule's."""

    target: str
    kind: str
    code: str
    reason: str
    rules: frozenset[str]


def load_reviewed() -> tuple[list[Reviewed], list[Problem]]:
    """Every entry of the file, and what is wrong with it."""
    from molehunt.data import yaml_of

    data: Any = yaml_of(files(__package__).joinpath("reviewed.yml").read_bytes()) or {}
    found: list[Reviewed] = []
    problems: list[Problem] = []
    for target, kinds in data.items():
        for kind, entries in kinds.items():
            if kind not in _KINDS:
                problems.append(Problem(f"{target}: unknown key {kind}", FILE))
                continue
            for entry in entries:
                found.append(
                    Reviewed(
                        str(target),
                        kind,
                        str(entry["code"]),
                        str(entry["reason"]),
                        frozenset(map(str, entry.get("rules") or ())),
                    )
                )
                if not found[-1].reason.strip():
                    problems.append(Problem(f"{target}: {entry['code']} has no reason", FILE))
    return found, problems


def unreviewed(compiled: Iterable[Compiled], known: Iterable[Reviewed]) -> Iterator[Problem]:
    """Refusals and differences that nobody has accepted; each code of a target once."""
    allowed: Mapping[tuple[str, str, str], list[Reviewed]] = _by_code(known)
    told: dict[tuple[str, str, str], list[str]] = {}
    for one in compiled:
        for kind, code in _codes(one):
            entries = allowed.get((one.target, kind, code), [])
            if not any(not entry.rules or one.rule in entry.rules for entry in entries):
                told.setdefault((one.target, kind, code), []).append(one.rule)
    for (target, kind, code), rules in sorted(told.items()):
        many = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
        yield Problem(
            f"{target}: {kind[:-1]} '{code}' of rule {rules[0]}{many} is not reviewed",
            FILE,
            rule=rules[0],
            hint="read why, then write it down there with its reason",
        )


def stale(compiled: Iterable[Compiled], known: Iterable[Reviewed]) -> Iterator[Problem]:
    """Entries that no rule needs, of the targets that were compiled: for the whole shipped set."""
    used: set[tuple[str, str, str, str]] = set()
    seen: set[str] = set()
    for one in compiled:
        seen.add(one.target)
        for kind, code in _codes(one):
            used.add((one.target, kind, code, one.rule))
    codes = {key[:3] for key in used}
    for entry in known:
        if entry.target not in seen:
            continue
        what = f"{entry.target}: no rule needs {entry.kind[:-1]} '{entry.code}'"
        key = (entry.target, entry.kind, entry.code)
        if not entry.rules and key not in codes:
            yield Problem(what, FILE, hint="delete the entry")
        for rule in sorted(entry.rules):
            if (*key, rule) not in used:
                yield Problem(f"{what} for {rule}", FILE, rule=rule, hint="delete the id")


def _codes(one: Compiled) -> Iterator[tuple[str, str]]:
    if isinstance(one, Refusal):
        yield "refusals", one.code
    elif isinstance(one, Artefact):
        for code in one.differences:
            yield "differences", code


def _by_code(known: Iterable[Reviewed]) -> dict[tuple[str, str, str], list[Reviewed]]:
    found: dict[tuple[str, str, str], list[Reviewed]] = {}
    for entry in known:
        found.setdefault((entry.target, entry.kind, entry.code), []).append(entry)
    return found
