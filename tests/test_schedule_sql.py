"""Which table and column stand behind each output column of a scheduled query's SQL."""

from __future__ import annotations

import pytest

from molehunt.data import load_yaml
from molehunt.detectors.records import Equality, Origin, Shape
from molehunt.detectors.schedule.sql import MAX_LENGTH, SqlProblem, shape_of
from molehunt.schema import tables

PACK = load_yaml("pack.yml")["queries"]


def _shape(sql: str, views: dict[str, str] | None = None) -> Shape:
    shape = shape_of(sql, tables(), views or {})
    assert isinstance(shape, Shape), shape
    return shape


@pytest.mark.parametrize("name", PACK)
def test_every_column_of_the_pack_has_an_origin(name: str) -> None:
    """And each origin is a column of the schema."""
    shape = _shape(PACK[name]["sql"])
    assert shape.columns
    for column, origin in shape.columns.items():
        assert origin is not None, column
        assert origin.column in tables()[origin.table].columns


def test_columns_of_a_join_belong_to_their_alias() -> None:
    """`p.path` is the process's path, `lp.path AS socket_path` is not."""
    shape = _shape(
        "SELECT lp.path AS socket_path, p.path, port FROM listening_ports lp "
        "LEFT JOIN processes p ON p.pid = lp.pid"
    )
    assert dict(shape.columns) == {
        "socket_path": Origin("lp", "listening_ports", "path"),
        "path": Origin("p", "processes", "path"),
        "port": Origin("lp", "listening_ports", "port"),
    }
    assert [(use.alias, use.optional) for use in shape.tables] == [("lp", False), ("p", True)]
    assert Equality(("p", "pid"), ("lp", "pid")) in shape.equalities


def test_a_table_joined_with_itself_keeps_both_uses() -> None:
    """A process and its parent are two uses of one table."""
    shape = _shape(
        "SELECT p.path, pp.path AS parent_path FROM processes p "
        "LEFT JOIN processes pp ON pp.pid = p.parent"
    )
    assert shape.columns["path"] == Origin("p", "processes", "path")
    assert shape.columns["parent_path"] == Origin("pp", "processes", "path")


@pytest.mark.parametrize(
    "expression", ["upper(path)", "COALESCE(path, name)", "'x'", "count(*)", "pid + 1", "max(path)"]
)
def test_computed_columns_have_no_origin(expression: str) -> None:
    """A value that is computed is no column of a table, whatever it is called."""
    assert _shape(f"SELECT {expression} AS path FROM processes").columns == {"path": None}


def test_a_repeated_name_has_no_origin() -> None:
    """A row keeps one of two values of that name, which cannot be told."""
    shape = _shape("SELECT p.name, g.groupname AS name FROM processes p JOIN groups g")
    assert shape.columns == {"name": None}


def test_a_star_gives_all_but_hidden_columns() -> None:
    """`*` of one table; the alias is told as a star."""
    shape = _shape("SELECT * FROM usb_devices u")
    visible = {c.name for c in tables()["usb_devices"].columns.values() if not c.hidden}
    assert set(shape.columns) == visible
    assert shape.stars == ("u",)


def test_subqueries_ctes_and_views_are_followed() -> None:
    """The origin is the table at the bottom."""
    subquery = _shape("SELECT d.x FROM (SELECT path AS x FROM processes) d")
    cte = _shape("WITH d(x) AS (SELECT path FROM processes) SELECT x FROM d")
    view = _shape("SELECT x FROM d", {"d": "SELECT path AS x FROM processes"})
    for shape in (subquery, cte, view):
        origin = shape.columns["x"]
        assert origin is not None
        assert (origin.table, origin.column) == ("processes", "path")


def test_a_union_keeps_an_origin_that_both_sides_have() -> None:
    """`pid` of one table on either side; a column of two tables has none."""
    same = _shape("SELECT pid FROM processes UNION ALL SELECT pid FROM processes")
    assert same.columns["pid"] is not None
    mixed = _shape("SELECT pid FROM processes UNION ALL SELECT pid FROM listening_ports")
    assert mixed.columns == {"pid": None}


def test_aliases_of_tables_and_letter_case() -> None:
    """Names are those of the schema, however the SQL spells them."""
    shape = _shape("SELECT ADDRESS FROM Hosts")
    (origin,) = shape.columns.values()
    assert origin is not None
    assert (origin.table, origin.column) == ("etc_hosts", "address")


def test_unknown_tables_keep_their_name() -> None:
    """Tables of extensions are not in the schema."""
    shape = _shape("SELECT m.serial FROM my_extension m")
    assert shape.columns == {"serial": Origin("m", "my_extension", "serial")}


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "DELETE FROM processes",
        "SELECT 1; SELECT 2",
        "SELECT pid FROM",
        "EXPLAIN SELECT 1",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT 1" + " " * MAX_LENGTH,
        "SELECT 'open FROM processes",
    ],
)
def test_odd_sql_is_a_problem_in_words(sql: str) -> None:
    """Never an exception."""
    found = shape_of(sql, tables())
    assert isinstance(found, SqlProblem)
    assert found.what
