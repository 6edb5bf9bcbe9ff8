"""The osquery pack that feeds the rules, made from `rules/pack.yml`.

Format: docs/wiki/deployment/configuration.md of osquery/osquery. osquery runs a pack query only on
the systems that its `platform` names, and only from its `version` up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from molehunt.problems import Problem
from molehunt.rule import Rule
from molehunt.schema import Table
from molehunt.taxonomy import PRODUCT_PLATFORM

from ..rendering import indented

# osquery silently drops queries with these names (osquery/config/config.cpp).
BAD_ENDINGS = ("epoch", "counter")
BAD_BEGINNINGS = ("query.", "cache.", "config_views.")


def make_pack(
    manifest: Mapping[str, Any], rules: Sequence[Rule], schema: Mapping[str, Table]
) -> tuple[dict[str, Any], list[Problem]]:
    """The pack as a JSON-able mapping with the queries that the rules need, and what is wrong.

    A query is in the pack if a rule can use one of its tables on one of its systems.
    """
    from molehunt.detectors.schedule.queries import pack_queries
    from molehunt.detectors.schedule.sql import SqlProblem, shape_of

    problems: list[Problem] = []
    queries: dict[str, Any] = {}
    for name, entry in sorted(pack_queries(manifest)):
        problems += _check_name(name)
        shape = shape_of(entry["sql"], schema)
        if isinstance(shape, SqlProblem):
            problems.append(Problem(f"query {name}: {shape.what}", "pack.yml"))
            continue
        used = [use.table for use in shape.tables]
        if not any(_uses(rule, used, entry["systems"]) for rule in rules):
            continue
        origins = [origin for origin in shape.columns.values() if origin is not None]
        queries[name] = {
            "query": entry["sql"] + ";",
            "interval": entry["interval"],
            "platform": ",".join(entry["systems"]),
            "version": minimum(used, origins, schema),
            "snapshot": bool(entry.get("snapshot", False)),
            "removed": bool(entry.get("removed", True)),
            "description": _description(entry),
        }
    problems += _check_fed(rules, manifest, schema)
    return {"queries": queries}, problems


def _uses(rule: Rule, tables: Sequence[str], systems: Sequence[str]) -> bool:
    """Whether a rule needs one of the tables, on one of the systems."""
    wanted = set(rule.meta.platforms)
    if rule.product in PRODUCT_PLATFORM:
        wanted.add(PRODUCT_PLATFORM[rule.product])
    return bool(set(rule.meta.tables) & set(tables)) and (not wanted or bool(wanted & set(systems)))


def render_pack(pack: Mapping[str, Any]) -> str:
    """The pack as the text of a `.conf` file; the same for the same pack."""
    return indented(pack, sort_keys=True) + "\n"


def _check_name(name: str) -> Iterable[Problem]:
    if name.endswith(BAD_ENDINGS) or name.startswith(BAD_BEGINNINGS):
        yield Problem(f"query {name}: osquery drops queries of this name", "pack.yml")


def _description(entry: Mapping[str, Any]) -> str:
    flags = entry.get("flags") or ()
    return f"Needs {' '.join(flags)}" if flags else str(entry.get("description", ""))


def minimum(tables: Sequence[str], origins: Sequence[Any], schema: Mapping[str, Table]) -> str:
    """The first osquery release that has every table and column used."""
    since = [schema[table].since for table in tables]
    since += [schema[origin.table].columns[origin.column].since for origin in origins]
    return max(since, key=_version)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _check_fed(
    rules: Sequence[Rule],
    manifest: Mapping[str, Any],
    schema: Mapping[str, Table],
) -> Iterable[Problem]:
    """Rules that no query of the pack can feed, on any of their systems."""
    from molehunt.detectors.matching.fields import resolve
    from molehunt.detectors.schedule.binding import Binder
    from molehunt.detectors.schedule.queries import pack_schedule
    from molehunt.taxonomy import taxonomy

    binder = Binder([("config", pack_schedule(manifest))], schema)
    bindings = binder.declared()
    known = taxonomy().for_compiling()
    for rule in rules:
        if rule.product in _NOT_OSQUERY:
            continue
        if not any(resolve(rule, binding, known) is not None for binding in bindings):
            yield Problem("no query of the pack feeds this rule", rule.path, rule=rule.id)


_NOT_OSQUERY = frozenset({"azure", "gcp", "okta"})
