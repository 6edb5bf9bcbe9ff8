"""The beginning of a rule with its recording, as texts; what is missing is said in them.

The proof of what comes out fails until the author has put in what the rule is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .schema import Schema
from .taxonomy import PRODUCT_PLATFORM, TableMap, Taxonomy

TODO = "CHANGE_ME"
# Rows of a draft are of one invented host and moment.
_AT = 1794816000
_CALENDAR = "Mon Nov 16 08:00:00 2026 UTC"
_NUMBERS = ("INTEGER", "BIGINT", "UNSIGNED_BIGINT", "DOUBLE")
# Fields that most rules begin with, in this order.
_TELLING = ("Image", "QueryName", "TargetObject", "TargetFilename", "DestinationHostname")
_PRODUCTS = {platform: product for product, platform in PRODUCT_PLATFORM.items()}


class Source(NamedTuple):
    """What a query of the pack feeds: `columns` maps its output columns to table and column."""

    query: str
    table: str
    system: str
    flags: tuple[str, ...]
    columns: Mapping[str, tuple[str, str] | None]


class Draft(NamedTuple):
    """`rule` and `manifest` are YAML, `log` a line for each record; `name` is the rule's file."""

    name: str
    scenario: str
    rule: str
    manifest: str
    log: str


def draft(
    identifier: str,
    title: str,
    source: Source,
    taxonomy: Taxonomy,
    schema: Schema,
    today: str,
) -> Draft:
    """The draft of a rule over one query."""
    table_map, logsource = _logsource(source, taxonomy)
    field = _field(source, table_map)
    slug = "_".join(re.findall(r"[a-z0-9]+", title.lower()))[:50] or "rule"
    name = f"{_prefix(source, logsource)}_{slug}.yml"
    windows = source.system == "windows"
    # An ending with a separator is what a path should be compared by.
    value = ("\\" if windows else "/") + TODO if field in ("Image", "path") else TODO
    head = _head(identifier, title, today)
    rule = head + _body(source, logsource, (field, value), _since(source, schema))
    scenario = slug.replace("_", "-")
    return Draft(
        name,
        scenario,
        rule,
        _manifest(identifier, title),
        _log(source, schema, dict(table_map.where) if table_map else {}),
    )


def _logsource(source: Source, taxonomy: Taxonomy) -> tuple[TableMap | None, dict[str, str]]:
    """Sigma's own log source where the taxonomy has one for the table, else the table itself."""
    product = _PRODUCTS[source.system]
    for logsource, maps in taxonomy.sources:
        for one in maps:
            if (
                one.store == "osquery"
                and one.table == source.table
                and logsource.get("product") == product
                and one.fields is not None
            ):
                return one, dict(logsource)
    return None, {"product": "osquery", "service": source.table}


def _field(source: Source, table_map: TableMap | None) -> str:
    own = {where[1] for where in source.columns.values() if where and where[0] == source.table}
    if table_map is not None and table_map.fields:
        fields = {
            name for name, spec in table_map.fields.items() if not spec.join and spec.column in own
        }
        return next((one for one in _TELLING if one in fields), min(fields))
    named = [name for name in ("path", "name", "model", "cmdline") if name in own]
    return next(iter([*named, *sorted(own)]))


def _prefix(source: Source, logsource: Mapping[str, str]) -> str:
    category = logsource.get("category")
    if category is None:
        return f"osquery_{source.table}"
    system = logsource.get("product", source.system)
    return f"{'proc_creation' if category == 'process_creation' else category}_{system}"


def _head(identifier: str, title: str, today: str) -> str:
    return f"""\
title: {_quoted(title)}
id: {identifier}
status: experimental
description: |
    Detects what the telemetry shows. Then say why that matters when one of your remote engineers
    may not be who you hired.
references:
    - https://example.com/a-public-source-that-does-not-move
author: your name
date: {today}
tags: # tactic and technique: rules/data/attack_v18.1.json
    - attack.command-and-control
    - attack.t1219.002
"""


def _body(source: Source, logsource: Mapping[str, str], wanted: tuple[str, str], since: str) -> str:
    field, value = wanted
    flags = f"        flags: [{', '.join(map(_quoted, source.flags))}]\n" if source.flags else ""
    where = "".join(f"    {key}: {text}\n" for key, text in logsource.items())
    return f"""\
logsource:
{where}detection:
    selection:
        {field}|endswith: '{value}'
    condition: selection
falsepositives:
    - Which software, which team, which situation
level: low # docs/rule_style.md says what each level asks of people
molehunt:
    subject: slug-of-the-tool-or-behaviour
    behaviours: [B01] # rules/behaviours.yml
    identity: [{field}]
    platforms: [{source.system}]
    needs:
        tables: [{source.table}]
        min_version: {since}
{flags}    blind_spots:
        - What it does not see
    validate:
        - How to see it fire on a test host
    next_steps:
        - What to do first
"""


def _since(source: Source, schema: Schema) -> str:
    found = [schema[source.table].since]
    for where in source.columns.values():
        if where is not None and where[0] in schema and where[1] in schema[where[0]].columns:
            found.append(schema[where[0]].columns[where[1]].since)
    return max((one for one in found if one), key=_version)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 ()/.,'-]*", text) and ": " not in text
    return text if plain else "'" + text.replace("'", "''") + "'"


def _manifest(identifier: str, title: str) -> str:
    return f"""\
title: {_quoted(title)}
kind: invented # or real, published, ordered: docs/recordings.md
provenance: |
    Who recorded it with what, or which public source gives which values, and what is made up.
logs:
    - file: results.log
fires:
    - rule: {identifier}
      records:
          - {{log: results.log, lines: [1]}}
near_misses:
    - rule: {identifier}
      records:
          - {{log: results.log, lines: [2]}}
      why: say the one thing in which it differs
"""


def _log(source: Source, schema: Schema, rows: Mapping[str, tuple[str, ...]]) -> str:
    """Two rows as osqueryd writes them: the query's columns by name, every value a text.

    `rows` are the values of columns that belong to the log source.
    """
    lines = []
    for number in range(2):
        columns = {
            name: _value(where, schema, number) for name, where in sorted(source.columns.items())
        }
        for name, where in source.columns.items():
            if where is not None and where[0] == source.table and where[1] in rows:
                columns[name] = rows[where[1]][0]
        document = {
            "name": f"pack_molehunt_{source.query}",
            "hostIdentifier": "lab-01",
            "calendarTime": _CALENDAR,
            "unixTime": _AT,
            "epoch": 0,
            "counter": number,
            "numerics": False,
            "columns": columns,
            "action": "added",
        }
        lines.append(json.dumps(document, separators=(",", ":")) + "\n")
    return "".join(lines)


def _value(where: tuple[str, str] | None, schema: Schema, number: int) -> str:
    column = None
    if where is not None and where[0] in schema:
        column = schema[where[0]].columns.get(where[1])
    if where is not None and where[1] == "time":
        return str(_AT + number)
    return "0" if column is not None and column.type.upper() in _NUMBERS else ""


def texts(found: Draft, rules: str, recordings: str) -> Mapping[str, str]:
    """The files by path."""
    return {
        f"{rules}/{found.name}": found.rule,
        f"{recordings}/{found.scenario}/manifest.yml": found.manifest,
        f"{recordings}/{found.scenario}/results.log": found.log,
    }


def sources(entries: Iterable[tuple[str, Mapping[str, Any]]], schema: Schema) -> Sequence[Source]:
    """The queries of the pack whose SQL can be followed, each for its one system."""
    from molehunt.detectors.schedule.sql import SqlProblem, shape_of

    found = []
    for name, entry in entries:
        shape = shape_of(entry["sql"], schema)
        if isinstance(shape, SqlProblem) or not shape.tables:
            continue
        columns = {
            column: None if origin is None else (origin.table, origin.column)
            for column, origin in shape.columns.items()
        }
        flags = tuple(map(str, entry.get("flags") or ()))
        first = shape.tables[0].table
        found.append(Source(name, first, entry["systems"][0], flags, columns))
    return found
