"""Relations: what a SELECT gives, as plain values, before it becomes a `Shape`.

Nothing here knows how SQL is spelled; `resolve` makes relations from a syntax tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..records import Equality, Origin, Shape, TableUse

_COUNTED = re.compile(r"(?<=.):\d*$", re.DOTALL)

MAX_USES = 200
MAX_FIELDS = 20_000


class Unclear(Exception):
    """The SQL cannot be followed; the text says why. Never leaves this package."""


class Field(NamedTuple):
    """One column of a relation. `starred` columns come from a `*` and may not exist in every
    release; `hidden` ones are left out of `*`."""

    name: str
    origin: Origin | None
    starred: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """The columns, in order, and the tables behind them.

    `layout` has one mark per item of the select list: "" for one column, the table's name for its
    `*`. Columns can be told apart by position only between relations of one layout, since the
    number and order of a table's columns change between releases. `open` says that there are
    columns which are not in `fields`.
    """

    fields: tuple[Field, ...]
    uses: tuple[TableUse, ...] = ()
    equalities: tuple[Equality, ...] = ()
    stars: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()
    open: bool = False

    @property
    def positional(self) -> bool:
        """Whether the columns are known by position only, not by name."""
        return not any(self.layout)


def check_size(relation: Relation) -> Relation:
    """The relation itself; `Unclear` if it is absurdly large (views nested to multiply)."""
    if len(relation.uses) > MAX_USES or len(relation.fields) > MAX_FIELDS:
        raise Unclear("it uses too many tables or columns to follow")
    return relation


def unique(wanted: str, taken: set[str]) -> str:
    """`wanted`, with a number behind it if that alias is taken; the result is then taken."""
    name, number = wanted, 1
    while name.lower() in taken:
        number += 1
        name = f"{wanted}#{number}"
    taken.add(name.lower())
    return name


def renamed(relation: Relation, aliases: Mapping[str, str]) -> Relation:
    """The relation with its table uses called otherwise."""

    def side(part: tuple[str, str]) -> tuple[str, str]:
        return aliases[part[0]], part[1]

    return replace(
        relation,
        fields=tuple(
            f._replace(origin=f.origin._replace(alias=aliases[f.origin.alias])) if f.origin else f
            for f in relation.fields
        ),
        uses=tuple(use._replace(alias=aliases[use.alias]) for use in relation.uses),
        equalities=tuple(Equality(side(e.left), side(e.right)) for e in relation.equalities),
        stars=tuple(aliases.get(alias, alias) for alias in relation.stars),
    )


def named(relation: Relation, names: Sequence[str]) -> Relation:
    """The relation with the column names that a CTE gives it.

    With a `*` inside, positions are uncertain: then the names stay, and the origins go.
    """
    if not names:
        return relation
    if relation.positional and len(names) == len(relation.fields):
        fields = tuple(Field(n, f.origin) for n, f in zip(names, relation.fields, strict=True))
    elif relation.positional:
        raise Unclear("a CTE names another number of columns than its SELECT has")
    else:
        fields = tuple(Field(name, None) for name in names)
    return replace(relation, fields=fields, layout=("",) * len(fields), stars=(), open=False)


def as_subquery(relation: Relation) -> Relation:
    """The relation with the names that SQLite gives to the columns of a subquery: a repeated name
    gets `:1` (sqlite3ColumnsFromExprList in select.c), so the first one keeps it."""
    count: dict[str, list[Field]] = {}
    for field in relation.fields:
        count.setdefault(field.name.lower(), []).append(field)
    doubtful = {n for n, fs in count.items() if len(fs) > 1 and any(f.starred for f in fs)}
    taken: set[str] = set()
    fields = []
    for field in relation.fields:
        name, number = field.name, 0
        while name.lower() in taken:
            number += 1
            name = f"{_COUNTED.sub('', field.name)}:{number}"
        taken.add(name.lower())
        origin = None if field.name.lower() in doubtful else field.origin
        fields.append(field._replace(name=name, origin=origin, hidden=False))
    return replace(relation, fields=tuple(fields))


def union(left: Relation, right: Relation) -> Relation:
    """The rows of both. An origin stays where both sides have the same table and column.

    One table use of the result stands for a pair of uses, one of each side, so that two columns
    share an alias only where they stand in the same row of one table on either side. An equality
    stays where both sides have it.
    """
    aligned = left.positional and right.positional
    if aligned and len(left.fields) != len(right.fields):
        raise Unclear("the SELECTs of a UNION have different numbers of columns")
    aligned = aligned or left.layout == right.layout
    pairs = _Pairs(left.uses)
    fields = []
    for index, field in enumerate(left.fields):
        ours, origin = field.origin, None
        theirs = right.fields[index].origin if aligned else None
        if ours and theirs and (ours.table, ours.column) == (theirs.table, theirs.column):
            origin = ours._replace(alias=pairs.alias(ours.alias, theirs.alias))
        fields.append(field._replace(origin=origin))
    pairs.join_leftovers(left.uses, right.uses)
    stars = {
        alias
        for (ours_alias, theirs_alias), alias in pairs.aliases.items()
        if aligned and ours_alias in left.stars and theirs_alias in right.stars
    }
    return check_size(
        Relation(
            tuple(fields),
            pairs.uses(left.uses, right.uses),
            pairs.equalities(left.equalities, right.equalities),
            tuple(sorted(stars)),
            left.layout,
            left.open,
        )
    )


class _Pairs:
    """Pairs of table uses, one of each side of a UNION, and the alias of each pair."""

    def __init__(self, left: Iterable[TableUse]) -> None:
        self.aliases: dict[tuple[str, str], str] = {}
        self._taken = {use.alias.lower() for use in left}

    def alias(self, ours: str, theirs: str) -> str:
        found = self.aliases.get((ours, theirs))
        if found is None:
            first = not any(pair[0] == ours for pair in self.aliases)
            found = ours if first else unique(ours, self._taken)
            self.aliases[ours, theirs] = found
        return found

    def join_leftovers(self, left: Iterable[TableUse], right: Iterable[TableUse]) -> None:
        """Pair the uses that supply no column, where each side has just one of that table."""
        for ours in self._alone(left, 0):
            theirs = [u for u in self._alone(right, 1) if u.table == ours.table]
            if len(theirs) == 1 and sum(u.table == ours.table for u in self._alone(left, 0)) == 1:
                self.alias(ours.alias, theirs[0].alias)

    def _alone(self, uses: Iterable[TableUse], side: int) -> list[TableUse]:
        paired = {pair[side] for pair in self.aliases}
        return [use for use in uses if use.alias not in paired]

    def uses(self, left: Sequence[TableUse], right: Sequence[TableUse]) -> tuple[TableUse, ...]:
        ours = {use.alias: use for use in left}
        theirs = {use.alias: use for use in right}
        alone_left = {use.alias for use in self._alone(left, 0)}
        result = []
        for use in left:
            if use.alias in alone_left:
                result.append(use)
            for (a, b), alias in self.aliases.items():
                if a == use.alias:
                    optional = ours[a].optional or theirs[b].optional
                    result.append(TableUse(alias, use.table, optional))
        for use in self._alone(right, 1):
            result.append(use._replace(alias=unique(use.alias, self._taken)))
        return tuple(result)

    def equalities(
        self, left: Sequence[Equality], right: Sequence[Equality]
    ) -> tuple[Equality, ...]:
        known = {frozenset(e) for e in left}
        lifted: dict[str, list[tuple[str, str]]] = {}
        for (a, b), alias in self.aliases.items():
            lifted.setdefault(b, []).append((a, alias))
        result = []
        for equality in right:
            (b1, c1), (b2, c2) = equality
            for a1, alias1 in lifted.get(b1, ()):
                for a2, alias2 in lifted.get(b2, ()):
                    same = (a1, c1) == (a2, c2)
                    if same or frozenset(((a1, c1), (a2, c2))) in known:
                        result.append(Equality((alias1, c1), (alias2, c2)))
        return tuple(dict.fromkeys(result))


def carried(relation: Relation) -> Relation:
    """What one step of a recursive CTE may know of the step before: which columns come together
    from one row of a table, and no equality."""
    used = {f.origin.alias for f in relation.fields if f.origin}
    uses = tuple(use for use in relation.uses if use.alias in used)
    return replace(relation, uses=uses, equalities=())


def pattern(relation: Relation) -> tuple[object, ...]:
    """Equal for two relations whose columns have the same origins, whatever the aliases."""
    numbers: dict[str, int] = {}
    return tuple(
        (numbers.setdefault(f.origin.alias, len(numbers)), f.origin.table, f.origin.column)
        if f.origin
        else None
        for f in relation.fields
    )


def to_shape(relation: Relation) -> Shape:
    """The relation as the shape of a row, in which a repeated column name keeps one value."""
    equalities = _closed(relation)
    certain = {use.alias for use in relation.uses if not use.optional}
    origins: dict[str, list[Origin | None]] = {}
    for field in relation.fields:
        origins.setdefault(field.name, []).append(field.origin)
    same = {frozenset(e) for e in equalities}
    return Shape(
        relation.uses,
        {name: _one(found, same, certain) for name, found in origins.items()},
        equalities,
        relation.stars,
    )


def _one(
    found: Sequence[Origin | None], same: set[frozenset[tuple[str, str]]], certain: set[str]
) -> Origin | None:
    first = found[0]
    for other in found[1:]:
        if first is None or other is None:
            return None
        if first == other:
            continue
        equal = frozenset(((first.alias, first.column), (other.alias, other.column))) in same
        if not equal or not {first.alias, other.alias} <= certain:
            return None
    return first


def _closed(relation: Relation) -> tuple[Equality, ...]:
    """The equalities and those that follow from them: x = m and m = y give x = y, where m is a
    column of a table that is always there (an absent one would equal nothing)."""
    certain = {use.alias for use in relation.uses if not use.optional}
    result = {frozenset(e): e for e in relation.equalities if e.left != e.right}
    near: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for left, right in list(result.values()):
        near.setdefault(left, {})[right] = None
        near.setdefault(right, {})[left] = None
    for start in list(near):
        reached, queue = {start}, list(near[start])
        while queue:
            node = queue.pop(0)
            if node in reached:
                continue
            reached.add(node)
            result.setdefault(frozenset((start, node)), Equality(start, node))
            if len(result) > MAX_USES:
                return relation.equalities
            if node[0] in certain:
                queue.extend(near[node])
    return tuple(result.values())
