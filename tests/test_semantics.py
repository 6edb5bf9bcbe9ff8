"""What a rule means: a hand-written truth table, held against evaluator and engine alike."""

from __future__ import annotations

from typing import Any

import kit
import pytest

from molehunt.taxonomy import taxonomy

P = {"pid": "7", "name": "sh", "path": "/usr/bin/sh"}


def verdict(item: str, columns: dict[str, Any], **envelope: Any) -> bool:
    """Whether `selection: {item}` matches a row of `processes`."""
    rule = kit.rule(f"selection:\n    {item}\ncondition: selection")
    return kit.fires([rule], kit.line(P | columns, **envelope))


@pytest.mark.parametrize(
    ("item", "columns", "expected"),
    [
        # text
        ("path: /USR/bin/sh", {}, True),
        ("path: /usr/bin/s", {}, False),
        ("path: /usr/*/sh", {}, True),
        ("path: /usr/b?n/sh", {}, True),
        ("path: /usr/b?n/sh", {"path": "/usr/bn/sh"}, False),
        ("path: '*'", {"path": ""}, False),
        ("path: '*'", {"path": "x\ny"}, True),
        ("path|contains: BIN", {}, True),
        ("path|startswith: /usr", {}, True),
        ("path|startswith: usr", {}, False),
        ("path|endswith: /SH", {}, True),
        ("cmdline|contains: 'a\\*b'", {"cmdline": "xa*bx"}, True),
        ("cmdline|contains: 'a\\*b'", {"cmdline": "xazbx"}, False),
        ("cmdline|contains: 'C:\\\\Temp'", {"cmdline": "run c:\\temp\\x"}, True),
        ("path|contains|cased: BIN", {}, False),
        ("path|contains|cased: bin", {}, True),
        # case folding
        ("cmdline: kelvin", {"cmdline": "\u212aelvin"}, False),
        ("cmdline: istanbul", {"cmdline": "\u0130stanbul"}, False),
        ("cmdline: '\u00c4RGER'", {"cmdline": "\u00e4rger"}, True),
        ("cmdline: '\u039f\u03a3'", {"cmdline": "\u03bf\u03c3"}, True),
        ("cmdline: strasse", {"cmdline": "stra\u00dfe"}, False),
        # regex
        ("path|re: 's[hx]$'", {}, True),
        ("path|re: 'S[hx]$'", {}, False),
        ("path|re|i: 'S[hx]$'", {}, True),
        ("cmdline|re|m: '^b'", {"cmdline": "a\nb"}, True),
        ("cmdline|re: '^b'", {"cmdline": "a\nb"}, False),
        ("cmdline|re|s: 'a.b'", {"cmdline": "a\nb"}, True),
        ("cmdline|re: 'a.b'", {"cmdline": "a\nb"}, False),
        # numbers
        ("pid: 7", {}, True),
        ("pid: 7", {"pid": 7}, True),
        ("pid: 7", {"pid": "07"}, True),
        ("pid: '7'", {"pid": 7}, True),
        ("pid: 7", {"pid": "0x7"}, False),
        ("pid|gt: 6", {"pid": "10"}, True),
        ("pid|gte: 7", {}, True),
        ("pid|lt: 7", {}, False),
        ("pid|lte: 7.5", {"pid": "7.25"}, True),
        ("pid|lt: 7", {"pid": ""}, False),
        ("pid|lt: 7", {"pid": "many"}, False),
        ("on_disk: true", {"on_disk": True}, True),
        ("on_disk: true", {"on_disk": "1"}, False),
        # nothing
        ("cmdline: null", {}, True),
        ("cmdline: null", {"cmdline": ""}, True),
        ("cmdline: null", {"cmdline": None}, True),
        ("cmdline: ''", {}, True),
        ("cmdline|exists: false", {"cmdline": ""}, True),
        ("path|exists: true", {}, True),
        ("path: null", {}, False),
        # lists and all
        ("path: [/bin/no, /usr/bin/sh]", {}, True),
        ("path|contains|all: [usr, sh]", {}, True),
        ("path|contains|all: [usr, zsh]", {}, False),
        ("path|contains: ['']", {}, True),
        # encodings
        ("cmdline|windash|contains: ' -run'", {"cmdline": "x /run"}, True),
        ("cmdline|windash|contains: ' -run'", {"cmdline": "x \u2013run"}, True),
        ("cmdline|base64: secret", {"cmdline": "c2VjcmV0"}, True),
        ("cmdline|base64offset|contains: secret", {"cmdline": "xx IHNlY3JldA=="}, True),
        ("cmdline|wide|base64offset|contains: ab", {"cmdline": "AGEAYg"}, True),
        # other fields
        ("path|fieldref: cmdline", {"cmdline": "/USR/BIN/SH"}, True),
        ("path|fieldref: cmdline", {}, False),
        ("path|fieldref|endswith: name", {"name": "SH"}, True),
        ("path|fieldref|startswith: cwd", {"cwd": "/usr"}, True),
        ("path|fieldref|contains: cwd", {"cwd": "in"}, True),
        # envelope
        ("osquery.action: added", {}, True),
        ("osquery.name: processes", {}, True),
        ("osquery.host|startswith: LAB", {}, True),
        ("osquery.counter: 1", {}, True),
    ],
)
def test_one_item(item: str, columns: dict[str, Any], expected: bool) -> None:
    """Each modifier and value kind, holding and not."""
    assert verdict(item, columns) is expected


def test_neq_negates_and_is_true_on_nothing() -> None:
    """`neq` is a negation, so a missing field satisfies it."""
    pytest.importorskip("sigma.modifiers")
    assert verdict("name|neq: zsh", {})
    assert not verdict("name|neq: sh", {})
    rule = kit.rule("selection:\n    path|endswith: sh\n    cmdline|neq: x\ncondition: selection")
    assert kit.fires([rule], kit.line(P))


def test_not_over_a_missing_field_is_true() -> None:
    """A filter that finds nothing to look at filters nothing."""
    rule = kit.rule(
        """
        selection:
            path|endswith: /sh
        filter_main_x:
            cmdline|contains: harmless
        condition: selection and not 1 of filter_main_*
        """
    )
    assert kit.fires([rule], kit.line(P))
    assert kit.fires([rule], kit.line(P | {"cmdline": None}))
    assert not kit.fires([rule], kit.line(P | {"cmdline": "harmless"}))


def test_keywords_look_into_every_value_but_not_the_envelope() -> None:
    """A keyword is a substring of any column; hosts and query names are no columns."""
    rule = kit.rule("keywords:\n    - usr?bin\n    - 4711\ncondition: keywords")
    assert kit.fires([rule], kit.line(P))
    assert kit.fires([rule], kit.line({"pid": "147110", "path": "/x", "name": "x"}))
    assert not kit.fires(
        [rule], kit.line({"pid": "1", "path": "/x", "name": "x"}, decorations={"d": "usr/bin"})
    )


@pytest.mark.parametrize(
    ("cidr", "address", "expected"),
    [
        ("192.0.2.0/24", "192.0.2.0", True),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24", "no address", False),
        ("2001:db8::/32", "2001:0db8:0000:0000:0000:0000:0000:0001", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_cidr(cidr: str, address: str, expected: bool) -> None:
    """Networks hold their first and last address; every spelling of an address is that address."""
    rule = kit.rule(
        f"selection:\n    remote_address|cidr: '{cidr}'\ncondition: selection",
        "{product: osquery, service: process_open_sockets}",
    )
    row = {"remote_address": address, "remote_port": "443", "pid": "1"}
    assert kit.fires([rule], kit.line(row, "process_open_sockets")) is expected


def test_time_parts_read_seconds_and_iso_text() -> None:
    """Seconds are UTC; text is taken at its word."""
    assert verdict("start_time|hour: 10", {"start_time": "1795429320"})
    assert not verdict("start_time|hour: 11", {"start_time": "1795429320"})
    assert verdict("start_time|week: 48", {"start_time": 1795429320})
    assert verdict("start_time|minute: 30", {"start_time": "2026-11-23T23:30:00+09:00"})


def test_control_text_is_decoded_in_differential_rows_only() -> None:
    r"""`\x0A` is a newline in an added row and four characters in a snapshot."""
    rule = kit.rule("selection:\n    cmdline|re: 'a\\nb'\ncondition: selection")
    assert kit.fires([rule], kit.line(P | {"cmdline": "a\\x0Ab"}))
    assert not kit.fires([rule], kit.line(P | {"cmdline": "a\\x0Ab"}, action="snapshot"))
    assert not kit.fires([rule], kit.line(P | {"cmdline": "a\\x41b"}))
    hangul = kit.rule("selection:\n    cmdline|contains: '\ud55c'\ncondition: selection")
    assert kit.fires([hangul], kit.line(P | {"cmdline": "x\\xED\\x95\\x9Cy"}))


def test_removed_rows_close_and_match_only_on_request() -> None:
    """A removed row is a match of its own only for a rule that asks for it."""
    body = "selection:\n    path|endswith: /sh\ncondition: selection"
    (match,) = kit.matches([kit.rule(body)], kit.line(P, action="removed"))
    assert match.closes
    asking = kit.rule(body, more="molehunt: {removed: true}")
    (match,) = kit.matches([asking], kit.line(P, action="removed"))
    assert not match.closes
    tested = kit.rule(
        "selection:\n    path|endswith: /sh\n    osquery.action: removed\ncondition: selection"
    )
    (match,) = kit.matches([tested], kit.line(P, action="removed"))
    assert not match.closes


def test_several_conditions_are_alternatives() -> None:
    """The specification: a list of conditions is linked with OR."""
    rule = kit.rule("one:\n    name: sh\ntwo:\n    name: zsh\ncondition:\n    - one\n    - two")
    assert kit.fires([rule], kit.line(P))
    assert kit.fires([rule], kit.line(P | {"name": "zsh"}))
    assert not kit.fires([rule], kit.line(P | {"name": "ksh"}))


def test_taxonomy_where_limits_the_log_source() -> None:
    """A fork row of process_events is no process creation."""
    rule = kit.rule(
        "selection:\n    Image|endswith: /sh\ncondition: selection",
        "{category: process_creation, product: linux}",
    )
    row = {"path": "/bin/sh", "cmdline": "sh", "pid": "1", "syscall": "execve", "auid": "1"}
    assert kit.fires([rule], kit.line(row, "process_events"))
    assert not kit.fires([rule], kit.line(row | {"syscall": "fork"}, "process_events"))


@pytest.mark.parametrize(
    ("table", "row", "fires"),
    [
        ("file_events", {"action": "CREATED", "target_path": "/tmp/x"}, True),
        ("process_file_events", {"operation": "write", "path": "/tmp/x"}, True),
        ("process_file_events", {"operation": "unlink", "path": "/tmp/x"}, False),
        ("file", {"path": "/tmp/x", "filename": "x"}, True),
        ("file", {"path": "/tmp/y", "filename": "y"}, False),
    ],
)
def test_files_are_read_in_each_table_that_tells_them(
    table: str, row: dict[str, str], fires: bool
) -> None:
    """What is written, by whichever table says it; and what stands there, which is polled."""
    source = "{category: file_event, product: linux}"
    rule = kit.rule("selection:\n    TargetFilename: /tmp/x\ncondition: selection", source)
    assert bool(kit.fires([rule], kit.line(row, table))) == fires


def test_compiled_queries_leave_out_what_is_polled_for_something_else() -> None:
    """molehunt's pack asks `file` for a few paths, none of them for these rules."""
    known = taxonomy()
    asked = [one.table for one in known.maps("file_event", "linux", None)]
    compiled = [one.table for one in known.for_compiling().maps("file_event", "linux", None)]
    assert "file" in asked
    assert compiled == [one for one in asked if one != "file"]


def test_hive_names_are_spelled_as_sigma_does() -> None:
    """osquery writes HKEY_LOCAL_MACHINE, Sigma rules HKLM."""
    rule = kit.rule(
        r"""
        selection:
            TargetObject|startswith: 'HKLM\SYSTEM\'
            Details: 0
        condition: selection
        """,
        "{category: registry_set, product: windows}",
    )
    row = {"key": "k", "path": "HKEY_LOCAL_MACHINE\\SYSTEM\\X", "data": "0", "name": "X"}
    assert kit.fires([rule], kit.line(row, "registry"))


def test_a_hostile_glob_is_linear() -> None:
    """Many stars against a long text end at once."""
    stars = "*a" * 40
    rule = kit.rule(f"selection:\n    cmdline: '{stars}b'\ncondition: selection")
    assert not kit.fires([rule], kit.line(P | {"cmdline": "a" * 5000}))


@pytest.mark.parametrize("digits", [300, 400, 5000])
def test_no_number_is_too_long_to_be_read(digits: int) -> None:
    """Neither a column nor an event's time can stop the run; a long text is no number."""
    above = kit.rule("selection:\n    pid|gt: 3\ncondition: selection")
    assert kit.fires([above], kit.line({"pid": "9" * digits})) == (digits == 300)
    logsource = "{product: osquery, service: process_events}"
    named = kit.rule("selection:\n    path: /a\ncondition: selection", logsource)
    line = kit.line({"path": "/a", "pid": "1", "time": "9" * digits}, "process_events")
    assert kit.fires([named], line)
