"""From the name in a log line to tables and columns: by SQL, by name, by shape, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest

from molehunt.data import load_yaml
from molehunt.detectors.matching.fields import resolve, why_not
from molehunt.detectors.records import Binding
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.config import load_schedule
from molehunt.detectors.schedule.sql import SqlProblem, shape_of
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

RECORDINGS = Path(__file__).parent / "recordings"
STATE = RECORDINGS / "linux-lab-state" / "osquery.conf"
AUDIT = RECORDINGS / "linux-lab-audit" / "osquery-audit.conf"


def origins(sql: str) -> dict[str, tuple[str, ...] | None]:
    """Output column to (alias, table, column)."""
    shape = shape_of(sql, tables())
    assert not isinstance(shape, SqlProblem), shape
    return {name: origin and tuple(origin) for name, origin in shape.columns.items()}


def test_two_paths_in_one_query_are_two_things() -> None:
    """The trap that binds a process rule to a socket's path."""
    found = origins(
        "SELECT lp.path AS socket_path, p.path FROM listening_ports lp "
        "LEFT JOIN processes p ON p.pid = lp.pid"
    )
    assert found["socket_path"] == ("lp", "listening_ports", "path")
    assert found["path"] == ("p", "processes", "path")


@pytest.mark.parametrize(
    ("sql", "column", "expected"),
    [
        ("SELECT path FROM processes", "path", ("processes", "processes", "path")),
        ("select P.Path from PROCESSES p;", "path", ("P", "processes", "path")),
        ("SELECT upper(path) AS path FROM processes", "path", None),
        ("SELECT count(*) AS n FROM processes", "n", None),
        ("SELECT name FROM processes p, users u", "name", ("p", "processes", "name")),
        ("SELECT uid FROM processes p JOIN users u ON p.pid = 1", "uid", None),
        ("SELECT path FROM processes UNION SELECT path FROM apps", "path", None),
        (
            "SELECT username FROM users u JOIN processes USING (uid)",
            "username",
            ("u", "users", "username"),
        ),
    ],
)
def test_origin_of_a_column(sql: str, column: str, expected: tuple[str, ...] | None) -> None:
    """Certain or nothing."""
    found = origins(sql)[column]
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[1:] == expected[1:]


def test_subqueries_and_ctes_are_followed_to_real_tables() -> None:
    """A name that a query gives itself is no table."""
    for sql in (
        "WITH x AS (SELECT pid, path AS p FROM processes) SELECT x.p AS q FROM x",
        "SELECT y.p AS q FROM (SELECT path AS p FROM processes) y",
    ):
        assert origins(sql)["q"] is not None
        assert origins(sql)["q"][1:] == ("processes", "path")  # type: ignore[index]


@pytest.mark.parametrize(
    "sql", ["", "SELEC x", "SELECT 1; SELECT 2", "(" * 5000, "DROP TABLE users"]
)
def test_odd_sql_is_a_problem_not_an_exception(sql: str) -> None:
    """Whatever stands in a configuration."""
    assert isinstance(shape_of(sql, tables()), SqlProblem)


def test_a_star_gives_the_visible_columns() -> None:
    """SELECT * omits hidden columns, so logs of such queries lack them."""
    found = origins("SELECT * FROM processes")
    assert found["cmdline"] == ("processes", "processes", "cmdline")
    assert "phys_footprint" not in found


def test_every_column_of_our_pack_has_an_origin() -> None:
    """So that binding logs of the pack is certain."""
    for name, entry in load_yaml("pack.yml")["queries"].items():
        assert None not in origins(entry["sql"]).values(), name


def config(folder: Path, value: Any, name: str = "osquery.conf") -> str:
    """A configuration file with that content."""
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return str(path)


def bound(path: str, query: str, *columns: str) -> Binding:
    """The binding of a query under a configuration."""
    schedule, problems = load_schedule([path])
    assert [p for p in problems if p.severity == "error"] == [], problems
    return Binder([("config", schedule)], tables()).bind(query, frozenset(columns))


SQL = "SELECT pid, path FROM processes"
COMMENTED = """# a comment
// another
{"schedule": {"u": {"query": "SELECT pid, \\
 path FROM processes WHERE path <> 'http://x'", "interval": 60}}}"""
FLEET = f"reports:\n  - name: q\n    query: {SQL};\n    interval: 60\n"


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ({"schedule": {"procs": {"query": SQL, "interval": 60}}}, "procs"),
        ({"packs": {"a": {"queries": {"q": {"query": SQL, "interval": 60}}}}}, "pack_a_q"),
        ({"packs": {"a": {"queries": {"q": {"query": SQL, "interval": 60}}}}}, "pack/a/q"),
        ({"packs": {"main": {"queries": {"q": {"query": SQL, "interval": 60}}}}}, "q"),
        ({"queries": {"q": {"query": SQL, "interval": "60"}}}, "pack_anything_q"),
        (
            {
                "options": {"pack_delimiter": ":"},
                "packs": {"a": {"queries": {"q": {"query": SQL, "interval": 1}}}},
            },
            "pack:a:q",
        ),
        (
            COMMENTED,
            "u",
        ),
        (
            FLEET,
            "pack/Global/q",
        ),
    ],
)
def test_names_in_the_log_lead_to_the_sql(tmp_path: Path, value: Any, query: str) -> None:
    """Schedules, packs under every delimiter, pack files, comments, Fleet."""
    name = "fleet.yml" if isinstance(value, str) and value.startswith("reports") else "osquery.conf"
    found = bound(config(tmp_path, value, name), query, "pid", "path")
    assert found.how == "config", found
    assert found.provenance["path"] == ("processes", "processes", "path")


def test_a_bad_entry_is_named_and_the_others_survive(tmp_path: Path) -> None:
    """One query without SQL does not hide its neighbour."""
    path = config(
        tmp_path, {"schedule": {"bad": {"interval": 1}, "q": {"query": SQL, "interval": 1}}}
    )
    schedule, problems = load_schedule([path])
    assert problems
    assert all(problem.path == path for problem in problems)
    binding = Binder([("config", schedule)], tables()).bind("q", frozenset(["pid"]))
    assert binding.how == "config"
    assert load_schedule([config(tmp_path, "{nonsense", "x.conf")])[1]


def test_columns_that_the_sql_does_not_give_unbind(tmp_path: Path) -> None:
    """The log was made by another version of the query: nothing is guessed."""
    path = config(tmp_path, {"schedule": {"processes": {"query": SQL, "interval": 60}}})
    found = bound(path, "processes", "pid", "cmdline")
    assert found.shape is None
    assert "cmdline" in found.note


def test_one_name_with_two_meanings_is_not_guessed(tmp_path: Path) -> None:
    """Two configurations that differ leave the query unbound, unless the columns decide."""
    first = config(tmp_path, {"schedule": {"q": {"query": SQL, "interval": 1}}}, "a.conf")
    other = "SELECT pid, socket AS path, port FROM listening_ports"
    second = config(tmp_path, {"schedule": {"q": {"query": other, "interval": 1}}}, "b.conf")
    schedules = [("config", load_schedule([path])[0]) for path in (first, second)]
    binder = Binder(schedules, tables())
    assert binder.bind("q", frozenset(["pid", "path"])).shape is None
    assert binder.bind("q", frozenset(["pid", "port"])).shape is not None


@pytest.mark.parametrize(
    ("query", "columns", "how"),
    [
        ("processes", ("pid", "path"), "name"),
        ("pack_x_processes", ("pid", "cmdline"), "name"),
        ("pack/team-1/users", ("uid", "username"), "name"),
        ("pack_itw_listening_ports", ("port", "name", "cmdline"), "unbound"),
        ("anything", ("screen_sharing", "remote_management"), "column shape"),
        ("anything", ("path", "name"), "unbound"),
        ("anything", ("screen_sharing",), "unbound"),
        # All columns of iokit_registry, which iokit_devicetree has as well; one less is neither's.
        (
            "usb",
            ("busy_state", "class", "depth", "id", "name", "parent", "retain_count"),
            "column shape",
        ),
        ("usb", ("busy_state", "class", "depth", "id", "name", "parent"), "unbound"),
        # The neighbour that a route leads to stands in another table, under other names.
        ("gateways", ("destination", "gateway", "interface", "address", "mac"), "column shape"),
        ("routes", ("destination", "gateway", "gateway_mac"), "name"),
        ("anything", ("no", "such"), "unbound"),
        # A time under a name of its own, beside what one table has.
        ("usb", ("data", "key", "last_write", "name", "type"), "column shape"),
        ("usb", ("data", "last_write", "name", "type"), "unbound"),
        ("usb", ("a", "b", "c", "data", "key", "name", "type"), "unbound"),
        # Half of them, where the name says the table.
        (
            "Macs/apps",
            ("bundle_identifier", "last_opened", "name", "path", "version"),
            "column shape",
        ),
        ("Macs/apps", ("last_opened", "name", "path", "version"), "unbound"),
        ("Macs", ("bundle_identifier", "last_opened", "name", "path", "version"), "unbound"),
    ],
)
def test_without_sql_only_what_is_certain_binds(
    query: str, columns: tuple[str, ...], how: str
) -> None:
    """By name if all columns fit, by shape if one table alone fits, else not at all."""
    found = Binder([], tables()).bind(query, frozenset(columns))
    assert found.how == how, found.note
    assert (found.shape is None) == (how == "unbound")
    assert bool(found.note) or how != "unbound"


@pytest.mark.parametrize("table", ["listening_ports", "process_open_sockets"])
def test_the_path_beside_chosen_columns_of_a_socket_is_the_programs(table: str) -> None:
    """Who selects all has the socket's own, which only Unix sockets have."""
    binder = Binder([], tables())
    chosen = binder.bind(f"pack/x/{table}", frozenset(["family", "path", "pid", "protocol"]))
    assert chosen.provenance["path"] == ("process", "processes", "path")
    assert chosen.provenance["pid"] == (table, table, "pid")
    everything = binder.bind(table, frozenset(tables()[table].columns))
    assert everything.provenance["path"] == (table, table, "path")


def test_the_lab_configurations_bind_the_lab_logs() -> None:
    """Real schedules: aliases, joins, and which rules cannot fire on them."""
    binder = kit.binder(str(STATE), str(AUDIT))
    query = binder.bind("pack_itw_listening_ports", frozenset(["path", "socket_path", "port"]))
    assert query.provenance["path"] == ("p", "processes", "path")
    assert query.provenance["socket_path"] == ("lp", "listening_ports", "path")
    rules = {rule.title: rule for rule in kit.shipped().rules}
    vnc = rules["Remote Access Tool - X11vnc Execution"]
    fields = resolve(vnc, binder.bind("pack_itw_processes", frozenset(["path", "pid"])), taxonomy())
    assert fields is not None
    assert fields.places["Image"].name == "path"
    # The row of a socket query is about the socket, not about the process joined to it.
    assert resolve(vnc, query, taxonomy()) is None
    okta = rules["Okta Sign-In Through an Anonymising Proxy"]
    assert "no query on its system supplies" in why_not(okta, binder.declared(), taxonomy())
    assert why_not(vnc, binder.declared(), taxonomy()) == ""


def test_a_pack_file_is_looked_for_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the configuration, not to where the user happens to stand; a copy will do too."""
    there, here = tmp_path / "etc", tmp_path / "elsewhere"
    there.mkdir()
    here.mkdir()
    entry = {"queries": {"q": {"query": SQL, "interval": 60}}}
    config(there, entry, "p.conf")
    other = "SELECT pid, name AS path FROM processes"
    config(here, {"queries": {"q": {"query": other, "interval": 60}}}, "p.conf")
    monkeypatch.chdir(here)
    for written in ("p.conf", "/no/such/place/p.conf"):
        found = bound(config(there, {"packs": {"a": written}}), "pack_a_q", "pid", "path")
        assert found.provenance["path"] == ("processes", "processes", "path")
