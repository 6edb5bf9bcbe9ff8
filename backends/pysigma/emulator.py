r"""Databricks and ClickHouse, imitated: sqlglot reads their SQL, DuckDB runs what it means.

Only what the backends were seen to write is known here; anything else is an error, so that nothing
is found by luck. What differs between the engines is said anew, after their documentation:

- ClickHouse keeps the backslash of an unknown escape in a text (`'a\_b'` has four characters), LIKE
  has escapes without being asked, and `match` is RE2 in which a dot is also a line break.
- Databricks (Spark) takes the backslash of any escape away (`'\_'` is `_`), and `rlike` is Java's:
  of it only what means the same in RE2 is run.

It is neither of them. Letters beyond ASCII are lowered as DuckDB does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .rows import PLACE, written

_LARGEST = 1 << 28  # bytes of one row, far more than any has


class NotKnown(Exception):
    """Something in a query that is not imitated, in words."""


def missing() -> str:
    """What is needed, or ""."""
    return "" if find_spec("duckdb") else "the Python package duckdb is not installed"


class Session:
    """One table in memory."""

    def __init__(self, profile: Profile, where: Callable[[str], tuple[str, set[str]]]) -> None:
        import duckdb

        self._profile, self._where = profile, where
        self._database = duckdb.connect()
        self._columns: set[str] = set()

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out."""
        with written(records, self._profile) as (path, columns):
            typed = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in (PLACE, *columns))
            kept = ", ".join(f"coalesce({_name(name)}, '') AS {_name(name)}" for name in columns)
            self._database.execute(
                f"CREATE TABLE logs AS SELECT {PLACE}::INTEGER AS {PLACE}, {kept} "  # noqa: S608
                f"FROM read_json({_text(str(path))}, format='newline_delimited', "
                f"maximum_object_size={_LARGEST}, columns={{{typed}}})"
            )
        self._columns = set(columns)

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What any of the queries of each finds."""
        import duckdb
        from sqlglot.errors import SqlglotError

        for one in artefacts:
            try:
                found = {place for query in one.query for place in self._run(query)}
            except (duckdb.Error, SqlglotError, NotKnown) as error:
                yield Answer(one.rule, error=f"{type(error).__name__}: {str(error)[:300]}")
            else:
                yield Answer(one.rule, frozenset(found))

    def _run(self, query: str) -> list[int]:
        where, columns = self._where(query)
        # A column that no row has is one that is empty in all.
        for name in sorted(columns - self._columns):
            self._database.execute(f"ALTER TABLE logs ADD COLUMN {_name(name)} VARCHAR DEFAULT ''")
            self._columns.add(name)
        found = self._database.execute(f"SELECT {PLACE} FROM logs WHERE {where}").fetchall()  # noqa: S608
        return [place for (place,) in found]

    def close(self) -> None:
        """The end."""
        self._database.close()


def spark(query: str) -> tuple[str, set[str]]:
    """A query of Databricks as DuckDB's condition, and its columns. Raises NotKnown."""
    return _read(query, "databricks", _SPARK)


def clickhouse(query: str) -> tuple[str, set[str]]:
    """A query of ClickHouse as DuckDB's condition, and its columns. Raises NotKnown."""
    return _read(query, "clickhouse", _CLICKHOUSE)


def _read(query: str, dialect: str, said: Mapping[str, Any]) -> tuple[str, set[str]]:
    from sqlglot import exp, parse_one

    # Texts are taken out first: what an escape in them means is told here, not by sqlglot.
    texts: list[str] = []

    def put(found: re.Match[str]) -> str:
        texts.append(said["text"](found[0][1:-1]))
        return f"'{len(texts) - 1}'"

    tree = parse_one(_LITERAL.sub(put, query), read=dialect)
    if not isinstance(tree, exp.Select) or set(_parts(tree)) - {
        "expressions",
        "from_",
        "from",
        "where",
    }:
        raise NotKnown("a query that is not SELECT * FROM logs WHERE ...")
    if tree.sql("duckdb").split(" WHERE ")[0] != "SELECT * FROM logs":
        raise NotKnown("a query of something else than all columns of logs")
    columns: set[str] = set()
    where = _Condition(texts, said, columns).say(tree.args["where"].this)
    return where, columns


_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)


def _parts(tree: Any) -> Iterator[str]:
    return (name for name, value in tree.args.items() if value)


class _Condition:
    def __init__(self, texts: list[str], said: Mapping[str, Any], columns: set[str]) -> None:
        self.texts, self.said, self.columns = texts, said, columns

    def say(self, node: Any) -> str:
        """A condition or an expression as DuckDB's."""
        from sqlglot import exp

        match node:
            case exp.Paren():
                return f"({self.say(node.this)})"
            case exp.Not():
                return f"(NOT {self.say(node.this)})"
            case exp.And() | exp.Or():
                word = " AND " if isinstance(node, exp.And) else " OR "
                return "(" + word.join(map(self.say, node.flatten(unnest=False))) + ")"
            case exp.EQ():
                return f"({self.say(node.this)} = {self.say(node.expression)})"
            case exp.Column() if not node.table:
                self.columns.add(node.name)
                return _name(node.name)
            case exp.Literal(is_string=True):
                return _text(self.texts[int(node.this)])
        return self.function(node)

    def function(self, node: Any) -> str:
        """What one of the two has and the other does not."""
        from sqlglot import exp

        name = type(node).__name__
        if name not in self.said["functions"]:
            raise NotKnown(f"{name}: {node.sql()[:100]}")
        match node:
            case exp.Lower():
                return f"lower({self.say(node.this)})"
            case exp.StartsWith() | exp.EndsWith() | exp.Contains():
                word = {"StartsWith": "starts_with", "EndsWith": "ends_with"}.get(name, "contains")
                return f"{word}({self.say(node.this)}, {self.say(node.expression)})"
            case exp.In():
                words = ", ".join(map(self.say, node.expressions))
                return f"({self.say(node.this)} IN ({words}))"
            case exp.ILike():
                pattern = _text(_like(self.text(node.expression)))
                return f"regexp_matches({self.say(node.this)}, {pattern})"
            case exp.RegexpLike():
                pattern = _text(self.said["pattern"](self.text(node.expression)))
                return f"regexp_matches({self.say(node.this)}, {pattern})"
        raise NotKnown(name)

    def text(self, node: Any) -> str:
        """A text as it stands in the query, its escapes resolved."""
        from sqlglot import exp

        if not isinstance(node, exp.Literal) or not node.is_string:
            raise NotKnown(f"not a text: {node.sql()[:100]}")
        return self.texts[int(node.this)]


_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)


def _spark_text(inside: str) -> str:
    r"""https://spark.apache.org/docs/latest/sql-ref-literals.html: other escapes are the character,
    but `\%` and `\_` keep the backslash (`ParserUtils.unescapeSQLString`)."""

    def resolved(found: re.Match[str]) -> str:
        letter = found[1]
        if letter is None:
            raise NotKnown("two quotes in a row, which releases of Spark read in two ways")
        if letter in "uUx" or letter.isdigit():
            raise NotKnown(f"the escape \\{letter}")
        return "\\" + letter if letter in "%_" else _CONTROLS.get(letter, letter)

    return _ESCAPE.sub(resolved, inside)


def _clickhouse_text(inside: str) -> str:
    """https://clickhouse.com/docs/sql-reference/syntax#string; an escape that is none keeps its
    backslash (`parseComplexEscapeSequence` in src/IO/ReadHelpers.cpp)."""

    def resolved(found: re.Match[str]) -> str:
        letter = found[1]
        if letter is None:
            return "'"
        if letter in "xNaev":
            raise NotKnown(f"the escape \\{letter}")
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        return letter if letter in "\\`\"'/" else "\\" + letter

    return _ESCAPE.sub(resolved, inside)


def _like(pattern: str) -> str:
    r"""ClickHouse's ILIKE as an expression: `\%`, `\_` and `\\` are the character, a backslash
    before another is one.

    https://clickhouse.com/docs/sql-reference/functions/string-search-functions#like
    """
    found, at = ["(?is)^"], 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in ("%", "_", "\\"):
            at += 1
            found.append(re.escape(pattern[at]))
        elif character == "\\" and at + 1 == len(pattern):
            raise NotKnown("a LIKE pattern that ends in a backslash")
        else:
            found.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
        at += 1
    return "".join(found) + "$"


def _re2(pattern: str) -> str:
    """`match` of ClickHouse: a dot is also a line break there."""
    return "(?s)" + pattern


def _java(pattern: str) -> str:
    """An expression of Java's of which every part means the same in RE2, as that.

    https://docs.oracle.com/javase/8/docs/api/java/util/regex/Pattern.html
    """
    at, inside = 0, False
    while at < len(pattern):
        two = pattern[at : at + 2]
        if two[0] == "\\":
            if two[1:].isalnum() and two[1:] not in "xzsSbB":
                raise NotKnown(f"Java's {two}")
            at += 2
            continue
        other = two[0] == "[" or two == "&&" if inside else two[0] in ".$" or two == "(?"
        if other and pattern[at : at + 3] != "(?:":
            raise NotKnown(f"Java's {two}")
        inside = two[0] != "]" if inside else two[0] == "["
        at += 1
    return pattern


_SPARK: Mapping[str, Any] = {
    "functions": {"Lower", "StartsWith", "EndsWith", "Contains", "RegexpLike"},
    "text": _spark_text,
    "pattern": _java,
}
_CLICKHOUSE: Mapping[str, Any] = {
    "functions": {"In", "ILike", "RegexpLike"},
    "text": _clickhouse_text,
    "pattern": _re2,
}


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _engine(name: str, where: Callable[[str], tuple[str, set[str]]]) -> Engine:
    @contextmanager
    def opened(profile: Profile) -> Iterator[Session]:
        session = Session(profile, where)
        try:
            yield session
        finally:
            session.close()

    return Engine(name, Evidence.EMULATOR, missing, opened)


SPARK = _engine("duckdb-spark", spark)
CLICKHOUSE = _engine("duckdb-clickhouse", clickhouse)
