"""What ships of the SQL of molehunt's pack, against its parser."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from molehunt.backends.osquery.budget import _heads
from molehunt.data import load_yaml, read_bytes
from molehunt.detectors.records import Shape
from molehunt.detectors.schedule import shipped as module
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.kept import know_sql, pack_shapes
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.detectors.schedule.shipped import FILE, rendered, shipped
from molehunt.detectors.schedule.sql import shape_of
from molehunt.schema import tables


def _binder(how: str = "config") -> Binder:
    return Binder([(how, pack_schedule(load_yaml("pack.yml")))], tables())


def test_the_file_is_what_the_pack_says() -> None:
    """`make pack` writes it anew."""
    assert read_bytes(FILE) == rendered()


def test_bindings_are_those_that_parsing_gives() -> None:
    """Every query, with its columns and where they come from."""
    for how in ("config", "pack"):
        assert know_sql(_binder(how)).declared() == _binder(how).declared()
        assert know_sql(_binder(how)).shapes() == _binder(how).shapes()


def test_other_queries_are_parsed() -> None:
    """The file is of the pack's SQL, without views."""
    found = load_yaml("pack.yml")
    assert shipped(_binder()) is not None
    assert shipped(_binder("pack")) is not None
    name, query = next(iter(found["queries"].items()))
    changed = {**found["queries"], name: {**query, "sql": "SELECT pid FROM processes;"}}
    schedule = pack_schedule({**found, "queries": changed})
    assert shipped(Binder([("config", schedule)], tables())) is None
    with_views = replace(pack_schedule(found), views={"mine": "SELECT * FROM users"})
    assert shipped(Binder([("config", with_views)], tables())) is None


def test_other_tables_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a query says depends on the columns there are."""
    monkeypatch.setattr(module, "schema_digest", lambda: b"other")
    assert shipped(_binder()) is None


def test_shapes_do_not_depend_on_line_breaks() -> None:
    """osquery's packs have the same SQL on one line."""
    shapes = pack_shapes(load_yaml("pack.yml"))
    assert shapes == {sql: shape_of(" ".join(sql.split()), tables()) for sql in shapes}


def test_beginnings_read_the_tables_of_their_queries() -> None:
    """The budget counts a query of osquery's target by how it begins."""
    for beginning, used in _heads():
        shape = shape_of(beginning, tables())
        assert isinstance(shape, Shape)
        assert tuple(use.table for use in shape.tables) == used


def test_the_parser_is_not_imported_for_the_pack(tmp_path: Path) -> None:
    """Which takes longer than all else that the pack's queries need."""
    code = (
        "import sys\n"
        "from molehunt.backends.subjects import subjects\n"
        "from molehunt.data import load_yaml\n"
        "from molehunt.rule import RuleSet\n"
        "from molehunt.taxonomy import taxonomy\n"
        "subjects(RuleSet(()), load_yaml('pack.yml'), taxonomy())\n"
        "assert 'sqlglot' not in sys.modules"
    )
    environment = {**os.environ, "MOLEHUNT_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
