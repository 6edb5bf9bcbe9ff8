"""Two states of rules, queries and recordings in; what differs out, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, NamedTuple

import yaml

from ..lock import Entry, meaning_of
from ..problems import Problem

if TYPE_CHECKING:
    from molehunt.backends.model import Compiled

    from ..correlation import Correlation
    from ..rule import Rule

CONTEXT = 2


@dataclass(frozen=True, slots=True)
class RuleChange:
    """`kind` is `new`, `removed`, `meaning` (it finds something else now), `text` (words only) or
    `moved` (another file). `diff` are lines of a unified diff of the rule's YAML."""

    kind: str
    rule: str
    title: str
    level: str
    was: str
    path: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryChange:
    """How one target's compiled query of a rule changed; "" stands for none."""

    target: str
    rule: str
    title: str
    diff: tuple[str, ...]


class Place(NamedTuple):
    """A recorded row: the scenario's log, line from 1, row from 0."""

    log: str
    line: int
    row: int


@dataclass(frozen=True, slots=True)
class FiredChange:
    """A recorded row on which a rule now fires (`gained`), or no longer does."""

    rule: str
    title: str
    gained: bool
    places: tuple[Place, ...]


def rule_changes(
    old: Iterable[Rule | Correlation], new: Iterable[Rule | Correlation]
) -> list[RuleChange]:
    """What became of each rule and correlation, by id; unchanged ones are left out."""
    before, after = {one.id: one for one in old}, {one.id: one for one in new}
    found = []
    for key in sorted(before.keys() | after.keys()):
        change = _rule_change(before.get(key), after.get(key))
        if change is not None:
            found.append(change)
    return sorted(found, key=lambda change: (change.path, change.rule))


def _rule_change(
    old: Rule | Correlation | None, new: Rule | Correlation | None
) -> RuleChange | None:
    if new is None:
        assert old is not None
        return RuleChange("removed", old.id, old.title, "", str(old.level), old.name)
    level = str(new.level)
    if old is None:
        return RuleChange("new", new.id, new.title, level, "", new.name)
    diff = _diff(_yaml(old), _yaml(new))
    if meaning_of(old) != meaning_of(new):
        kind = "meaning"
    elif diff:
        kind = "text"
    elif old.name != new.name:
        kind, diff = "moved", (f"-{old.name}", f"+{new.name}")
    else:
        return None
    return RuleChange(kind, new.id, new.title, level, str(old.level), new.name, diff)


def _yaml(rule: Rule | Correlation) -> list[str]:
    text = yaml.safe_dump(_plain(rule.raw), sort_keys=False, allow_unicode=True, width=100)
    return text.splitlines()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _diff(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    lines = list(unified_diff(old, new, lineterm="", n=CONTEXT))
    # The first two lines name files, which there are none.
    return tuple(lines[2:])


def query_changes(old: Iterable[Compiled], new: Iterable[Compiled]) -> list[QueryChange]:
    """What became of compiled queries, by target and rule."""
    before = {(one.target, one.rule): one for one in old}
    after = {(one.target, one.rule): one for one in new}
    found = []
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        diff = _diff(_query(one), _query(other))
        if diff:
            shown = other or one
            assert shown is not None
            found.append(QueryChange(*key, shown.title, diff))
    return found


def _query(one: Compiled | None) -> list[str]:
    from molehunt.backends.model import Artefact

    if one is None:
        return []
    if not isinstance(one, Artefact):
        return [f"refused: {one.code}: {one.reason}"]
    if isinstance(one.query, str):
        return one.query.splitlines()
    return json.dumps(one.query, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def fired_changes(
    old: Mapping[str, frozenset[Place]],
    new: Mapping[str, frozenset[Place]],
    titles: Mapping[str, str],
) -> list[FiredChange]:
    """Recorded rows that rules gained and lost, by rule id."""
    found = []
    for rule in sorted(old.keys() | new.keys()):
        before, after = old.get(rule, frozenset()), new.get(rule, frozenset())
        for gained, places in ((False, before - after), (True, after - before)):
            if places:
                title = titles.get(rule, rule)
                found.append(FiredChange(rule, title, gained, tuple(sorted(places))))
    return found


def gate(
    old: Mapping[str, Entry],
    new: Mapping[str, Entry],
    deprecated: Mapping[str, Mapping[str, str]],
    path: str,
) -> Iterator[Problem]:
    """What a pull request may not do to the lock: change a meaning or an artefact and not the
    version, raise a version by more than one or for nothing, drop a rule that is not deprecated,
    use an id again.

    `deprecated` maps ids to their entries in `rules/deprecated.yml`.
    """
    for rule, entry in sorted(new.items()):
        before = old.get(rule)
        if before is None:
            if entry.version != 1:
                what = f"new rule {entry.name} begins at version {entry.version}"
                yield Problem(what, path, rule=rule, hint="a new rule begins at 1")
        elif change := _change(before, entry):
            if entry.version != before.version + 1:
                what = f"{entry.name} {change}, so version {before.version} becomes "
                yield Problem(f"{what}{before.version + 1}, not {entry.version}", path, rule=rule)
        elif entry.version != before.version:
            what = f"{entry.name}: version {before.version} became {entry.version} with no change"
            yield Problem(what, path, rule=rule)
        if rule in deprecated:
            what = f"{entry.name} uses the id of a deprecated rule"
            yield Problem(what, path, rule=rule, hint="give it a new id")
    for rule in sorted(old.keys() - new.keys() - deprecated.keys()):
        what = f"{old[rule].name} is gone and not deprecated"
        hint = "name id, reason, replacement and date in rules/deprecated.yml"
        yield Problem(what, path, rule=rule, hint=hint)


def _change(old: Entry, new: Entry) -> str:
    """What changed in a rule so that its version must rise; "" if nothing did."""
    if old.meaning != new.meaning:
        return "changed its meaning"
    otherwise = new.compiles_otherwise(old)
    return f"compiles to something else for {', '.join(otherwise)}" if otherwise else ""
