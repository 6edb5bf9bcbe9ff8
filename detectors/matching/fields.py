"""From the fields of a rule to the columns of a query, through the taxonomy and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from molehunt.conditions import (
    And,
    Condition,
    Exists,
    FieldIs,
    Keyword,
    Not,
    Nothing,
    Or,
    Text,
    Wanted,
    fields_of,
    flat,
)
from molehunt.rule import Rule
from molehunt.taxonomy import (
    PRODUCT_PLATFORM,
    PSEUDO_FIELDS,
    FieldSpec,
    Store,
    TableMap,
    Taxonomy,
)

from ..records import Binding, Shape


class Place(NamedTuple):
    """Where a field's value stands in a row.

    `kind` is `column`, `envelope`, `decoration` or `absent`; `name` the column, envelope part or
    decoration.
    """

    kind: str
    name: str
    normalisers: tuple[str, ...] = ()


ABSENT = Place("absent", "")


class FieldMap(NamedTuple):
    """One rule on one query: every field's place, and the rows that belong to the log source.

    `missing_filters` are fields that only a `not` asks for and the query does not supply.
    """

    store: Store
    table: str
    places: Mapping[str, Place]
    where: tuple[tuple[str, tuple[str, ...]], ...]
    missing_filters: tuple[str, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two queries on which a rule reads the same columns the same way."""
        return (self.store.name, tuple(sorted(self.places.items())), self.where)


class Layout:
    """Where the fields of rules stand in the rows of one query: each field is looked for once."""

    __slots__ = ("_binding", "_known", "_subjects", "_taxonomy")

    def __init__(self, binding: Binding, taxonomy: Taxonomy) -> None:
        self._binding = binding
        self._taxonomy = taxonomy
        self._subjects: dict[str, str | None] = {}
        # By the identity of a table map, which stands beside it.
        self._known: dict[int, tuple[TableMap, dict[str, Place]]] = {}

    def reads(self, rule: Rule) -> bool:
        """Whether `fields` gives anything, without looking at conditions that cannot fail."""
        return any(self._holdable(rule, table_map) for table_map, _ in self._found(rule))

    def fields(self, rule: Rule) -> FieldMap | None:
        """How `rule` reads the rows; None if the query is not its log source or supplies too little
        for the condition ever to hold."""
        for table_map, subject in self._found(rule):
            if self._holdable(rule, table_map):
                return self._on_table(rule, table_map, subject)
        return None

    def _found(self, rule: Rule) -> Iterator[tuple[TableMap, str]]:
        """The tables of the rule that the query is about, each with its alias."""
        shape = self._binding.shape
        if shape is None or not _same_system(rule, self._binding):
            return
        for table_map in self._taxonomy.maps(rule.category, rule.product, rule.service):
            table = table_map.table
            if table not in self._subjects:
                self._subjects[table] = _subject(table, shape, self._taxonomy)
            subject = self._subjects[table]
            if subject is not None:
                yield table_map, subject

    def _holdable(self, rule: Rule, table_map: TableMap) -> bool:
        places = {name: self._place(name, table_map) for name in rule.fields}
        if all(place.kind != "absent" for place in places.values()):
            # Any test of a field that is there can hold and can fail.
            return len(rule.conditions) > 0
        store = self._taxonomy.stores[table_map.store]
        return any(possible(condition, places, store).true for condition in rule.conditions)

    def _place(self, name: str, table_map: TableMap) -> Place:
        _, known = self._known.setdefault(id(table_map), (table_map, {}))
        found = known.get(name)
        if found is None:
            shape, subject = self._binding.shape, self._subjects[table_map.table]
            assert shape is not None
            assert subject is not None
            default = self._taxonomy.stores[table_map.store].text
            found = _place(name, table_map, subject, shape, self._taxonomy, default)
            known[name] = found
        return found

    def _on_table(self, rule: Rule, table_map: TableMap, subject: str) -> FieldMap:
        shape = self._binding.shape
        assert shape is not None
        names = sorted({*rule.fields, *rule.meta.identity, *rule.asked})
        places = {name: self._place(name, table_map) for name in names}
        where = tuple(
            (column, values)
            for name, values in table_map.where.items()
            if (column := _column(shape, subject, name)) is not None
        )
        absent = {name for name in rule.fields if places[name].kind == "absent"}
        if absent:
            absent -= {name for c in rule.conditions for name in _positive(c, True)}
        store = self._taxonomy.stores[table_map.store]
        return FieldMap(store, table_map.table, places, where, tuple(sorted(absent)))


def resolve(rule: Rule, binding: Binding, taxonomy: Taxonomy) -> FieldMap | None:
    """How `rule` reads the rows of a query; None if the query is not its log source or supplies too
    little for the condition ever to hold."""
    return Layout(binding, taxonomy).fields(rule)


def why_not(rule: Rule, bindings: list[Binding], taxonomy: Taxonomy) -> str:
    """Why none of the queries can make the rule fire, in words; "" if one can."""
    if any(resolve(rule, binding, taxonomy) is not None for binding in bindings):
        return ""
    maps = taxonomy.maps(rule.category, rule.product, rule.service)
    if not maps:
        return "its log source is not in the taxonomy"
    tables = sorted({table_map.table for table_map in maps})
    supplied = [
        (binding, table_map, subject)
        for binding in bindings
        if binding.shape is not None and _same_system(rule, binding)
        for table_map in maps
        if (subject := _subject(table_map.table, binding.shape, taxonomy)) is not None
    ]
    if not supplied:
        return "no query on its system supplies " + " or ".join(tables)
    binding, table_map, subject = supplied[0]
    assert binding.shape is not None
    places = _places(rule, table_map, subject, binding.shape, taxonomy)
    absent = sorted(name for name, place in places.items() if place.kind == "absent")
    return f"query {binding.query} does not supply {', '.join(absent)}"


def systems_of(rule: Rule) -> set[str]:
    """The systems that a rule is for, in osquery's spelling; empty for any."""
    wanted = set(rule.meta.platforms)
    if rule.product in PRODUCT_PLATFORM:
        wanted.add(PRODUCT_PLATFORM[rule.product])
    return wanted


def _same_system(rule: Rule, binding: Binding) -> bool:
    """An unknown system is no evidence against a rule."""
    wanted = systems_of(rule)
    return not wanted or not binding.platforms or bool(wanted & binding.platforms)


def _places(
    rule: Rule, table_map: TableMap, subject: str, shape: Shape, taxonomy: Taxonomy
) -> dict[str, Place]:
    default = taxonomy.stores[table_map.store].text
    return {
        name: _place(name, table_map, subject, shape, taxonomy, default)
        for name in sorted({*rule.fields, *rule.meta.identity, *rule.asked})
    }


def _place(
    name: str,
    table_map: TableMap,
    subject: str,
    shape: Shape,
    taxonomy: Taxonomy,
    default: tuple[str, ...],
) -> Place:
    if name in PSEUDO_FIELDS:
        return Place("envelope", name.partition(".")[2])
    if name.startswith("decorations."):
        return Place("decoration", name.partition(".")[2])
    spec = taxonomy.spec(table_map, name)
    if spec is not None and table_map.fields is None and table_map.store != "osquery":
        # A log of one fixed shape: every field is there, or null.
        return Place("column", spec.column, default)
    column = None if spec is None else column_of(spec, table_map.table, subject, shape, taxonomy)
    if spec is None or column is None:
        return ABSENT
    return Place("column", column, default + spec.normalisers)


def column_of(
    spec: FieldSpec, table: str, subject: str, shape: Shape, taxonomy: Taxonomy
) -> str | None:
    """The output column that carries `spec` for the table use `subject`; None if none does."""
    if not spec.join:
        return _column(shape, subject, spec.column)
    join = taxonomy.joins(table).get(spec.join)
    if join is None:
        return None
    for use in shape.tables:
        if use.table != join.table or use.alias == subject:
            continue
        if _joined(shape, use.alias, join.on, subject):
            column = _column(shape, use.alias, spec.column)
            if column is not None:
                return column
    return None


def subject_of(table: str, shape: Shape, taxonomy: Taxonomy) -> str | None:
    """The alias under which a query is about `table`: see `_subject`."""
    return _subject(table, shape, taxonomy)


def _subject(table: str, shape: Shape, taxonomy: Taxonomy) -> str | None:
    """A query is about a table if it uses it other than as the optional side of a join, and not
    merely as a declared join of another use (the parent of a process, say)."""
    uses = [use.alias for use in shape.tables if use.table == table and not use.optional]
    own = [
        alias
        for alias in uses
        if not any(
            join.table == table and other != alias and _joined(shape, alias, join.on, other)
            for join in taxonomy.joins(table).values()
            for other in uses
        )
    ]
    return next(iter(own or uses), None)


def _joined(shape: Shape, theirs: str, on: tuple[tuple[str, str], ...], ours: str) -> bool:
    return all(
        any(
            {equality.left, equality.right} == {(theirs, their_column), (ours, our_column)}
            for equality in shape.equalities
        )
        for their_column, our_column in on
    )


def _column(shape: Shape, alias: str, column: str) -> str | None:
    """The output column whose origin is `alias.column`, following an equal column if need be."""
    for name, origin in shape.columns.items():
        if origin is not None and (origin.alias, origin.column) == (alias, column):
            return name
    return None


class Possible(NamedTuple):
    """Whether a condition can be true, and can be false, on rows that lack some fields."""

    true: bool
    false: bool


def possible(node: Condition, places: Mapping[str, Place], store: Store) -> Possible:
    """What a condition can still become when absent fields count as nothing."""
    match node:
        case And():
            parts = [possible(child, places, store) for child in node.args]
            return Possible(all(p.true for p in parts), any(p.false for p in parts))
        case Or():
            parts = [possible(child, places, store) for child in node.args]
            return Possible(any(p.true for p in parts), all(p.false for p in parts))
        case Not():
            inner = possible(node.arg, places, store)
            return Possible(inner.false, inner.true)
        case FieldIs() if places[node.field].kind == "absent":
            holds = any(holds_on_nothing(value, store) for value in flat(node.value))
            return Possible(holds, not holds)
        case FieldIs() | Keyword():
            return Possible(True, True)


def holds_on_nothing(value: Wanted, store: Store) -> bool:
    """Whether a field that is not there is as wanted."""
    if isinstance(value, Exists):
        return not value.exists
    if isinstance(value, Text):
        return store.empty_is_null and not value.parts
    return isinstance(value, Nothing)


def _positive(node: Condition, wanted: bool) -> Iterator[str]:
    """Fields that an un-negated part of the condition asks for."""
    if isinstance(node, Not):
        yield from _positive(node.arg, not wanted)
    elif isinstance(node, (And, Or)):
        for child in node.args:
            yield from _positive(child, wanted)
    elif wanted and isinstance(node, FieldIs):
        yield from fields_of(node)
