"""Which tables stand behind a query name in a log."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import binder

from molehunt.data import load_yaml
from molehunt.detectors.records import Binding, Origin
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.queries import MAIN, Schedule, ScheduledQuery, pack_schedule
from molehunt.schema import tables

STATE = str(Path(__file__).parent / "recordings" / "linux-lab-state" / "osquery.conf")
AUDIT = str(Path(__file__).parent / "recordings" / "linux-lab-audit" / "osquery-audit.conf")
OWN = pack_schedule(load_yaml("pack.yml"))


def _binder(*queries: ScheduledQuery) -> Binder:
    return Binder([("config", Schedule(queries)), ("pack", OWN)], tables())


def _query(sql: str, name: str = "q", pack: str | None = MAIN, *systems: str) -> ScheduledQuery:
    return ScheduledQuery(name, pack, sql, frozenset(systems))


def _bind(tie: Binder, query: str, columns: str) -> Binding:
    return tie.bind(query, frozenset(columns.split()))


def test_a_recorded_query_is_bound_by_its_sql() -> None:
    """Columns of the listening socket and of its process are told apart."""
    bound = _bind(binder(STATE), "pack_itw_listening_ports", "pid port socket_path path")
    assert bound.how == "config"
    assert bound.provenance["socket_path"] == Origin("lp", "listening_ports", "path")
    assert bound.provenance["path"] == Origin("p", "processes", "path")
    assert bound.platforms == {"linux"}
    assert "FROM listening_ports lp" in bound.sql


@pytest.mark.parametrize("config", [STATE, AUDIT])
def test_every_recorded_query_is_declared_with_its_shape(config: str) -> None:
    """Under the name that the log has, and `by_sql` gives the same."""
    tie = binder(config)
    declared = tie.declared()
    assert declared
    for bound in declared:
        assert bound.shape is not None, bound.note
        assert [b.shape for b in tie.by_sql(bound.query)] == [bound.shape]
        assert tie.bind(bound.query, frozenset(bound.provenance)).shape == bound.shape


def test_the_own_pack_is_bound_by_its_name() -> None:
    """Without any configuration."""
    bound = _bind(binder(), "pack_molehunt_listening_ports", "port process_path")
    assert bound.how == "pack"
    assert bound.provenance["process_path"] == Origin("p", "processes", "path")


def test_the_own_pack_can_be_declared() -> None:
    """As what the rules are fed by: every query, with the systems that it runs on."""
    declared = {b.query: b for b in Binder([("config", OWN)], tables()).declared()}
    assert len(declared) == len(OWN.queries)
    for query in OWN.queries:
        bound = declared[f"pack_molehunt_{query.name}"]
        assert bound.shape is not None
        assert bound.platforms
        assert bound.platforms <= query.platforms


def test_a_configuration_counts_before_the_own_pack() -> None:
    """A query of the user's that has molehunt's name is the user's."""
    sql = "SELECT cmdline AS path FROM processes"
    tie = _binder(_query(sql, "processes", "molehunt"))
    bound = _bind(tie, "pack_molehunt_processes", "path")
    assert bound.how == "config"
    assert bound.provenance["path"] == Origin("processes", "processes", "cmdline")
    assert _bind(tie, "pack_molehunt_processes", "pid path").how == "unbound"


def test_a_query_of_an_unknown_pack_does_not_hide_the_own_pack() -> None:
    """A pack file fits any pack; where its columns do not fit, molehunt's own SQL does."""
    tie = _binder(_query("SELECT address FROM etc_hosts", "users", None))
    assert _bind(tie, "pack_molehunt_users", "address").how == "config"
    assert _bind(tie, "pack_molehunt_users", "uid username").how == "pack"
    assert len(tie.by_sql("pack_molehunt_users")) == 2


def test_columns_that_the_sql_does_not_give_leave_a_query_unbound() -> None:
    """Neither its name nor its columns are then asked: the schedule is not the one that ran."""
    bound = _bind(_binder(_query("SELECT pid FROM processes", "users")), "users", "uid username")
    assert bound.how == "unbound"
    assert bound.shape is None
    assert "uid" in bound.note
    assert "username" in bound.note


def test_of_several_queries_the_one_that_fits() -> None:
    """Two packs that split the same name; the columns tell them apart, or nothing does."""
    tie = _binder(
        _query("SELECT pid, path FROM processes", "b_c", "a"),
        _query("SELECT pid, port FROM listening_ports", "c", "a_b"),
    )
    assert len(tie.by_sql("pack_a_b_c")) == 2
    fits = _bind(tie, "pack_a_b_c", "pid port")
    assert fits.provenance["port"] == Origin("listening_ports", "listening_ports", "port")
    both = _bind(tie, "pack_a_b_c", "pid")
    assert both.how == "unbound"
    assert "2 different queries" in both.note


def test_the_same_shape_twice_is_one() -> None:
    """Two configurations with one query, for different systems: it runs on all of them."""
    sql = "SELECT pid, path FROM processes"
    schedules = [
        ("config", Schedule((_query(sql, "q", MAIN, "linux"),))),
        ("config", Schedule((_query(sql + " WHERE pid > 1", "q", MAIN, "darwin"),))),
    ]
    tie = Binder(schedules, tables())
    (bound,) = tie.by_sql("q")
    assert bound.platforms == {"linux", "darwin"}
    assert _bind(tie, "q", "pid").shape == bound.shape


def test_sql_that_cannot_be_followed_says_nothing() -> None:
    """The name may still tell; `by_sql` promises nothing."""
    tie = _binder(_query("SELECT FROM WHERE", "users"))
    assert tie.by_sql("users") == ()
    bound = _bind(tie, "users", "uid username")
    assert bound.how == "name"
    assert "its SQL" in bound.note


def test_one_unclear_sql_among_several_leaves_a_query_unbound() -> None:
    """The rows may be of the one that cannot be followed."""
    tie = _binder(
        _query("SELECT uid FROM users", "b_c", "a"), _query("SELECT FROM WHERE", "c", "a_b")
    )
    assert tie.by_sql("pack_a_b_c") == ()
    assert _bind(tie, "pack_a_b_c", "uid").how == "unbound"


@pytest.mark.parametrize(
    "name",
    ["users", "pack_ir_users", "pack/Global/users", "pack:x:users", "it.users", "it-users"],
)
def test_a_name_that_ends_in_a_table(name: str) -> None:
    """Without SQL, the table that the name names, if it has all the columns."""
    bound = _bind(binder(), name, "uid username")
    assert bound.how == "name"
    assert bound.provenance["uid"] == Origin("users", "users", "uid")
    assert bound.platforms == tables()["users"].platforms


def test_the_longest_table_name_wins() -> None:
    """`process_open_sockets` is not `sockets`, and `shell_history` is no `history`."""
    bound = _bind(binder(), "pack_x_process_open_sockets", "pid remote_port")
    assert bound.shape is not None
    assert bound.shape.tables[0].table == "process_open_sockets"


def test_a_name_that_does_not_fit_leaves_it_to_the_columns() -> None:
    """`users` with the columns of one other table is that table."""
    bound = _bind(binder(), "users", "usb_address usb_port vendor_id")
    assert bound.how == "column shape"
    assert bound.shape is not None
    assert [use.table for use in bound.shape.tables] == ["usb_devices"]


def test_one_column_is_too_little() -> None:
    """Even if only one table has it."""
    assert _bind(binder(), "q", "usb_address").how == "unbound"


def test_columns_of_several_tables_leave_a_query_unbound() -> None:
    """The note lists some of the tables that could be meant."""
    bound = _bind(binder(), "q", "name path")
    assert bound.how == "unbound"
    assert " more" in bound.note
    assert bound.note.count(",") >= 4


def test_columns_of_no_table_leave_a_query_unbound() -> None:
    """The note says so."""
    assert "no table has all" in _bind(binder(), "q", "surely_not pid").note


def test_no_columns_bind_nothing() -> None:
    """An empty result says nothing, even of a known query."""
    assert binder(STATE).bind("pack_itw_users", frozenset()).how == "unbound"


def test_the_systems_are_those_of_the_query_and_of_its_tables() -> None:
    """An optional table does not restrict where a query runs."""
    tie = _binder(
        _query("SELECT p.pid FROM processes p JOIN launchd l", "both"),
        _query("SELECT p.pid FROM processes p LEFT JOIN launchd l", "left"),
        _query("SELECT p.pid FROM processes p", "some", MAIN, "linux", "darwin"),
    )
    assert _bind(tie, "both", "pid").platforms == {"darwin"}
    assert _bind(tie, "left", "pid").platforms == tables()["processes"].platforms
    assert _bind(tie, "some", "pid").platforms == {"linux", "darwin"}


def test_seen_has_each_query_once_for_each_way() -> None:
    """Whatever the columns were."""
    tie = binder()
    for columns in ("uid", "uid username", "uid surely_not", "surely_not"):
        _bind(tie, "users", columns)
    assert sorted((b.query, b.how) for b in tie.seen()) == [("users", "name"), ("users", "unbound")]


QUERIES = (
    _query("SELECT pid, path FROM processes", "b_c", "a"),
    _query("SELECT pid, port FROM listening_ports", "c", "a_b"),
    _query("SELECT uid, username FROM users", "c", None),
    _query("SELECT uid, gid FROM users", "users", None),
    _query("SELECT * FROM routes", "r"),
)
NAMES = ("pack_a_b_c", "pack/a/b_c", "pack_x_c", "c", "r", "pack_molehunt_users", "pack_x_users")


@given(
    st.sampled_from(NAMES),
    st.frozensets(st.sampled_from("pid path port uid gid username metric other".split())),
)
def test_by_sql_has_every_shape_that_bind_can_give(name: str, columns: frozenset[str]) -> None:
    """What is skipped because of `by_sql` could not have been bound otherwise."""
    tie = _binder(*QUERIES)
    bound = tie.bind(name, columns)
    possible = tie.by_sql(name)
    assert possible
    assert bound.shape is None or bound.shape in [b.shape for b in possible]
    if bound.shape is not None:
        newer = columns - bound.provenance.keys()
        assert not newer or (bound.shape.stars and len(newer) * 4 <= len(columns))


_EVERYWHERE = "pid name path cmdline state cwd root uid gid parent threads nice"


@pytest.mark.parametrize(
    "own",
    [
        "elevated_token secure_process protection_type virtual_process handle_count",
        "upid uppid cpu_type cpu_subtype translated",
        "cgroup_path",
    ],
)
def test_a_star_gives_the_columns_of_the_system_it_ran_on(own: str) -> None:
    """osquery hides them on the other systems only."""
    bound = _bind(_binder(_query("SELECT * FROM processes")), "q", f"{_EVERYWHERE} {own}")
    assert bound.how == "config", bound.note
    assert bound.provenance["cmdline"] == Origin("processes", "processes", "cmdline")


def test_a_column_of_a_newer_osquery_does_not_unbind_a_star() -> None:
    """The columns that are known keep their origin; the new one has none."""
    tie = _binder(_query("SELECT * FROM processes"))
    bound = _bind(tie, "q", f"{_EVERYWHERE} column_of_a_later_release")
    assert bound.how == "config", bound.note
    assert bound.provenance["path"] == Origin("processes", "processes", "path")
    assert "column_of_a_later_release" not in bound.provenance


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pid, path FROM processes",  # nothing gives a column that is not named
        "SELECT * FROM my_extension",  # nothing is known of its columns
    ],
)
def test_only_a_star_of_a_known_table_may_have_newer_columns(sql: str) -> None:
    """Otherwise the log is not that of the SQL."""
    bound = _bind(_binder(_query(sql)), "q", "pid path column_of_a_later_release")
    assert bound.how == "unbound" or "column_of_a_later_release" in bound.provenance


def test_a_hidden_column_shows_that_the_sql_is_another() -> None:
    """`*` never gives it: the log was made by other SQL of that name."""
    bound = _bind(_binder(_query("SELECT * FROM process_events")), "q", "pid path cmdline eid")
    assert bound.how == "unbound"
    assert "eid" in bound.note
