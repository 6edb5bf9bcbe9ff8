"""One rule as osquery SQL: the pack's own queries, narrowed to what the rule looks for.

A query of the pack already has the tables, the joins, what its tables require, and users joined to
the tables that show only one user's rows. Its rows keep their columns, so whoever reads them
afterwards reads them as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.detectors.records import Shape
from molehunt.detectors.schedule.kept import pack_shapes
from molehunt.detectors.schedule.queries import pack_queries
from molehunt.detectors.schedule.sql import SqlProblem
from molehunt.rule import Rule
from molehunt.schema import tables

from ..model import Artefact, Bound, Compiled, Profile, Refusal, Subject, Unsayable
from .bounded import can_hold, forms_of
from .forms import Form
from .pack import BAD_BEGINNINGS, BAD_ENDINGS, minimum
from .sqlwhere import FALSE, TRUE, Column, Where

LONGEST = 1 << 20
"""osquery refuses a configuration above 1 MiB (kMaxConfigSize up to 5.23.1)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A query of the pack: its SQL, what its columns are, and how it is scheduled."""

    sql: str
    systems: tuple[str, ...]
    interval: int
    evented: bool
    flags: tuple[str, ...]
    version: str
    table: str
    shape: Shape
    columns: Mapping[str, Column | None]
    forms: Mapping[str, tuple[Form, ...]]


def compile_rule(subject: Subject, profile: Profile) -> Compiled:
    """A rule as queries, one for each query of the pack that it reads (systems together).

    `query` is a list of {queries, platform, sql, removed, covered}; `covered` are those that find
    nothing beyond another of them, and need not run. `body` maps names to entries of a pack.
    """
    rule = subject.rule

    def refusal(code: str, reason: str) -> Refusal:
        return Refusal(rule.id, rule.title, "osquery", profile.name, code, reason)

    if isinstance(rule, Correlation):
        return refusal("correlation", "a query on a host sees one moment of one host")
    differences: set[str] = set()
    try:
        statements = _marked(list(_statements(subject, rule, profile, differences)))
    except Unsayable as why:
        return refusal(why.code, why.reason)
    if not statements:
        return refusal("not_osquery", "its log is not on the host")
    body = {
        name: _entry(statement, rule, subject.removed)
        for name, statement in zip(_names(rule, statements), statements, strict=True)
    }
    return Artefact(
        rule.id, rule.title, "osquery", profile.name, "sql",
        statements, body, tuple(sorted(differences)),
    )  # fmt: skip


def _statements(
    subject: Subject, rule: Rule, profile: Profile, differences: set[str]
) -> Iterator[dict[str, Any]]:
    sources = pack_sources()
    known: set[str] = set()
    for bound in subject.bounds:
        grouped: dict[str, list[str]] = {}
        for name in bound.queries:
            grouped.setdefault(sources[name].sql, []).append(name)
        for names in grouped.values():
            sql = _narrowed(sources[names[0]], bound, rule, names, profile, differences)
            if sql is not None and sql not in known:
                known.add(sql)
                systems = dict.fromkeys(one for name in names for one in sources[name].systems)
                yield {
                    "platform": ",".join(sorted(systems)),
                    "queries": sorted(names),
                    "removed": subject.removed,
                    "sql": sql,
                }


def _marked(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which statements ask for some rows of a table that another one reads whole."""
    sources = pack_sources()
    whole = {
        (sources[name].table, system)
        for one in statements
        for name in one["queries"]
        for system in sources[name].systems
        if " WHERE " not in sources[name].sql
    }
    for one in statements:
        narrow = all(" WHERE " in sources[name].sql for name in one["queries"])
        systems = [
            (sources[n].table, system) for n in one["queries"] for system in sources[n].systems
        ]
        one["covered"] = narrow and all(pair in whole for pair in systems)
    return statements


def _narrowed(
    source: Source,
    bound: Bound,
    rule: Rule,
    names: list[str],
    profile: Profile,
    differences: set[str],
) -> str | None:
    """The pack's SQL with the rule's condition; None if no row can meet it."""
    if not any(can_hold(one, bound.fields.places, source.forms) for one in rule.conditions):
        return None
    logged = tuple(pattern.format(name) for pattern in profile.names for name in names)
    where = Where(bound.fields, source.columns, logged)
    tests = [where.condition(one) for one in rule.conditions]
    if FALSE in tests and len(set(tests)) == 1:
        return None
    belongs = where.belongs()
    wanted = " OR ".join(dict.fromkeys(test for test in tests if test != FALSE))
    differences |= where.differences
    parts = [one for one in (belongs, f"({wanted})" if len(tests) > 1 else wanted) if one != TRUE]
    sql = _with(source.sql, " AND ".join(parts)) if parts and TRUE not in tests else source.sql
    if len(sql) > LONGEST // 4:
        raise Unsayable("too_long", "its SQL would be a quarter of what a configuration may have")
    return sql


def statement_test(statement: Mapping[str, Any], name: str) -> str:
    """What a statement asks beyond the query of the pack that it stems from."""
    base = pack_sources()[name].sql
    place = _where(base)
    before = len(base) if place is None else place
    rest = str(statement["sql"])[before:].strip()
    if place is None:
        return rest.removeprefix("WHERE ") or TRUE
    return rest.removeprefix(f"WHERE ({base[place + 6 :]}) AND ") if rest != base[place:] else TRUE


def _column(origin: Any) -> Column | None:
    if origin is None:
        return None
    found = tables()[origin.table].column(origin.column)
    return None if found is None else Column(f"{origin.alias}.{found.name}", found.type)


def _with(sql: str, test: str) -> str:
    """A SELECT with a further test; the pack's queries end with their WHERE, if they have one."""
    place = _where(sql)
    if place is None:
        return f"{sql} WHERE {test}"
    return f"{sql[:place]}WHERE ({sql[place + 6 :]}) AND {test}"


@cache
def _where(sql: str) -> int | None:
    """Where the outermost WHERE stands."""
    depth, quote, found = 0, "", None
    for place, character in enumerate(sql):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif not depth and sql[place : place + 6].upper() == "WHERE " and sql[place - 1].isspace():
            found = place
    return found


def _names(rule: Rule, statements: list[dict[str, Any]]) -> list[str]:
    """Names in the pack, from the rule's file; osquery drops some names without a word."""
    stem = rule.name.rpartition("/")[2].removesuffix(".yml").removesuffix(".yaml")
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem.lower()).strip("_")
    name = f"{plain}_{rule.id[:8]}"
    if name.startswith(BAD_BEGINNINGS) or name.endswith(BAD_ENDINGS):
        name = f"rule_{name}_q"
    names = []
    for statement in statements:
        first = statement["queries"][0]
        short = first.rpartition("_")[0] if "," in statement["platform"] else first
        names.append(f"{name}_{short}" if len(statements) > 1 else name)
    if len(set(names)) < len(names):
        names = [f"{name}_{number}" for number, name in enumerate(names, 1)]
    return names


def _entry(statement: Mapping[str, Any], rule: Rule, removed: bool) -> dict[str, Any]:
    sources = [pack_sources()[name] for name in statement["queries"]]
    evented = any(source.evented for source in sources)
    return {
        "query": statement["sql"] + ";",
        "interval": _interval(rule, sources, evented),
        "platform": statement["platform"],
        "version": max((source.version for source in sources), key=_number),
        "snapshot": False,
        # Events never go away; that a state ended is logged only for rules that ask.
        "removed": bool(removed and not evented),
        "description": f"{rule.title} ({rule.level.name.lower()}, {rule.id})",
    }


def _interval(rule: Rule, sources: list[Source], evented: bool) -> int:
    """Seconds: every five minutes for what is acted upon and for events (osqueryd keeps them for an
    hour), every quarter of an hour for events that only add to others, else hourly; never more
    often than the pack collects it."""
    usual = max(source.interval for source in sources)
    acted_upon = rule.level.name in ("CRITICAL", "HIGH")
    if evented and not acted_upon:
        return max(usual, 300 if rule.level.name == "MEDIUM" else 900)
    return max(usual, 300 if acted_upon else 3600)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@cache
def pack_sources() -> Mapping[str, Source]:
    """The queries of the shipped pack by name, with their system. Read once."""
    found: dict[str, Source] = {}
    manifest = load_yaml("pack.yml")
    shapes = pack_shapes(manifest)
    for name, entry in pack_queries(manifest):
        sql = " ".join(str(entry["sql"]).split())
        shape = shapes[str(entry["sql"])]
        assert not isinstance(shape, SqlProblem), name
        used = [use.table for use in shape.tables]
        origins = [origin for origin in shape.columns.values() if origin is not None]
        found[name] = Source(
            sql=sql,
            systems=tuple(entry["systems"]),
            interval=int(entry["interval"]),
            evented=any(tables()[table].evented for table in used),
            flags=tuple(entry.get("flags") or ()),
            version=minimum(used, origins, tables()),
            table=used[0],
            shape=shape,
            columns={name: _column(origin) for name, origin in shape.columns.items()},
            forms=forms_of(sql),
        )
    return found
