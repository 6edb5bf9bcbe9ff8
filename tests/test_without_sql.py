"""Queries of which no SQL is known: what their names and columns tell, and what rows tell of
their system."""

from __future__ import annotations

from pathlib import Path

import kit
import orjson
import pytest

from molehunt.cli import main
from molehunt.detectors.records import Binding, Equality, Origin
from molehunt.detectors.schedule.binding import Binder
from molehunt.rule import Rule
from molehunt.schema import tables

LINUX, MACOS, WINDOWS = (
    "{category: process_creation, product: linux}",
    "{category: process_creation, product: macos}",
    "{category: process_creation, product: windows}",
)


def bound(query: str, columns: str) -> Binding:
    """Without any schedule."""
    return Binder([], tables()).bind(query, frozenset(columns.split()))


def test_a_column_spelled_as_a_declared_join_is_of_that_join() -> None:
    """`process_events` has no path of the parent; schedules join it."""
    found = bound("pack/Global/process_events", "pid path cmdline parent parent_path username")
    assert found.how == "name", found.note
    assert found.provenance["path"] == Origin("process_events", "process_events", "path")
    assert found.provenance["parent_path"] == Origin("parent", "processes", "path")
    assert found.provenance["username"] == Origin("user", "users", "username")
    assert found.shape is not None
    assert Equality(("parent", "pid"), ("process_events", "parent")) in found.shape.equalities
    assert not found.note


def test_a_column_of_the_table_itself_is_never_a_joins() -> None:
    """Endpoint Security's events have the user's name of their own."""
    found = bound("es_process_events", "pid path cmdline username")
    assert found.provenance["username"] == Origin(
        "es_process_events", "es_process_events", "username"
    )


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("pack_x_processes", "pid path cmdline sha256"),
        ("usb_devices", "vendor model serial vendor_id model_id hostname asset_tag"),
    ],
)
def test_a_few_columns_of_unknown_origin_are_left_out(query: str, columns: str) -> None:
    """They have no origin, and the note names them."""
    found = bound(query, columns)
    assert found.how == "name", found.note
    for name in columns.split():
        assert (name in found.provenance) == (name not in ("sha256", "hostname", "asset_tag"))
        assert name in found.provenance or name in found.note


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("processes", "pid sha256"),  # one column of its own
        ("processes", "pid path sha256 entropy"),  # as many of others
        ("user_groups", "uid gid shell groupname is_hidden"),  # of either join
    ],
)
def test_too_many_foreign_columns_tell_that_it_is_another_query(query: str, columns: str) -> None:
    """A name alone is no proof."""
    assert bound(query, columns).how == "unbound"


def test_beside_a_column_of_processes_the_path_of_a_socket_is_the_programs() -> None:
    """As of a Unix socket it would be empty; what else could be either's has no origin. Nobody who
    names columns asks for what is empty."""
    plain = bound("listening_ports", "pid port address protocol path")
    assert plain.provenance["path"] == Origin("process", "processes", "path")
    whole = bound("listening_ports", "pid port protocol family address fd socket path")
    assert whole.provenance["path"] == Origin("listening_ports", "listening_ports", "path")
    joined = bound("listening_ports", "pid port address protocol path name state")
    assert joined.provenance["path"] == Origin("process", "processes", "path")
    assert joined.provenance["name"] == Origin("process", "processes", "name")
    files = bound("process_open_files", "pid fd path cmdline")
    assert files.provenance["path"] is None
    assert files.provenance["cmdline"] == Origin("process", "processes", "cmdline")


@pytest.mark.parametrize(
    ("query", "table"),
    [
        ("usb", "usb_devices"),
        ("pack_detection_unexpected-usb-device", "usb_devices"),
        ("hardware_events_all", "hardware_events"),
        ("devices", "usb_devices"),
        ("usb_events", None),  # a word of each
        ("inventory", None),
    ],
)
def test_between_tables_that_all_have_the_columns_the_name_decides(
    query: str, table: str | None
) -> None:
    """In words, singular or plural."""
    found = bound(query, "vendor vendor_id model model_id serial")
    assert (found.shape.tables[0].table if found.shape else None) == table


@pytest.mark.parametrize(
    ("query", "columns", "table"),
    [
        ("traces", "path sid last_execution_time", "background_activities_moderator"),
        ("traces", "path sid last_execution_time count", "userassist"),
        ("traces", "path sid", ""),
        ("choco", "name version summary author license path", "chocolatey_packages"),
        ("py", "name version author license path", ""),
        ("edids", "path data", "registry"),
        ("names", "name type flags", "dns_cache"),
        ("sections", "name type offset", "elf_sections"),
        ("plugins", "path filename type mtime size", "file"),
    ],
)
def test_rare_columns_and_tables_that_are_asked_all_day_tell(
    query: str, columns: str, table: str
) -> None:
    """Where a row has all that a table has, or the other table only takes a file apart."""
    found = bound(query, columns)
    assert (found.shape.tables[0].table if found.shape else "") == table, found


@pytest.mark.parametrize(
    ("query", "columns", "table", "process"),
    [
        ("net_sockets", "pid name path cmdline remote_address remote_port state",
         "process_open_sockets", "name path cmdline"),
        ("open_ports", "pid port address protocol process_name process_path",
         "listening_ports", "process_name process_path"),
        ("process_events_joined", "pid path cmdline parent parent_path uid username time",
         "process_events", "parent_path"),
        ("programs_hash", "pid name path cmdline sha256", "processes", ""),
        ("open_files_dev", "pid fd path name cmdline", "process_open_files", "name cmdline"),
        ("signers", "pid name path result subject_name issuer_name", "authenticode", "pid name"),
        ("signed_apps", "name path identifier authority team_identifier", "signature", "name"),
        # For too few of its own, as many of another's, no time of events, what nothing has.
        ("net", "pid name cmdline remote_port", "", ""),
        ("handles", "pid fd path name cmdline", "", ""),
        ("audit", "pid path cmdline parent parent_path syscall", "", ""),
        ("net_sockets", "pid name remote_address remote_port asset_tag", "", ""),
    ],
)  # fmt: skip
def test_a_table_and_its_joins_are_told_by_their_columns(
    query: str, columns: str, table: str, process: str
) -> None:
    """Whatever the query is called, if one table with its joins has all."""
    found = bound(query, columns)
    assert (found.shape.tables[0].table if found.shape else "") == table, found
    assert (found.how == "unbound") == (not table)
    for name in process.split():
        origin = found.provenance[name]
        assert origin is not None
        assert origin.table == "processes"
    assert "sha256" not in found.provenance


def test_a_program_s_own_names_stand_beside_it() -> None:
    """`file` knows what version information says."""
    found = bound("pe_names", "pid name path cmdline original_filename product_version")
    assert found.how == "column shape"
    assert found.provenance["path"].table == "processes"
    assert found.provenance["original_filename"].table == "file"


@pytest.mark.parametrize(
    ("query", "columns", "table"),
    [
        ("pack/Global/linux-interface-addresses", "interface address mask type mac",
         "interface_addresses"),
        ("Interface addresses", "interface address mask mac", "interface_addresses"),
        ("interface_addresses_snapshot", "interface address mac", "interface_addresses"),
        ("Host - Interface Address (hourly)", "interface address mac", "interface_addresses"),
        ("Python packages", "name version path license author", "python_packages"),
        ("pack/it/laptop-user-groups", "uid gid username groupname", "user_groups"),
        ("pack_edr_process_etw", "type pid ppid path cmdline username parent_path",
         "process_etw_events"),
        ("dns-lookups (hourly)", "pid desk", ""),
        # As much of others as of its own, too little of its own, another's name, one word, two.
        ("linux-interface-addresses", "interface address ssid channel", ""),
        ("Interface addresses", "address owner", ""),
        ("interface_desk_addresses", "interface address mask desk", ""),
        ("Users at night", "username uid desk", ""),
        ("python-packages-and-npm-packages", "name version desk path", ""),
    ],
)  # fmt: skip
def test_a_table_s_name_is_known_as_people_spell_it(query: str, columns: str, table: str) -> None:
    """With other delimiters, in the singular and before other words."""
    found = bound(query, columns)
    assert (found.shape.tables[0].table if found.shape else "") == table, found


def test_addresses_and_cards_of_a_host_stand_in_one_row() -> None:
    """Schedules join the two tables, and rules for each read the rows."""
    found = bound("Interface addresses", "interface address mask type mac")
    assert found.shape is not None
    assert [use.table for use in found.shape.tables] == ["interface_addresses", "interface_details"]
    assert not any(use.optional for use in found.shape.tables)
    assert found.provenance["address"].table == "interface_addresses"
    assert found.provenance["interface"].table == "interface_addresses"
    assert found.provenance["mac"].table == "interface_details"
    assert found.provenance["type"] is None
    plain = bound("interface_addresses", "interface address mask type")
    assert plain.shape is not None
    assert [use.table for use in plain.shape.tables] == ["interface_addresses"]


def test_the_card_in_a_row_of_addresses_is_one_of_the_hosts() -> None:
    """As it is in a row of cards."""
    text = "selection:\n    mac|startswith: '3c:'\ncondition: selection"
    rules = [kit.rule(text, "{product: osquery, service: interface_details}")]
    row = {"interface": "en0", "address": "192.0.2.7", "mask": "255.255.255.0", "mac": "3c:6a:1"}
    assert kit.fires(rules, kit.line(row, "Interface addresses"))
    assert not kit.fires(rules, kit.line(row | {"mac": "4c:6a:1"}, "Interface addresses"))


def test_columns_of_another_table_speak_against_a_name() -> None:
    """Few of them are of the one that it says."""
    found = bound("process events of users", "pid port address protocol family fd socket")
    assert found.how == "column shape"
    assert found.shape is not None
    assert found.shape.tables[0].table == "listening_ports"


def test_few_columns_are_not_bound_by_a_word() -> None:
    """Dozens of tables have a name and a path."""
    assert bound("startup", "name path").how == "unbound"


def rule_on(source: str) -> Rule:
    """One that looks at the command line."""
    return kit.rule("selection:\n    CommandLine|contains: evil\ncondition: selection", source)


@pytest.mark.parametrize(
    ("columns", "systems"),
    [
        ({"path": "/usr/bin/x", "cmdline": "evil"}, {LINUX, MACOS}),
        ({"path": "/home/ada/x", "cmdline": "evil"}, {LINUX}),
        ({"path": "/tmp/.mount_NotesAb12Cd/x", "cmdline": "evil"}, {LINUX}),
        ({"path": "/tmp/mount_x/x", "cmdline": "/tmp/.mounts/x evil"}, {LINUX, MACOS}),
        ({"path": "/Applications/X.app/Contents/MacOS/x", "cmdline": "evil"}, {MACOS}),
        ({"path": "C:\\Temp\\x.exe", "cmdline": "evil"}, {WINDOWS}),
        ({"path": "", "cmdline": '"C:\\Temp\\x.exe" evil'}, {WINDOWS}),
        ({"path": "", "cmdline": "evil"}, {LINUX, MACOS, WINDOWS}),
        # Elsewhere the column is hidden, and says nothing where a query asks for it.
        ({"path": "", "cmdline": "evil", "elevated_token": "1"}, {WINDOWS}),
        ({"path": "", "cmdline": "evil", "elevated_token": ""}, {LINUX, MACOS, WINDOWS}),
        ({"path": "", "cmdline": "evil", "elevated_token": "0"}, {LINUX, MACOS, WINDOWS}),
        ({"path": "", "cmdline": "evil", "translated": "1"}, {MACOS}),
        ({"path": "", "cmdline": "evil", "translated": "1", "elevated_token": "1"},
         {LINUX, MACOS, WINDOWS}),
        # Two that cannot both be true tell nothing.
        ({"path": "/home/ada/x", "cmdline": "/Volumes/X/x evil"}, {LINUX, MACOS, WINDOWS}),
        ({"path": "/usr/bin/wine64-preloader", "cmdline": "C:\\x.exe evil"},
         {LINUX, MACOS, WINDOWS}),
    ],
)  # fmt: skip
def test_a_path_of_one_system_rules_the_others_out(
    columns: dict[str, str], systems: set[str]
) -> None:
    """Without a schedule a row of `processes` may be of any system."""
    line = kit.line({"pid": "1", **columns}, "pack_it_processes")
    fired = {source for source in (LINUX, MACOS, WINDOWS) if kit.fires([rule_on(source)], line)}
    assert fired == systems


@pytest.mark.parametrize(
    ("query", "path", "systems"),
    [
        ("pack/Global/linux-processes", "/usr/bin/x", {LINUX}),
        ("pack_macos_processes", "/usr/bin/x", {MACOS}),
        ("Processes (Windows)", "", {WINDOWS}),
        ("mac_processes", "/usr/bin/x", {LINUX, MACOS}),
        ("linux-and-windows-processes", "", {LINUX, MACOS, WINDOWS}),
        # Name and path cannot both be true, and tell nothing.
        ("linux-processes", "/Applications/X.app/x", {LINUX, MACOS, WINDOWS}),
    ],
)
def test_the_name_of_a_query_may_say_its_system(query: str, path: str, systems: set[str]) -> None:
    """Fleets name their queries so."""
    line = kit.line({"pid": "1", "name": "x", "path": path, "cmdline": "evil"}, query)
    fired = {source for source in (LINUX, MACOS, WINDOWS) if kit.fires([rule_on(source)], line)}
    assert fired == systems


def test_a_path_rules_out_no_rule_for_any_system() -> None:
    """Nor one that is for several, of which it is one."""
    line = kit.line({"pid": "1", "path": "/Applications/X", "cmdline": "evil"}, "processes")
    anywhere = "{product: osquery, service: processes}"
    text = "selection:\n    cmdline|contains: evil\ncondition: selection"
    assert kit.fires([kit.rule(text, anywhere)], line)


def test_what_is_negated_of_a_column_that_may_be_anothers_is_taken_as_met() -> None:
    """The raw look at columns must not take it for the table's own."""
    source = "{product: osquery, service: process_open_files}"
    text = (
        "selection:\n    process.cmdline|contains: evil\n"
        "filter:\n    path|contains: benign\ncondition: selection and not filter"
    )
    rules = [kit.rule(text, source)]
    row = {"pid": "1", "fd": "3", "path": "/tmp/benign", "cmdline": "evil"}
    assert kit.fires(rules, logged(row))
    row["process_cmdline"] = row.pop("cmdline")
    assert not kit.fires(rules, logged(row))


def logged(row: dict[str, str]) -> bytes:
    """As osqueryd writes it."""
    return orjson.dumps(
        {"name": "process_open_files", "hostIdentifier": "lab", "unixTime": 1795429300,
         "columns": row, "action": "added"}
    )  # fmt: skip


def test_the_summary_names_queries_of_which_no_table_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not to be taken for a clean host."""
    log = tmp_path / "x.log"
    log.write_bytes(
        kit.line({"exe": "/usr/bin/anydesk"}, "pack_x_programs")
        + b"\n"
        + kit.line({"pid": "1", "path": "/usr/bin/true", "cmdline": "true"}, "processes")
        + b"\n"
    )
    assert main(["hunt", str(log)]) == 0
    told = capsys.readouterr().err
    assert "no rule reads them: pack_x_programs; give their SQL with --config" in told
    assert main(["hunt", str(log), "--quiet"]) == 0
    assert "pack_x_programs" not in capsys.readouterr().err
