"""Which rules look at which queries, for the raw scan: by the query's SQL, or by the columns of a
line where that is not known."""

from __future__ import annotations

from collections.abc import Sequence

from molehunt.conditions import Condition
from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..records import Binding
from ..schedule.binding import Binder
from .fields import FieldMap, resolve
from .gates import Gates
from .route import UNTOLD, Told
from .texts import bits


class Concerns:
    """Tells the rules (by number, as a mask) and the gates of a query."""

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> None:
        self._rules = rules
        self._taxonomy = taxonomy
        self._binder = binder
        # Under "" the rules for logs that are not osquery's.
        self._tables: dict[str, int] = {}
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
        if len(bindings) == 1:
            return self._told(bindings[0])
        rules = 0
        for binding in bindings:
            rules |= self._told(binding)[0]
        return rules, None

    def by_columns(self, query: str, columns: tuple[str, ...]) -> Told:
        """The rules for rows of a query with exactly these columns."""
        return self._told(self._binder.bind(query, frozenset(columns)))

    def _told(self, binding: Binding) -> Told:
        """Those of the rules for a query's tables that read it, and all for other logs than
        osquery's; a line that names no row of osquery's can be one of theirs."""
        tables = 0
        for use in binding.shape.tables if binding.shape else ():
            if not use.optional:
                tables |= self._tables.get(use.table, 0)
        found: dict[int, FieldMap] = {}
        for index in bits(tables):
            fields = resolve(self._rules[index], binding, self._taxonomy)
            if fields is not None:
                found[index] = fields
        rules = self._tables.get("", 0)
        for index in found:
            rules |= 1 << index

        def reads(index: int) -> tuple[Sequence[Condition], FieldMap] | None:
            fields = found.get(index)
            return None if fields is None else (self._rules[index].conditions, fields)

        return rules, Gates(rules, reads)
