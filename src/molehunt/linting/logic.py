"""A rule's condition as clauses of leaves with places, to find what can never be.

Only what is certain is said: a leaf whose meaning is not a plain text comparison excludes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from ..names import Both, Either, Name, Negated, Some, Tree, meant
from .items import Detection, Item
from .model import Finding
from .subject import Subject
from .texts import Glob, covers, overlap

MAX_CLAUSES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One item, or with `all` one of its values. `globs` is None where it is no text comparison."""

    item: Item
    globs: tuple[Glob, ...] | None
    same: tuple[object, ...]


Clause = tuple[Leaf, ...]


class Removed(NamedTuple):
    """What stands under a `not`: the names of its detections, and its clauses."""

    names: tuple[str, ...]
    clauses: list[Clause]


class Branch(NamedTuple):
    """One way to fulfil the condition: any of `clauses`, unless something of `removed` holds."""

    clauses: list[Clause]
    removed: list[Removed]


def branches(subject: Subject) -> list[list[Branch] | None]:
    """For each condition its branches; None if it is too large or refers to what is not there."""
    found: list[list[Branch] | None] | None = subject.memo.get("branches")
    if found is None:
        found = [_branches(subject, tree) for tree, _ in subject.conditions]
        subject.memo["branches"] = found
    return found


def _branches(subject: Subject, tree: Tree) -> list[Branch] | None:
    if isinstance(tree, Either):
        found = []
        for arg in tree.args:
            part = _branches(subject, arg)
            if part is None:
                return None
            found += part
        return found
    args = tree.args if isinstance(tree, Both) else (tree,)
    removed: list[Removed] = []
    clauses: list[Clause] = [()]
    for arg in args:
        if isinstance(arg, Negated):
            inner = _clauses(subject, arg.arg)
            if inner is not None:
                removed.append(Removed(tuple(_named(subject, arg.arg)), inner))
            continue
        if isinstance(arg, (Both, Either)) and _has_not(arg):
            return None
        inner = _clauses(subject, arg)
        if inner is None or len(clauses) * len(inner) > MAX_CLAUSES:
            return None
        clauses = [(*one, *other) for one, other in product(clauses, inner)]
    return [Branch(clauses, removed)]


def _has_not(tree: Tree) -> bool:
    if isinstance(tree, Negated):
        return True
    return isinstance(tree, (Both, Either)) and any(map(_has_not, tree.args))


def _named(subject: Subject, tree: Tree) -> Iterator[str]:
    if isinstance(tree, Name):
        yield tree.name
    elif isinstance(tree, Some):
        yield from meant(tree.pattern, subject.detections)
    elif isinstance(tree, (Both, Either)):
        for arg in tree.args:
            yield from _named(subject, arg)


def _clauses(subject: Subject, tree: Tree) -> list[Clause] | None:
    """The clauses of a tree without `not`: it holds if all leaves of any of them do."""
    if isinstance(tree, Negated):
        return None
    if isinstance(tree, Name):
        detection = subject.detections.get(tree.name)
        return None if detection is None else _of(detection)
    if isinstance(tree, Some):
        names = meant(tree.pattern, subject.detections)
        parts: list[list[Clause] | None] = [_of(subject.detections[name]) for name in names]
        every = tree.every
    else:
        parts = [_clauses(subject, arg) for arg in tree.args]
        every = isinstance(tree, Both)
    if not parts:
        return None
    found: list[Clause] = [()] if every else []
    for part in parts:
        if part is None:
            return None
        size = len(found) * len(part) if every else len(found) + len(part)
        if size > MAX_CLAUSES:
            return None
        found = [(*a, *b) for a, b in product(found, part)] if every else [*found, *part]
    return found


def _of(detection: Detection) -> list[Clause]:
    return [tuple(_leaves(alternative)) for alternative in detection.alternatives]


def _leaves(items: Sequence[Item]) -> Iterator[Leaf]:
    for item in items:
        globs = [item.glob(value) for value in item.values]
        plain = bool(globs) and bool(item.field) and all(glob is not None for glob in globs)
        known = globs if plain else None
        written = tuple(str(value.data) for value in item.values)
        if "all" in item.modifiers and known is not None:
            for glob in known:
                assert glob is not None
                yield Leaf(item, (glob,), (item.field, item.modifiers, glob))
            continue
        texts = None if known is None else tuple(glob for glob in known if glob is not None)
        yield Leaf(item, texts, (item.field, item.modifiers, written))


def excludes(one: Leaf, other: Leaf) -> bool:
    """Whether no value can fulfil both."""
    if one.item.field != other.item.field or one.globs is None or other.globs is None:
        return False
    if len(one.globs) * len(other.globs) > 4000:
        return False
    return not any(overlap(a, b) for a in one.globs for b in other.globs)


def implies(one: Leaf, other: Leaf) -> bool:
    """Whether each value that fulfils `one` fulfils `other`."""
    if one.item.field != other.item.field:
        return False
    if one.same == other.same:
        return True
    if one.globs is None or other.globs is None or "cased" in other.item.modifiers:
        return False
    return all(any(covers(wide, narrow) for wide in other.globs) for narrow in one.globs)


def check(subject: Subject) -> Iterator[Finding]:
    """Conditions, alternatives and filters that can never matter: MH210 to MH213."""
    if subject.kind != "rule" or not subject.single:
        return
    for found in branches(subject):
        if found is None:
            continue
        for branch in found:
            yield from _branch(subject, branch, alone=len(found) == 1)


def _branch(subject: Subject, branch: Branch, alone: bool) -> Iterator[Finding]:
    live = []
    dead: dict[int, tuple[Item, str]] = {}
    for clause in branch.clauses:
        reason = _impossible(clause, branch.removed)
        if reason is None:
            live.append(clause)
        else:
            dead.setdefault(id(reason[0]), reason)
    alive = {id(leaf.item) for clause in live for leaf in clause}
    for item, why in dead.values():
        if not live and alone:
            yield subject.finding(
                "MH210", item.key or item.node, f"the rule can never match: {why}"
            )
        elif not live or id(item) not in alive:
            yield subject.finding("MH211", item.key or item.node, f"this never matches: {why}")
    if live:
        for removed in branch.removed:
            yield from _filters(subject, live, removed)


def _impossible(clause: Clause, removed: Sequence[Removed]) -> tuple[Item, str] | None:
    for index, one in enumerate(clause):
        for other in clause[:index]:
            if excludes(one, other):
                line = (other.item.key or other.item.node).start_mark.line + 1
                return one.item, f"{one.item.field} on line {line} asks for another value"
    for part in removed:
        for inner in part.clauses:
            if inner and all(any(implies(have, want) for have in clause) for want in inner):
                line = (inner[0].item.key or inner[0].item.node).start_mark.line + 1
                names = ", ".join(part.names)
                if clause:
                    return clause[0].item, f"{names} on line {line} removes all of it"
    return None


def _filters(subject: Subject, live: list[Clause], removed: Removed) -> Iterator[Finding]:
    for clause in removed.clauses:
        for one, other in pairwise(clause) if len(clause) == 2 else ():
            if excludes(one, other):
                line = (one.item.key or one.item.node).start_mark.line + 1
                message = f"this removes nothing: {other.item.field} on line {line} differs"
                yield subject.finding("MH212", other.item.key or other.item.node, message)
        # The leaf that every clause of the selections excludes.
        culprit = next(
            (
                leaf
                for leaf in clause
                if all(any(excludes(have, leaf) for have in each) for each in live)
            ),
            None,
        )
        if culprit is not None:
            other = next(have for have in live[0] if excludes(have, culprit))
            line = (other.item.key or other.item.node).start_mark.line + 1
            message = (
                f"this filter removes nothing: {culprit.item.field} on line {line} "
                "never has such a value"
            )
            yield subject.finding("MH212", culprit.item.key or culprit.item.node, message)
            continue
        for leaf in clause:
            yield from _values(subject, live, leaf)


def _values(subject: Subject, live: list[Clause], leaf: Leaf) -> Iterator[Finding]:
    """Values of a filter that can never matter while others can."""
    if leaf.globs is None or len(leaf.globs) < 2 or len(leaf.globs) != len(leaf.item.values):
        return
    for value, glob in zip(leaf.item.values, leaf.globs, strict=True):
        alone = Leaf(leaf.item, (glob,), ())
        if all(any(excludes(have, alone) for have in each) for each in live):
            message = "this value removes nothing: no selection matches it"
            yield subject.finding("MH213", value.node, message)
