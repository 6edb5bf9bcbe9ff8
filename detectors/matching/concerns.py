"""Which rules look at which queries, for the raw scan: by the query's SQL, or by the columns of a
line where that is not known."""

from __future__ import annotations

from collections.abc import Sequence

from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..reading.osquery import NAME as OSQUERY
from ..records import Binding
from ..schedule.binding import Binder
from ..tying import source_binding
from .fields import Layout, resolve
from .gates import Gates, Reading
from .programs import Reader
from .route import EVERY_RULE, UNTOLD, Told
from .texts import bits


class Concerns:
    """Tells the rules (by number, as a mask) and the gates of a query; `untold` are the gates for
    queries of which no SQL is known, whatever their columns."""

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> None:
        self._rules = rules
        self._taxonomy = taxonomy
        self._binder = binder
        # Under "" the rules for logs that are not osquery's.
        self._tables: dict[str, int] = {}
        self.untold = Gates(self._readings)
        for index, rule in enumerate(rules):
            for table_map in taxonomy.maps(rule.category, rule.product, rule.service):
                table = table_map.table if table_map.store == "osquery" else ""
                self._tables[table] = self._tables.get(table, 0) | 1 << index

    def by_name(self, query: str) -> Told:
        """The rules for rows of a query of known SQL; `UNTOLD` if it is not known."""
        bindings = self._binder.by_sql(query)
        if not bindings:
            # A name with SQL that cannot be followed can still be bound by other SQL of that name.
            return (-1, None) if self._binder.has_sql(query) else UNTOLD
        return self._told(bindings)

    def by_columns(self, query: str, columns: tuple[str, ...]) -> Told:
        """The rules for rows of a query with exactly these columns."""
        return self._told([self._binder.bind(query, frozenset(columns))])

    def of_row(self, source: str, query: str, columns: tuple[str, ...]) -> Told:
        """The rules for rows that a reader found, with exactly these columns."""
        return self._told([self._binding(source, query, columns)])

    def of_rows(
        self, query: str, columns: tuple[str, ...], among: int = EVERY_RULE, source: str = OSQUERY
    ) -> list[Reader]:
        """Those of the rules (a mask) that read osquery's rows of a query with exactly these
        columns, or what events tell (`source`), and how."""
        binding = self._binding(source, query, columns)
        layout = Layout(binding, self._taxonomy)
        tables = 0
        for use in binding.shape.tables if binding.shape else ():
            tables |= self._tables.get(use.table, 0)
        return [
            Reader(index, self._rules[index], fields)
            for index in bits(tables & among)
            if (fields := layout.fields(self._rules[index])) is not None
        ]

    def _binding(self, source: str, query: str, columns: tuple[str, ...]) -> Binding:
        found = None if source == OSQUERY else source_binding(source, query)
        return self._binder.bind(query, frozenset(columns)) if found is None else found

    def _told(self, bindings: Sequence[Binding]) -> Told:
        """Those of the rules for the tables of a query, whichever of these it is, that read it, and
        all for other logs than osquery's; a line that names no row of osquery's can be one of
        theirs."""
        rules = self._tables.get("", 0)
        layouts: list[tuple[int, Layout, frozenset[str]]] = []
        for binding in bindings:
            tables = 0
            for use in binding.shape.tables if binding.shape else ():
                if not use.optional:
                    tables |= self._tables.get(use.table, 0)
            layout = Layout(binding, self._taxonomy)
            layouts.append((tables, layout, frozenset(binding.provenance)))
            for index in bits(tables & ~rules):
                if layout.reads(self._rules[index]):
                    rules |= 1 << index

        def readings(index: int) -> list[Reading]:
            """The ways in which a rule reads such rows; those that do not are not asked."""
            rule = self._rules[index]
            return [
                Reading(rule.conditions, fields, columns)
                for tables, layout, columns in layouts
                if tables >> index & 1 and (fields := layout.fields(rule)) is not None
            ]

        return rules, Gates(readings)

    def _readings(self, index: int) -> list[Reading]:
        """The ways in which a rule may read rows of queries without SQL."""
        rule = self._rules[index]
        maps = self._taxonomy.maps(rule.category, rule.product, rule.service)
        if any(table_map.store != "osquery" for table_map in maps):
            return []
        found: list[Reading] = []
        for table in dict.fromkeys(table_map.table for table_map in maps):
            for binding in self._binder.whole(table):
                fields = resolve(rule, binding, self._taxonomy)
                if fields is not None:
                    found.append(Reading(rule.conditions, fields, frozenset(binding.provenance)))
        return found
