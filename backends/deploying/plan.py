"""What is to be done so that a server has what it should: a pure comparison, and its execution."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from typing import Any, Protocol

from molehunt.problems import MolehuntError

Body = Mapping[str, Any]


class DeployError(MolehuntError):
    """A server could not be reached, or refused what was asked. Its text has no secrets."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a server has under a key. Only what is `owned` is ever changed or removed."""

    key: str
    body: Body
    owned: bool
    handle: str = ""


class Store(Protocol):
    """A kind of thing on a server, by key. All methods raise DeployError.

    `kept` are names of a body that belong to the user and stay as they are on the server.
    """

    kept: frozenset[str]

    def present(self) -> list[Item]:
        """Everything of the kind, all pages of it."""

    def create(self, key: str, body: Body) -> None:
        """Put a new one there."""

    def change(self, item: Item, body: Body) -> None:
        """Replace one."""

    def remove(self, item: Item) -> None:
        """Take one away."""


class Verb(StrEnum):
    """What a step does."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `body` is whole; `item` is what is there now (None for a new one)."""

    verb: Verb
    key: str
    body: Body
    item: Item | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`same` counts what needs nothing. `foreign` are keys that somebody else holds, `left` owned
    ones that are not wanted any more and stay, because removing was not asked for."""

    steps: tuple[Step, ...]
    same: int
    foreign: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def make_plan(
    wanted: Mapping[str, Body], present: Sequence[Item], kept: frozenset[str], prune: bool
) -> Plan:
    """The steps in order of keys: new and changed ones, and with `prune` the removal of owned ones
    that are not wanted, the last key first.

    Names that a body on the server has beyond the wanted ones are the server's own and count as
    no difference.
    """
    there = {item.key: item for item in present}
    steps: list[Step] = []
    foreign, same = [], 0
    for key, body in sorted(wanted.items()):
        item = there.get(key)
        if item is None:
            steps.append(Step(Verb.CREATE, key, body))
        elif not item.owned:
            foreign.append(key)
        else:
            stays = {name: item.body[name] for name in sorted(kept & item.body.keys())}
            changed = tuple(
                name
                for name in sorted(body.keys() - stays.keys())
                if not _equal(body[name], item.body.get(name))
            )
            if changed:
                steps.append(Step(Verb.CHANGE, key, {**body, **stays}, item, changed))
            else:
                same += 1
    surplus = [item for key, item in sorted(there.items()) if item.owned and key not in wanted]
    if prune:
        steps += [Step(Verb.REMOVE, item.key, {}, item) for item in reversed(surplus)]
    return Plan(
        tuple(steps), same, tuple(foreign), () if prune else tuple(item.key for item in surplus)
    )


def _equal(wanted: Any, found: Any) -> bool:
    """Whether a server's value is what was sent: it may add names to objects, and drop nothing."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_equal(value, found.get(name)) for name, value in wanted.items())
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(wanted) == len(found) and all(map(_equal, wanted, found))
    if wanted in (None, "", [], {}) and found is None:
        return True
    return bool(wanted == found) and isinstance(wanted, bool) == isinstance(found, bool)


def carry_out(store: Store, plan: Plan, done: Callable[[Step], None]) -> None:
    """Do the steps in order; `done` hears of each. Raises DeployError at the first that fails: what
    was done stays, and the next plan begins there."""
    for step in plan.steps:
        if step.verb is Verb.CREATE:
            store.create(step.key, step.body)
        elif step.item is not None and step.verb is Verb.CHANGE:
            store.change(step.item, step.body)
        elif step.item is not None:
            store.remove(step.item)
        done(step)


def describe(plan: Plan, title: Callable[[str], str]) -> Iterator[str]:
    """The plan in lines, with the difference of what would change. `title` names a key."""
    for step in plan.steps:
        yield f"{step.verb} {title(step.key)} ({step.key})"
        if step.item is not None and step.verb is Verb.CHANGE:
            for name in step.changed:
                yield from _difference(name, step.item.body.get(name), step.body[name])
    for key in plan.foreign:
        yield f"leave {title(key)} ({key}): it is there and not molehunt's"
    for key in plan.left:
        yield f"leave {title(key)} ({key}): no longer wanted; --prune removes it"


def _difference(name: str, old: Any, new: Any) -> Iterator[str]:
    lines = unified_diff(_lines(old), _lines(new), lineterm="", n=1)
    for number, line in enumerate(lines):
        if number > 1 and not line.startswith("@@"):
            yield f"  {name}: {line}"


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
