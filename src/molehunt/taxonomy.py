"""The taxonomy as values: which table and column stand behind a Sigma field.

Source of truth: `rules/taxonomy.yml`. Reading, matching, linting and compiling ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

from .eventdata import CONVERSIONS
from .normalise import NORMALISERS
from .problems import Problem
from .schema import Table, tables


class FieldSpec(NamedTuple):
    """`join` names a declared join ("" for the table itself)."""

    join: str
    column: str
    normalisers: tuple[str, ...] = ()


class Join(NamedTuple):
    """`on` pairs a column of the joined table with one of the joining table."""

    table: str
    on: tuple[tuple[str, str], ...]


class TableInfo(NamedTuple):
    """What every log source over this table shares."""

    joins: Mapping[str, Join]
    user: FieldSpec | None


@dataclass(frozen=True, slots=True)
class Store:
    """How a source logs nothing, and what is done to all its texts before matching.

    `address` is the field with the address that signed in, `states` the fields in which the log
    says itself what a database would (some of `ENRICHED_FIELDS`)."""

    name: str
    empty_is_null: bool
    text: tuple[str, ...]
    address: str = ""
    states: Mapping[str, str] = field(default_factory=dict)


class TableMap(NamedTuple):
    """One table of a log source. `fields` is None where every column is a field by its own name.

    What is not `compiled` is only read where somebody's own schedule has it: the queries of
    molehunt's pack ask that table for something else."""

    store: str
    table: str
    products: frozenset[str]
    where: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, FieldSpec] | None
    compiled: bool = True


class EventColumn(NamedTuple):
    """One column of the row that an event tells: `join` as in `FieldSpec`, the `field` of its
    EventData, and one of `eventdata.CONVERSIONS` ("" for none)."""

    join: str
    column: str
    field: str
    conversion: str

    @property
    def name(self) -> str:
        """What the column is called in the row."""
        return f"{self.field}|{self.conversion}" if self.conversion else self.field


class EventMap(NamedTuple):
    """An event of Windows, and the table of which it tells a row.

    `mark` is a field that tells it from others; of the fields in `only` it must have one of these
    values."""

    name: str
    provider: str
    eventid: str
    mark: str
    only: Mapping[str, tuple[str, ...]]
    table: str
    columns: tuple[EventColumn, ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The whole of `rules/taxonomy.yml`."""

    stores: Mapping[str, Store]
    tables: Mapping[str, TableInfo]
    sources: tuple[tuple[Mapping[str, str], tuple[TableMap, ...]], ...]
    events: tuple[EventMap, ...] = ()
    _maps: dict[tuple[str | None, ...], tuple[TableMap, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def maps(
        self, category: str | None, product: str | None, service: str | None
    ) -> tuple[TableMap, ...]:
        """The tables of a log source; empty if the taxonomy does not know it.

        Every key that the rule gives must equal the entry's, as for Sigma pipelines; keys that it
        leaves out match any. `product: osquery, service: <table>` is every column of that table.
        """
        key = (category, product, service)
        found = self._maps.get(key)
        if found is None:
            found = self._maps[key] = self._find_maps(category, product, service)
        return found

    def _find_maps(
        self, category: str | None, product: str | None, service: str | None
    ) -> tuple[TableMap, ...]:
        if product == "osquery" and category is None and service is not None:
            known = service in tables()
            return (TableMap("osquery", service, frozenset(), {}, None),) if known else ()
        asked = {"category": category, "product": product, "service": service}
        wanted = {key: value for key, value in asked.items() if value is not None}
        if not wanted:
            return ()
        return tuple(
            table_map
            for logsource, maps in self.sources
            if all(logsource.get(key) == value for key, value in wanted.items())
            for table_map in maps
        )

    def for_compiling(self) -> Taxonomy:
        """The same without the tables that compiled queries leave out."""
        sources = tuple(
            (logsource, tuple(one for one in maps if one.compiled))
            for logsource, maps in self.sources
        )
        return replace(self, sources=sources)

    def joins(self, table: str) -> Mapping[str, Join]:
        """The declared joins of a table by name."""
        info = self.tables.get(table)
        return info.joins if info else {}

    def spec(self, table_map: TableMap, field: str) -> FieldSpec | None:
        """Where `field` stands in `table_map`, or None if it has no place there."""
        if table_map.fields is not None:
            return table_map.fields.get(field)
        if table_map.store != "osquery":
            return FieldSpec("", field)
        join, dot, column = field.rpartition(".")
        if not dot:
            return FieldSpec("", column) if column in tables()[table_map.table].columns else None
        declared = self.joins(table_map.table).get(join)
        if declared is None or column not in tables()[declared.table].columns:
            return None
        return FieldSpec(join, column)


# What a correlation can ask of the rule that matched, instead of the row.
SUBJECT = "molehunt.subject"
PSEUDO_FIELDS = ("osquery.action", "osquery.name", "osquery.host", "osquery.counter")
# What --mmdb, --entities and the log itself add to the rows of sign-in logs (docs/inputs.md).
ENRICHED_FIELDS = (
    "source.geo.country_iso_code",
    "source.geo.location.lat",
    "source.geo.location.lon",
    "molehunt.geo.radius_km",
    "molehunt.geo.stated_by",
    "source.as.number",
    "source.as.organization.name",
    "molehunt.entity.days_since_start",
    "molehunt.entity.days_since_end",
    "molehunt.entity.ship_to",
    "molehunt.entity.groups",
)
PRODUCT_PLATFORM = {"linux": "linux", "macos": "darwin", "windows": "windows"}


def parse_spec(text: str) -> FieldSpec:
    """`[join.]column[|normaliser…]` as a value."""
    place, *normalisers = text.split("|")
    join, _, column = place.rpartition(".")
    return FieldSpec(join, column, tuple(normalisers))


def parse_taxonomy(data: Mapping[str, Any]) -> Taxonomy:
    """The parsed `taxonomy.yml` as values. Raises KeyError or TypeError on a wrong shape."""
    stores = {
        name: Store(
            name,
            "empty" in entry["nothing"],
            tuple(entry["text"]),
            entry.get("address", ""),
            dict(entry.get("states") or {}),
        )
        for name, entry in data["stores"].items()
    }
    infos = {
        name: TableInfo(
            {
                role: Join(join["table"], tuple(join["keys"].items()))
                for role, join in (entry.get("joins") or {}).items()
            },
            parse_spec(entry["user"]) if entry.get("user") else None,
        )
        for name, entry in data["tables"].items()
    }
    sources = tuple(
        (
            {str(key): str(value) for key, value in source["logsource"].items()},
            tuple(_parse_map(source, entry) for entry in source["tables"]),
        )
        for source in data["sources"]
    )
    events = tuple(_parse_event(name, entry) for name, entry in (data.get("events") or {}).items())
    return Taxonomy(stores, infos, sources, events)


def _parse_event(name: str, entry: Mapping[str, Any]) -> EventMap:
    columns = []
    for place, said in entry["columns"].items():
        spec = parse_spec(place)
        read, _, conversion = said.partition("|")
        columns.append(EventColumn(spec.join, spec.column, read, conversion))
    only = {key: tuple(values) for key, values in (entry.get("only") or {}).items()}
    where = (entry["provider"], str(entry["eventid"]), entry["mark"])
    return EventMap(name, *where, only, entry["table"], tuple(columns))


def _parse_map(source: Mapping[str, Any], entry: Mapping[str, Any]) -> TableMap:
    fields = entry["fields"]
    product = source["logsource"].get("product")
    return TableMap(
        source["store"],
        entry["table"],
        frozenset([product] if product else []),
        {column: tuple(values) for column, values in (entry.get("where") or {}).items()},
        None if fields == "*" else {name: parse_spec(spec) for name, spec in fields.items()},
        entry.get("compiled", True),
    )


@cache
def taxonomy() -> Taxonomy:
    """The taxonomy that ships with the rules, read once."""
    from .data import load_yaml

    return parse_taxonomy(load_yaml("taxonomy.yml"))


def check_taxonomy(found: Taxonomy, schema: Mapping[str, Table]) -> Iterator[Problem]:
    """Every table, column, join and normaliser that the schema or the code does not know."""
    for table, info in found.tables.items():
        yield from _check_table(found, schema, table, info)
    for logsource, maps in found.sources:
        for table_map in maps:
            if table_map.store == "osquery":
                yield from _check_map(found, schema, logsource, table_map)
    for event in found.events:
        yield from _check_event(found, schema, event)


def _check_event(
    found: Taxonomy, schema: Mapping[str, Table], event: EventMap
) -> Iterator[Problem]:
    place, name = "taxonomy.yml", f"event {event.name}"
    if event.table not in schema:
        yield Problem(f"{name}: osquery has no table '{event.table}'", place)
        return
    for one in event.columns:
        if not _known(found, schema, event.table, FieldSpec(one.join, one.column)):
            yield Problem(f"{name}: no column {one.join}.{one.column}".replace(" .", " "), place)
        if one.conversion and one.conversion not in CONVERSIONS:
            yield Problem(f"{name}: no conversion '{one.conversion}'", place)


def _check_table(
    found: Taxonomy, schema: Mapping[str, Table], table: str, info: TableInfo
) -> Iterator[Problem]:
    place = "taxonomy.yml"
    if table not in schema:
        yield Problem(f"tables: osquery has no table '{table}'", place)
        return
    for role, join in info.joins.items():
        for theirs, ours in join.on:
            if join.table not in schema or theirs not in schema[join.table].columns:
                yield Problem(f"join {table}.{role}: no column {join.table}.{theirs}", place)
            if ours not in schema[table].columns:
                yield Problem(f"join {table}.{role}: no column {table}.{ours}", place)
    if info.user is not None and not _known(found, schema, table, info.user):
        yield Problem(f"user of {table}: no column {info.user}", place)


def _check_map(
    found: Taxonomy, schema: Mapping[str, Table], logsource: Mapping[str, str], table_map: TableMap
) -> Iterator[Problem]:
    place, name = "taxonomy.yml", f"{dict(logsource)} {table_map.table}"
    if table_map.table not in schema:
        yield Problem(f"{name}: osquery has no such table", place)
        return
    for column in table_map.where:
        if column not in schema[table_map.table].columns:
            yield Problem(f"{name}: where: no column '{column}'", place)
    for spec in (table_map.fields or {}).values():
        if not _known(found, schema, table_map.table, spec):
            yield Problem(
                f"{name}: field {field}: no column {spec.join or ''}.{spec.column}", place
            )
        for normaliser in spec.normalisers:
            if normaliser not in NORMALISERS:
                yield Problem(f"{name}: field {field}: no normaliser '{normaliser}'", place)


def _known(found: Taxonomy, schema: Mapping[str, Table], table: str, spec: FieldSpec) -> bool:
    if spec.join:
        join = found.joins(table).get(spec.join)
        return join is not None and spec.column in schema[join.table].columns
    return spec.column in schema[table].columns
