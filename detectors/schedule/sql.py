"""Which table and column stand behind each output column of a scheduled query's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from molehunt.schema import Schema, tables

from ..records import Shape

MAX_LENGTH = 1 << 20
"""osquery itself refuses a configuration above 1 MiB (kMaxConfigSize up to 5.23.1)."""

MAX_DEPTH = 200

NO_VIEWS: Mapping[str, str] = MappingProxyType({})


class SqlProblem(NamedTuple):
    """Why a query's SQL says nothing about its columns, in words that follow "its SQL: "."""

    what: str


def shape_of(sql: str, schema: Schema, views: Mapping[str, str] = NO_VIEWS) -> Shape | SqlProblem:
    """The shape of the rows of one SELECT, or why there is none. Never raises on odd SQL.

    `views` are the views of the osquery configuration, name to SQL. A column that is computed or
    cannot be followed for certain has no origin. Tables that are not in the schema (extensions,
    ATC) keep the name they are given.
    """
    return _of_ours(sql) if schema is tables() and not views else _shape(sql, schema, views)


@lru_cache(maxsize=512)
def _of_ours(sql: str) -> Shape | SqlProblem:
    """The same queries are asked about for each binder: once for each recording of a proof."""
    return _shape(sql, tables(), NO_VIEWS)


def _shape(sql: str, schema: Schema, views: Mapping[str, str]) -> Shape | SqlProblem:
    if len(sql) > MAX_LENGTH:
        return SqlProblem(f"it is longer than {MAX_LENGTH} characters")
    if _depth(sql) > MAX_DEPTH:
        return SqlProblem("its brackets are nested too deeply")
    from .relation import Unclear, to_shape
    from .resolve import relation_of

    try:
        return to_shape(relation_of(sql, schema, views))
    except Unclear as unclear:
        return SqlProblem(str(unclear))
    except RecursionError:
        return SqlProblem("it is nested too deeply")


def _depth(sql: str) -> int:
    """How deep brackets are nested, at most; those in texts are counted too, which is harmless."""
    depth = deepest = 0
    for character in sql if sql.count("(") > MAX_DEPTH else "":
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest
