"""From loaded rules to what is compiled: which queries of the pack a rule reads, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molehunt.detectors.matching.fields import FieldMap, Layout
from molehunt.detectors.records import Binding
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.kept import know_sql
from molehunt.detectors.schedule.queries import pack_queries, pack_schedule
from molehunt.detectors.tying import SOURCES, source_binding
from molehunt.rule import Rule, RuleSet, asks_removed
from molehunt.schema import tables as osquery_tables
from molehunt.taxonomy import Taxonomy

from .model import Bound, Subject


def subjects(
    ruleset: RuleSet, manifest: Mapping[str, Any], taxonomy: Taxonomy
) -> tuple[Subject, ...]:
    """Every rule and correlation of a set, rules first, correlations after their members.

    A rule that nothing of the pack feeds has no bounds; whoever compiles it refuses it.
    """
    taxonomy = taxonomy.for_compiling()
    bindings = [(name, one, Layout(one, taxonomy)) for name, one in _bindings(manifest)]
    about: dict[frozenset[str], list[tuple[str, Layout]]] = {}
    made: dict[str, Subject] = {}
    for rule in ruleset.rules:
        maps = taxonomy.maps(rule.category, rule.product, rule.service)
        tables = frozenset(one.table for one in maps)
        if tables not in about:
            about[tables] = [(name, layout) for name, one, layout in bindings if _uses(one, tables)]
        bounds = _bounds(rule, about[tables])
        made[rule.id] = Subject(rule, bounds, removed=asks_removed(rule))
    for one in ruleset.correlations:
        made[one.id] = Subject(one, members=tuple(made[each] for each in one.rules))
    return tuple(made.values())


def _bindings(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Binding]]:
    """Each scheduled query of the pack, and each log that is not osquery's (under no name)."""
    names = dict(pack_queries(manifest))
    before = f"pack_{manifest['pack']}_"
    binder = Binder([("config", pack_schedule(manifest))], osquery_tables())
    for binding in know_sql(binder).declared():
        name = binding.query.removeprefix(before)
        # The schedule also has what older packs logged.
        if name in names:
            yield name, binding
    for source in SOURCES:
        fixed = source_binding(source, "")
        assert fixed is not None
        yield "", fixed


def _uses(binding: Binding, tables: frozenset[str]) -> bool:
    """Whether a query reads any of the tables; no other can feed a rule about them."""
    shape = binding.shape
    return shape is not None and any(use.table in tables for use in shape.tables)


def _bounds(rule: Rule, layouts: Sequence[tuple[str, Layout]]) -> tuple[Bound, ...]:
    found: dict[object, tuple[list[str], FieldMap]] = {}
    for name, layout in layouts:
        fields = layout.fields(rule)
        if fields is not None:
            found.setdefault((fields.key, fields.table), ([], fields))[0].append(name)
    return tuple(
        Bound(tuple(sorted(filter(None, names))), fields) for names, fields in found.values()
    )
