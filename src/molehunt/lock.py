"""One line per rule, so that a change is seen: `<id> <version> <hash> <artefacts> <file>`.

The hash is of the meaning: what decides about a finding (log source, detection, correlation or
join, level, and those keys of the `molehunt:` block). Text for people does not count. The artefacts
are `<target>/<profile>:<hash>` with commas between them, one for each product that the rule
compiles for, `-` if there is none. The version grows with the meaning and with an artefact.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from .correlation import Correlation
from .joins import Join
from .problems import Problem
from .rule import Rule, RuleSet
from .rulefiles import JOINS

LOCK = "rules.lock"
HINT = "`molehunt lock --update` writes it anew"
Lockable = Rule | Correlation | Join
# By rule id, the hash of what it compiles to by target and profile.
Artefacts = Mapping[str, Mapping[str, str]]
_ARTEFACTS = re.compile(r"-|[^ :,]+/[^ :,]+:[0-9a-f]{16}(,[^ :,]+/[^ :,]+:[0-9a-f]{16})*")
_NOTHING: Mapping[str, str] = {}


class Entry(NamedTuple):
    """One line. `version` starts at 1 and grows with each change. `artefacts` are hashes by target
    and profile; None where the line was written before they were locked."""

    id: str
    version: int
    meaning: str
    name: str
    artefacts: Mapping[str, str] | None = _NOTHING

    def __str__(self) -> str:
        made = ",".join(f"{key}:{one}" for key, one in sorted((self.artefacts or {}).items()))
        return f"{self.id} {self.version} {self.meaning} {made or '-'} {self.name}"

    def compiles_otherwise(self, other: Entry) -> list[str]:
        """The targets for which both have an artefact, and not the same."""
        if self.artefacts is None or other.artefacts is None:
            return []
        both = sorted(self.artefacts.keys() & other.artefacts.keys())
        return [key for key in both if self.artefacts[key] != other.artefacts[key]]


def meaning_of(rule: Lockable) -> str:
    """16 hexadecimal digits of SHA-256 over the canonical JSON of what the rule means."""
    if isinstance(rule, Join):
        return _digest(
            {
                "uses": dict(rule.uses),
                "days": rule.days,
                "travel": rule.travel and (rule.travel.kilometres, rule.travel.speed),
                "levels": [(number, str(level)) for number, level in rule.levels],
                "subject": rule.subject,
                **({"homes": list(rule.homes)} if rule.homes else {}),
            }
        )
    if isinstance(rule, Correlation):
        return _digest(
            {
                "correlation": rule.raw.get("correlation"),
                "generate": rule.generate,
                "level": str(rule.level),
                "context_only": rule.meta.context_only,
            }
        )
    parts = {
        "logsource": {k: v for k, v in rule.raw.get("logsource", {}).items() if k != "definition"},
        "detection": rule.raw.get("detection"),
        "level": str(rule.level),
        "identity": rule.meta.identity,
        "subject": rule.meta.subject,
        "context_only": rule.meta.context_only,
        "removed": rule.meta.removed,
        "platforms": sorted(rule.meta.platforms),
    }
    if rule.meta.place:
        parts["place"] = rule.meta.place
    return _digest(parts)


def _digest(parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_lock(lines: Sequence[str]) -> tuple[dict[str, Entry], list[Problem]]:
    """The entries by rule id, and the lines that are none."""
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        parts = line.split(" ", 4)
        if len(parts) < 5 or not _ARTEFACTS.fullmatch(parts[3]):
            # A line from before artefacts were locked.
            parts = line.split(" ", 3)
        if len(parts) < 4 or not parts[1].isdigit():
            problems.append(Problem("not a lock line", LOCK, number, hint=HINT))
        elif parts[0] in entries:
            problems.append(Problem("a rule id twice", LOCK, number, parts[0]))
        else:
            made = _artefacts(parts[3]) if len(parts) == 5 else None
            entries[parts[0]] = Entry(parts[0], int(parts[1]), parts[2], parts[-1], made)
    return entries, problems


def _artefacts(text: str) -> dict[str, str]:
    return dict(one.rsplit(":", 1) for one in text.split(",")) if text != "-" else {}


def versions(ruleset: RuleSet) -> dict[str, int]:
    """The version of each rule that means what the lock inside the package says it means."""
    from .data import read_bytes

    entries, _ = parse_lock(read_bytes(LOCK).decode().splitlines())
    return {
        rule.id: entry.version
        for rule in ruleset.both
        if (entry := entries.get(rule.id)) is not None and entry.meaning == meaning_of(rule)
    }


def _name(rule: Lockable) -> str:
    return f"{JOINS}/{Path(rule.path).name}" if isinstance(rule, Join) else rule.name


def update_lock(
    lines: Sequence[str],
    ruleset: RuleSet,
    joins: Sequence[Join] = (),
    artefacts: Artefacts = MappingProxyType({}),
) -> list[str]:
    """The lines as they should be: new rules at 1, changed ones one up, sorted by id."""
    entries, _ = parse_lock(lines)
    every = (*ruleset.both, *joins)
    return sorted(str(_updated(rule, entries.get(rule.id), artefacts)) for rule in every)


def _updated(rule: Lockable, old: Entry | None, artefacts: Artefacts) -> Entry:
    new = Entry(rule.id, 1, meaning_of(rule), _name(rule), artefacts.get(rule.id, _NOTHING))
    if old is None:
        return new
    changed = old.meaning != new.meaning or bool(old.compiles_otherwise(new))
    return new._replace(version=old.version + changed)


def check_lock(
    lines: Sequence[str],
    ruleset: RuleSet,
    joins: Sequence[Join] = (),
    artefacts: Artefacts | None = None,
) -> list[Problem]:
    """What differs between the lock and the rules, and what they compile to if `artefacts` are
    given; empty if the lock is current."""
    entries, problems = parse_lock(lines)
    return [*problems, *_differences(list(lines), entries, (*ruleset.both, *joins), artefacts)]


def _differences(
    lines: list[str],
    entries: dict[str, Entry],
    rules: Sequence[Lockable],
    artefacts: Artefacts | None,
) -> Iterator[Problem]:
    for rule in rules:
        entry = entries.get(rule.id)
        if entry is None:
            yield Problem("rule is not in the lock", rule.path, rule=rule.id, hint=HINT)
        elif entry.meaning != meaning_of(rule):
            what = "rule changed its meaning since it was locked"
            yield Problem(what, rule.path, rule=rule.id, hint=HINT)
        elif entry.name != _name(rule):
            yield Problem(f"rule was locked as {entry.name}", rule.path, rule=rule.id, hint=HINT)
        elif artefacts is not None and (told := _other(entry, artefacts.get(rule.id, _NOTHING))):
            what = f"rule compiles to something else than was locked for {told}"
            yield Problem(what, rule.path, rule=rule.id, hint=HINT)
    known = {rule.id for rule in rules}
    for gone in sorted(set(entries) - known):
        what = f"locked rule is gone: {entries[gone].name}"
        yield Problem(what, LOCK, rule=gone, hint="deprecate a rule instead of deleting it")
    if lines != sorted(lines):
        yield Problem("lines are not sorted", LOCK, hint=HINT)


def _other(entry: Entry, now: Mapping[str, str]) -> str:
    """The targets of which what was locked is not what comes out now; "" if there is none."""
    was = entry.artefacts or {}
    return ", ".join(key for key in sorted(was.keys() | now) if was.get(key) != now.get(key))
