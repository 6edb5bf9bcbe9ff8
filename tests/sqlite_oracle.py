"""Random SELECTs over osquery's tables, and a SQLite that shows where each value came from.

In the first database every cell says its own table, column and row, under a collation in which all
texts are equal, so that every join condition holds. In the second, cells are 1 or 2.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from functools import cache

from hypothesis import strategies as st

from molehunt.schema import tables

TABLES = ("users", "user_groups", "groups", "sudoers", "etc_hosts", "routes", "authorized_keys")
OUTER = ("RIGHT JOIN", "FULL JOIN") if sqlite3.sqlite_version_info >= (3, 39) else ()
JOINS = ("JOIN", "LEFT JOIN", "CROSS JOIN", "INNER JOIN", ",", "NATURAL JOIN", *OUTER)


def columns_of(table: str) -> list[str]:
    """The columns that `SELECT *` gives."""
    return [c.name for c in tables()[table].columns.values() if not c.hidden]


@cache
def tagged() -> sqlite3.Connection:
    """Each cell holds `table.column#row`; any two cells are equal."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.create_collation("SAME", lambda a, b: 0)
    for table in TABLES:
        names = columns_of(table)
        spec = ", ".join(f'"{name}" TEXT COLLATE SAME' for name in names)
        database.execute(f"CREATE TABLE {table} ({spec})")
        marks = ", ".join("?" * len(names))
        for row in (1, 2):
            cells = [f"{table}.{name}#{row}" for name in names]
            database.execute(f"INSERT INTO {table} VALUES ({marks})", cells)
    return database


@cache
def small() -> sqlite3.Connection:
    """Each cell holds 1 or 2, so that join conditions tell rows apart."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    for number, table in enumerate(TABLES):
        names = columns_of(table)
        spec = ", ".join(f'"{name}" INT' for name in names)
        database.execute(f"CREATE TABLE {table} ({spec})")
        marks = ", ".join("?" * len(names))
        for row in range(4):
            cells = [
                1 + ((number * 5 + row * 7 + i * (row + 3)) >> 1) % 2 for i, _ in enumerate(names)
            ]
            database.execute(f"INSERT INTO {table} VALUES ({marks})", cells)
    return database


@dataclass
class Visible:
    """A source in FROM as the generator knows it: how to call it, and its columns."""

    name: str
    columns: list[str]


@dataclass
class Query:
    """A SELECT: its text, its output columns, and those that must have an origin."""

    sql: str
    columns: list[str]
    certain: set[str] = field(default_factory=set)


def _case(draw: st.DrawFn, text: str) -> str:
    return draw(st.sampled_from([text, text, text.upper(), f'"{text}"', f"`{text}`", f"[{text}]"]))


@st.composite
def sources(draw: st.DrawFn, depth: int, ctes: list[Visible], number: int) -> tuple[str, Visible]:
    """One item of FROM."""
    kind = draw(st.sampled_from(["table", "table", "bare", "subquery", "cte"]))
    name = f"s{number}"
    if kind == "subquery" and depth:
        query = draw(queries(depth - 1, ctes))
        return f"({query.sql}) AS {name}", Visible(name, query.columns)
    if kind == "cte" and ctes:
        cte = draw(st.sampled_from(ctes))
        return f"{cte.name} {name}", Visible(name, cte.columns)
    table = draw(st.sampled_from(TABLES))
    if kind == "bare" and number == 0:
        return _case(draw, table), Visible(table, columns_of(table))
    return f"{_case(draw, table)} {name}", Visible(name, columns_of(table))


@st.composite
def queries(draw: st.DrawFn, depth: int = 2, ctes: list[Visible] | None = None) -> Query:
    """One SELECT, perhaps with a WITH before it, perhaps several put together."""
    known = list(ctes or [])
    prefix = ""
    if ctes is None and draw(st.booleans()):
        inner = draw(queries(1, []))
        known.append(Visible("w", inner.columns))
        prefix = f"WITH w AS ({inner.sql}) "
    query = draw(selects(depth, known))
    if draw(st.integers(0, 4)) == 0:
        other = draw(selects(0, known, width=len(query.columns)))
        word = draw(st.sampled_from(["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]))
        return Query(f"{prefix}{query.sql} {word} {other.sql}", query.columns)
    return Query(prefix + query.sql, query.columns, query.certain)


@st.composite
def selects(draw: st.DrawFn, depth: int, ctes: list[Visible], width: int | None = None) -> Query:
    """One SELECT without WITH; of `width` columns if that is given."""
    text, first = draw(sources(depth, ctes, 0))
    seen = [first]
    merged: set[str] = set()
    for number in range(1, draw(st.integers(1, 3))):
        item, right = draw(sources(depth, ctes, number))
        word = draw(st.sampled_from(JOINS))
        counts = [n for v in seen for n in {c.lower() for c in v.columns}]
        shared = sorted(
            {c.lower() for c in right.columns if _plain(c)}
            & {n for n in counts if counts.count(n) == 1 or n in merged}
        )
        condition = ""
        if word == "NATURAL JOIN":
            lower = {c.lower() for c in right.columns}
            if any(counts.count(n) > 1 and n not in merged for n in lower & set(counts)):
                word = "JOIN"
            else:
                merged |= lower & set(counts)
        if word not in (",", "NATURAL JOIN"):
            if shared and draw(st.booleans()):
                names = draw(st.lists(st.sampled_from(shared), min_size=1, max_size=2, unique=True))
                merged |= set(names)
                condition = f" USING ({', '.join(names)})"
            elif draw(st.booleans()):
                condition = f" ON {_condition(draw, [*seen, right])}"
        text += f" {word} {item}{condition}" if word != "," else f", {item}"
        seen.append(right)
    where = f" WHERE {_condition(draw, seen)}" if draw(st.integers(0, 3)) == 0 else ""
    items, columns, certain = _items(draw, seen, merged, width)
    return Query(f"SELECT {', '.join(items)} FROM {text}{where}", columns, certain)


def _plain(name: str) -> bool:
    return name.replace("_", "a").isalnum()


def _condition(draw: st.DrawFn, seen: list[Visible]) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 2))):
        one, other = draw(st.sampled_from(seen)), draw(st.sampled_from(seen))
        left, right = draw(st.sampled_from(one.columns)), draw(st.sampled_from(other.columns))
        parts.append(f'{one.name}."{left}" = {other.name}."{right}"')
    if draw(st.integers(0, 4)) == 0:
        parts.append(draw(st.sampled_from(["1=0", "(1=1 OR 1=0)"])))
    return draw(st.sampled_from([" AND ", " AND ", " OR "])).join(parts)


def _items(
    draw: st.DrawFn, seen: list[Visible], merged: set[str], width: int | None
) -> tuple[list[str], list[str], set[str]]:
    kinds = ["qualified", "qualified", "named", "bare", "computed", "star", "whole"]
    items: list[str] = []
    columns: list[str] = []
    certain: set[str] = set()
    for number in range(width or draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds[:5] if width else kinds))
        source = draw(st.sampled_from(seen))
        name = draw(st.sampled_from(source.columns))
        owners = [v for v in seen if name.lower() in {c.lower() for c in v.columns}]
        if kind == "star":
            items.append("*")
            for index, v in enumerate(seen):
                before = {c.lower() for u in seen[:index] for c in u.columns}
                columns += [c for c in v.columns if c.lower() not in merged & before]
        elif kind == "whole":
            items.append(f"{source.name}.*")
            columns += source.columns
        elif kind == "computed":
            items.append(f'upper({source.name}."{name}") AS c{number}')
            columns.append(f"c{number}")
        elif kind == "bare" and (len(owners) == 1 or name.lower() in merged):
            items.append(f'"{name}"')
            columns.append(name)
        elif kind == "named":
            items.append(f'{source.name}."{name}" AS "N{number}"')
            columns.append(f"N{number}")
            certain.add(f"N{number}")
        else:
            items.append(f'{source.name}."{name}"')
            columns.append(name)
    return items, columns, certain
