"""The FROM clause: which tables a SELECT sees, and which of them a column name means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from molehunt.schema import Table

from ..records import Equality, Origin, TableUse
from .relation import Field, Relation, renamed, unique


@dataclass(slots=True)
class Source:
    """One table or subquery in FROM. `name` qualifies its columns, in lower case.

    `unknown` is set for a table that is not in the schema: all that is qualified with its name is
    its own.
    """

    name: str
    relation: Relation
    unknown: TableUse | None = None
    optional: bool = False
    by_name: dict[str, Field] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {}
        for item in self.relation.fields:
            self.by_name.setdefault(item.name.lower(), item)

    def own(self, name: str) -> Field | None:
        """The column of that name, if this source has it for certain."""
        found = self.by_name.get(name.lower())
        if found is None and self.unknown is not None:
            use = self.unknown
            return Field(name, Origin(use.alias, use.table, name))
        return found

    def make_optional(self) -> None:
        """Its rows may be missing: it is on the outer side of a join."""
        self.optional = True
        uses = tuple(use._replace(optional=True) for use in self.relation.uses)
        self.relation = replace(self.relation, uses=uses)

    def has(self, pair: tuple[str, str]) -> bool:
        """Whether the alias of an `(alias, column)` pair stands in this scope."""
        return any(use.alias == pair[0] for use in self.relation.uses)


class Merged(NamedTuple):
    """A column that USING or NATURAL made of one in each of `members` (empty: cannot be told).

    `same` are those of them that always have its value: with FULL JOIN none, since SQLite then
    computes it (`lookupName` in resolve.c).
    """

    members: list[Source]
    same: list[Source]

    def field(self, name: str) -> Field:
        """The column, from the first source that is not optional."""
        source = next((s for s in self.same if not s.optional), next(iter(self.same), None))
        found = source.own(name) if source else None
        if found is None:
            member = next(iter(self.members), None)
            found = (member.own(name) if member else None) or Field(name, None)
            return found._replace(origin=None)
        return found


@dataclass(slots=True)
class Scope:
    """The sources of one FROM clause, in order, and the merged columns by name in lower case.

    `outer_left` says that there is a RIGHT or FULL JOIN.
    """

    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Merged] = field(default_factory=dict)
    equalities: list[Equality] = field(default_factory=list)
    outer_left: bool = False

    def qualified(self, qualifier: str, name: str) -> Field | None:
        """What `qualifier.name` means; None if nothing here, or if two could be meant."""
        named = [s for s in self.sources if s.name == qualifier.lower()]
        found = [f for s in named if (f := s.own(name)) is not None]
        return found[0] if len(found) == 1 else None

    def bare(self, name: str) -> Field | None:
        """What `name` means; None if nothing here has it for certain. SQLite refuses a name that
        two sources have, so a source that has it for certain is the one."""
        merged = self.merged.get(name.lower())
        if merged is not None:
            return merged.field(name) if merged.same or not merged.members else None
        found = [s for s in self.sources if name.lower() in s.by_name]
        if not found:
            return None
        first = found[0].by_name[name.lower()]
        return first if len(found) == 1 else first._replace(origin=None)

    def star(self) -> Iterator[tuple[Source, list[Field]]]:
        """What `*` gives, source by source: merged columns once, hidden ones not at all."""
        done: set[str] = set()
        for source in self.sources:
            fields = []
            for item in source.relation.fields:
                key = item.name.lower()
                merged = self.merged.get(key)
                if merged is not None and any(source is s for s in merged.members):
                    if key not in done and not item.hidden:
                        fields.append(merged.field(item.name)._replace(starred=item.starred))
                    done.add(key)
                elif not item.hidden:
                    fields.append(item if merged is None else item._replace(origin=None))
            yield source, fields

    def all_of(self, qualifier: str) -> Iterator[tuple[Source, list[Field]]]:
        """What `qualifier.*` gives. With RIGHT and FULL JOIN, SQLite 3.40 puts the merged value
        into a merged column, although `qualifier.column` does not: so it has no origin."""
        for source in self.sources:
            if source.name == qualifier.lower():
                yield (
                    source,
                    [
                        f._replace(origin=None)
                        if self.outer_left and f.name.lower() in self.merged
                        else f
                        for f in source.relation.fields
                        if not f.hidden
                    ],
                )

    def supplier(self, name: str) -> Merged:
        """What a USING column is on this side of the join."""
        if name.lower() in self.merged:
            return self.merged[name.lower()]
        found = [s for s in self.sources if s.own(name) is not None]
        unsure = len(found) != 1 or (len(self.sources) > 1 and self._open())
        return Merged([], []) if unsure else Merged(found, found)

    def _open(self) -> bool:
        return any(s.relation.open for s in self.sources)


def alone(source: Source) -> Scope:
    """The scope of one source."""
    return Scope([source], {}, list(source.relation.equalities))


def whole(table: Table, alias: str) -> Relation:
    """All of a table under one alias.

    A column of some systems only is hidden on the others (osquery's tools/codegen/gentable.py,
    `extended_schema`): on its own `*` gives it, so it counts as one that `*` may give.
    """
    fields = tuple(
        Field(
            c.name,
            Origin(alias, table.name, c.name),
            starred=True,
            hidden=c.hidden and not c.platforms,
        )
        for c in table.columns.values()
    )
    return Relation(fields, (TableUse(alias, table.name),), (), (alias,), (table.name,))


def derived(name: str, relation: Relation, taken: set[str]) -> Source:
    """A subquery in FROM; its tables' aliases are put behind its name, which keeps them apart."""
    aliases = {
        use.alias: unique(f"{name}.{use.alias}" if name else use.alias, taken)
        for use in relation.uses
    }
    return Source(name.lower(), renamed(relation, aliases))


def starred(scope: Scope) -> Relation:
    """`SELECT *` over a bracketed join that has a name."""
    parts = list(scope.star())
    relations = [source.relation for source, _ in parts]
    return Relation(
        tuple(item for _, fields in parts for item in fields),
        tuple(use for relation in relations for use in relation.uses),
        tuple(scope.equalities),
        tuple(star for relation in relations for star in relation.stars),
        tuple(mark for relation in relations for mark in relation.layout),
        any(relation.open for relation in relations),
    )


def join(left: Scope, right: Scope, side: str, using: Iterable[str]) -> Scope:
    """Both scopes as one. `side` is "", LEFT, RIGHT or FULL."""
    scope = Scope(
        left.sources + right.sources,
        left.merged | right.merged,
        left.equalities + right.equalities,
        left.outer_left or right.outer_left or side in ("RIGHT", "FULL"),
    )
    for source in _outer(left, right, side):
        source.make_optional()
    for name in using:
        ours, theirs = left.supplier(name), right.supplier(name)
        if not ours.members or not theirs.members:
            scope.merged[name.lower()] = Merged([], [])
            continue
        same = {"LEFT": ours.same, "RIGHT": theirs.same, "FULL": []}.get(
            side, ours.same + theirs.same
        )
        scope.merged[name.lower()] = Merged(ours.members + theirs.members, same)
        scope.equalities += _pairs(ours.members, theirs.members, name)
    return scope


def _outer(left: Scope, right: Scope, side: str) -> list[Source]:
    return {
        "LEFT": right.sources,
        "RIGHT": left.sources,
        "FULL": left.sources + right.sources,
    }.get(side, [])


def _pairs(left: Iterable[Source], right: Iterable[Source], name: str) -> Iterator[Equality]:
    for ours in left:
        for theirs in right:
            a, b = ours.own(name), theirs.own(name)
            if a and b and a.origin and b.origin:
                yield Equality(_pair(a.origin), _pair(b.origin))


def equality(
    one: tuple[str, str], other: tuple[str, str], left: Scope, right: Scope, side: str
) -> Equality | None:
    """The equality of an ON clause, if it holds in every row in which both columns are present.

    `a LEFT JOIN b ON a.x = a.y` says nothing of rows without b, so the outer side must be in it.
    """

    def within(scope: Scope) -> list[bool]:
        return [any(s.has(pair) for s in scope.sources) for pair in (one, other)]

    holds = {
        "LEFT": any(within(right)),
        "RIGHT": any(within(left)),
        "FULL": any(within(left)) and any(within(right)),
    }.get(side, True)
    return Equality(one, other) if holds else None


def common(left: Scope, right: Scope, steady: Callable[[Origin], bool]) -> list[str]:
    """The columns that NATURAL JOIN joins on: not hidden, on both sides, and in every release."""

    def names(scope: Scope) -> dict[str, bool]:
        result: dict[str, bool] = {}
        for source in scope.sources:
            for item in source.relation.fields:
                if not item.hidden:
                    sure = not item.starred or (item.origin is not None and steady(item.origin))
                    result[item.name.lower()] = result.get(item.name.lower(), True) and sure
        return result

    ours, theirs = names(left), names(right)
    return [name for name, sure in theirs.items() if sure and ours.get(name)]


def _pair(origin: Origin) -> tuple[str, str]:
    return origin.alias, origin.column
