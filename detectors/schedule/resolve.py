"""From SQL to a relation: follow every column of a SELECT to the table that supplies it.

The rules of names are SQLite's (https://www.sqlite.org/lang_select.html, lang_with.html), the
engine of osquery. Whatever cannot be told for certain gets no origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from molehunt.schema import Schema, find_table

from ..records import Equality, Origin, TableUse
from .naming import item_texts
from .relation import (
    Field,
    Relation,
    Unclear,
    as_subquery,
    carried,
    check_size,
    named,
    pattern,
    union,
    unique,
)
from .scope import Scope, Source, alone, common, derived, equality, join, starred, whole
from .statement import Statement, parse


@dataclass(slots=True)
class _Named:
    """A CTE or view: its SELECT, and what it gives once that was followed."""

    body: exp.Expr
    names: tuple[str, ...]
    scope: _Names
    result: Relation | None = None
    so_far: Relation | None = None
    busy: bool = False


_Names = dict[str, _Named]


def relation_of(sql: str, schema: Schema, views: Mapping[str, str]) -> Relation:
    """The relation that one SELECT gives; `Unclear` if it is not one SELECT, or too odd."""
    statement = parse(sql)
    resolver = _Resolver(schema, statement, {name.lower(): text for name, text in views.items()})
    return resolver.query(statement.tree, {}, top=True)


class _Resolver:
    """One SQL text on its way to a relation."""

    def __init__(self, schema: Schema, statement: Statement, views: Mapping[str, str]) -> None:
        self.schema = schema
        self.views = views
        self._followed: _Names = {}
        self._statement = statement
        self._texts: Mapping[int, Sequence[str]] | None = None

    def query(self, node: exp.Expr, names: _Names, top: bool = False) -> Relation:
        """The relation of a SELECT or of SELECTs put together."""
        if isinstance(node, exp.Subquery) and not node.alias:
            return self.query(node.this, self._with(node, names), top)
        if isinstance(node, exp.SetOperation):
            names = self._with(node, names)
            first, *rest = _branches(node)
            return self._put_together(self.query(first[1], names, top), rest, names)
        if isinstance(node, exp.Values):
            return _values(node)
        if isinstance(node, exp.Select):
            return check_size(self._select(node, self._with(node, names), top))
        raise Unclear("it is not a SELECT")

    def _put_together(
        self, first: Relation, rest: Sequence[tuple[type[exp.Expr], exp.Expr]], names: _Names
    ) -> Relation:
        result = first
        for kind, branch in rest:
            other = self.query(branch, names)
            if issubclass(kind, exp.Union):  # the rows of EXCEPT and INTERSECT are the left side's
                result = union(result, other)
        return result

    def _with(self, node: exp.Expr, names: _Names) -> _Names:
        clause = _arg(node, "with")
        if clause is None:
            return names
        inner = dict(names)
        for cte in clause.expressions:
            columns = cte.args["alias"].args.get("columns") or ()
            entry = _Named(cte.this, tuple(c.name for c in columns), inner)
            inner[cte.alias.lower()] = entry
        return inner

    def _follow(self, entry: _Named) -> Relation:
        if entry.result is not None:
            return entry.result
        if entry.busy:
            if entry.so_far is None:
                raise Unclear("a CTE or view refers to itself")
            return entry.so_far
        entry.busy = True
        if isinstance(entry.body, exp.SetOperation):
            entry.result = self._recursive(entry)
        else:
            entry.result = named(as_subquery(self.query(entry.body, entry.scope)), entry.names)
        entry.busy = False
        return entry.result

    def _recursive(self, entry: _Named) -> Relation:
        """A CTE of several SELECTs, which may refer to itself: take what the first gives for
        granted, and take back what the others contradict until nothing changes."""
        names = self._with(entry.body, entry.scope)
        first, *rest = _branches(entry.body)
        base = named(as_subquery(self.query(first[1], names)), entry.names)
        entry.so_far = carried(base)
        for _ in range(2 * len(base.fields) + 2):
            result = self._put_together(base, rest, names)
            if pattern(result) == pattern(entry.so_far):
                return result
            entry.so_far = carried(result)
        raise Unclear("its recursion cannot be followed")

    def _select(self, node: exp.Select, names: _Names, top: bool) -> Relation:
        taken: set[str] = set()
        scope = Scope()
        clause = _arg(node, "from")
        if clause is not None:
            scope = self._operand(clause.this, names, taken)
        scope = self._joins(scope, node, names, taken)
        where = node.args.get("where")
        if where is not None:
            pairs = _equal_columns(where.this, scope)
            scope.equalities += [Equality(one, other) for one, other in pairs]
        fields, layout, stars, is_open = self._items(node, scope, top)
        return Relation(
            tuple(fields),
            tuple(use for source in scope.sources for use in source.relation.uses),
            tuple(dict.fromkeys(scope.equalities)),
            tuple(dict.fromkeys(stars)),
            tuple(layout),
            is_open,
        )

    def _joins(self, scope: Scope, node: exp.Expr, names: _Names, taken: set[str]) -> Scope:
        if node.args.get("laterals"):
            raise Unclear("its FROM clause is not SQLite's")
        for clause in node.args.get("joins") or ():
            right = self._operand(clause.this, names, taken)
            side = str(clause.args.get("side") or "").upper()
            using = [str(column.name) for column in clause.args.get("using") or ()]
            if str(clause.args.get("method") or "").upper() == "NATURAL":
                using = common(scope, right, self._steady)
            left, scope = scope, join(scope, right, side, using)
            condition = clause.args.get("on")
            if condition is not None:
                for one, other in _equal_columns(condition, scope):
                    found = equality(one, other, left, right, side)
                    scope.equalities += [found] if found else []
        return scope

    def _operand(self, node: exp.Expr, names: _Names, taken: set[str]) -> Scope:
        """One item of FROM with the joins that are bracketed with it."""
        if isinstance(node, exp.Table):
            scope = alone(self._table(node, names, taken))
        elif isinstance(node, exp.Values):
            scope = alone(Source(node.alias.lower(), _values(node)))
        elif isinstance(node, exp.Subquery):
            names = self._with(node, names)
            if isinstance(node.this, exp.Query) and not _is_group(node.this):
                inner = as_subquery(self.query(node.this, names))
            elif not node.alias:
                return self._joins(self._operand(node.this, names, taken), node, names, taken)
            else:
                inner = as_subquery(starred(self._operand(node.this, names, set())))
            scope = alone(derived(node.alias, inner, taken))
        else:
            raise Unclear("its FROM clause has something other than tables and SELECTs")
        return self._joins(scope, node, names, taken)

    def _table(self, node: exp.Table, names: _Names, taken: set[str]) -> Source:
        if not isinstance(node.this, exp.Identifier):
            alias = unique(node.alias or node.name or "function", taken)
            function = Relation((), stars=(alias,), layout=(alias,), open=True)
            return Source(alias.lower(), function)
        name, database = node.name, node.db.lower()
        entry = None if database else names.get(name.lower())
        known = find_table(self.schema, name) if database in ("", "main", "temp") else None
        if entry is None and known is None and name.lower() in self.views:
            entry = self._view(name.lower())
        if entry is not None:
            return derived(node.alias or name, self._follow(entry), taken)
        visible = node.alias or name
        if known is None:
            use = TableUse(unique(visible, taken), name)
            relation = Relation((), (use,), stars=(use.alias,), layout=(name.lower(),), open=True)
            return Source(visible.lower(), relation, unknown=use)
        alias = unique(node.alias or known.name, taken)
        return Source(visible.lower(), whole(known, alias))

    def _view(self, name: str) -> _Named:
        entry = self._followed.get(name)
        if entry is None:
            entry = self._followed[name] = _Named(parse(self.views[name]).tree, (), {})
        return entry

    def _steady(self, origin: Origin) -> bool:
        """Whether a column is in its table in every release and on every platform."""
        table = self.schema.get(origin.table)
        column = table.columns.get(origin.column) if table else None
        if table is None or column is None:
            return False
        ever = column.since == table.since and column.removed_in == table.removed_in
        return ever and not column.platforms

    def _items(
        self, node: exp.Select, scope: Scope, top: bool
    ) -> tuple[list[Field], list[str], list[str], bool]:
        fields: list[Field] = []
        layout: list[str] = []
        stars: list[str] = []
        is_open = False
        for index, item in enumerate(node.expressions):
            if not item.is_star:
                fields.append(self._item(node, index, item, scope, top))
                layout.append("")
                continue
            whole_of = item.table if isinstance(item, exp.Column) else None
            for source, found in scope.all_of(whole_of) if whole_of else scope.star():
                fields += found
                layout += source.relation.layout
                stars += source.relation.stars
                is_open = is_open or source.relation.open
        return fields, layout, stars, is_open

    def _item(self, node: exp.Select, index: int, item: exp.Expr, scope: Scope, top: bool) -> Field:
        alias = item.alias if isinstance(item, exp.Alias) else ""
        value = item.this if isinstance(item, exp.Alias) else item
        while isinstance(value, exp.Paren):
            value = value.this
        plain = value.this if isinstance(value, exp.Collate) else value
        found = _column(plain, scope) if isinstance(plain, exp.Column) else None
        origin = found.origin if found else None
        if isinstance(value, exp.Column) and (found or not value.this.args.get("quoted")):
            # SQLite calls a result column what its table calls it
            written = found.name if found and top else value.name
            return Field(alias or written, origin)
        return Field(alias or self._text(node, index, value), origin)

    def _text(self, node: exp.Select, index: int, value: exp.Expr) -> str:
        if self._texts is None:
            self._texts = item_texts(self._statement)
        texts = self._texts.get(id(node))
        return texts[index] if texts else value.sql("sqlite", comments=False)


def _arg(node: exp.Expr, name: str) -> Any:
    """`with` and `from` are called `with_` and `from_` by newer releases of sqlglot."""
    return node.args.get(name + "_") or node.args.get(name)


def _is_group(node: exp.Expr) -> bool:
    """Brackets around tables, or around a SELECT that has a name of its own."""
    return isinstance(node, exp.Table) or (isinstance(node, exp.Subquery) and bool(node.alias))


def _branches(node: exp.Expr) -> list[tuple[type[exp.Expr], exp.Expr]]:
    """The SELECTs of a compound from left to right, each with the operator before it."""
    found: list[tuple[type[exp.Expr], exp.Expr]] = []
    while isinstance(node, exp.SetOperation) or (
        isinstance(node, exp.Subquery) and isinstance(node.this, exp.SetOperation)
    ):
        if isinstance(node, exp.Subquery):
            node = node.this
            continue
        found.append((type(node), node.expression))
        node = node.this
    return [(exp.Select, node), *reversed(found)]


def _values(node: exp.Values) -> Relation:
    first = node.expressions[0] if node.expressions else None
    width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
    fields = tuple(Field(f"column{number + 1}", None) for number in range(width))
    return Relation(fields, layout=("",) * width)


def _column(node: exp.Column, scope: Scope) -> Field | None:
    return scope.qualified(node.table, node.name) if node.table else scope.bare(node.name)


def _equal_columns(
    condition: exp.Expr, scope: Scope
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """The pairs of columns that a condition demands to be equal, whatever else it demands."""
    stack = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Paren):
            stack.append(node.this)
        elif isinstance(node, exp.And):
            stack += [node.expression, node.this]
        elif isinstance(node, exp.EQ):
            sides = [node.this, node.expression]
            found = [_column(s, scope) for s in sides if isinstance(s, exp.Column)]
            origins = [f.origin for f in found if f and f.origin]
            if len(origins) == 2:
                yield (
                    (origins[0].alias, origins[0].column),
                    (origins[1].alias, origins[1].column),
                )
