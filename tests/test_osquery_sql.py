"""Conditions as SQLite says them against the evaluator's meaning of them, value by value."""

from __future__ import annotations

import sqlite3
from ipaddress import ip_address
from typing import Any

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from molehunt.backends.model import Unsayable
from molehunt.backends.osquery.functions import add_functions, in_cidr_block
from molehunt.backends.osquery.sqlregex import LONGEST, translate
from molehunt.backends.osquery.sqltext import network_test
from molehunt.backends.osquery.sqlwhere import Column, Where
from molehunt.conditions import (
    And,
    AnyOf,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Not,
    Nothing,
    Number,
    Or,
    Regex,
    Text,
    Wild,
)
from molehunt.detectors.matching.evaluate import regex, value_matches
from molehunt.detectors.matching.fields import FieldMap, Place
from molehunt.normalise import NORMALISERS
from molehunt.taxonomy import taxonomy

DATABASE = sqlite3.connect(":memory:")
add_functions(DATABASE)
DATABASE.execute("CREATE TABLE t (a TEXT, b TEXT, n INTEGER)")

ALPHABET = "abkKisSİıſßΣσςéÉ한\u212a\u0130/\\\"'<&*?%_-.^[] \t\n\x01\u2028😀Z09+"
TEXTS = st.text(ALPHABET, max_size=6) | st.sampled_from(("C:\\Temp\\a.exe", "100%_^", "é/ü"))
PARTS = st.lists(
    st.text(ALPHABET, min_size=1, max_size=3) | st.sampled_from(list(Wild)), max_size=5
)
WANTED = st.builds(Text, PARTS.map(tuple), st.booleans())
NUMBERS = st.sampled_from((0, 1, 7, -3, 22, 1.5, 65535, 5901))


def where(*normalisers: str) -> Where:
    """A writer for a table with two texts and a number."""
    places = {name: Place("column", name, normalisers) for name in "abn"}
    places["gone"] = Place("absent", "")
    fields = FieldMap(taxonomy().stores["osquery"], "t", places, (), ())
    columns: dict[str, Column | None] = {
        "a": Column("t.a", "text"), "b": Column("t.b", "text"), "n": Column("t.n", "bigint"),
    }  # fmt: skip
    return Where(fields, columns, ("pack_molehunt_t",))


def holds(
    condition: Condition, a: object, *normalisers: str, b: object = "x", n: object = 5
) -> bool:
    """What SQLite says of one row."""
    DATABASE.execute("DELETE FROM t")
    DATABASE.execute("INSERT INTO t VALUES (?, ?, ?)", (a, b, n))
    test = where(*normalisers).condition(condition)
    return bool(DATABASE.execute(f"SELECT 1 FROM t WHERE {test}").fetchall())


@given(WANTED, TEXTS)
@example(Text(("K",)), "\u212a")
@example(Text(("σ",)), "Σ")
@example(Text((Wild.ANY, "\\anydesk.exe")), "Xanydesk.exe")
@example(Text((Wild.ANY,)), "")
@example(Text(()), "")
@example(Text(("%",)), "a")
@example(Text(("É", Wild.ONE)), "é한")
def test_texts(wanted: Text, actual: str) -> None:
    """Wildcards, escaping and letter case mean what they mean elsewhere."""
    expected = value_matches(wanted, actual) if actual else not wanted.parts
    assert holds(FieldIs("a", wanted), actual) is expected
    assert holds(Not(FieldIs("a", wanted)), actual) is not expected


@given(st.lists(WANTED, min_size=1, max_size=5), TEXTS)
def test_lists(wanted: list[Text], actual: str) -> None:
    """Alternatives as one list, or as OR."""
    expected = any(value_matches(o, actual) if actual else not o.parts for o in wanted)
    assert holds(FieldIs("a", AnyOf(tuple(wanted))), actual) is expected
    assert holds(Or(tuple(FieldIs("a", one) for one in wanted)), actual) is expected


@given(
    st.sampled_from(("<", "<=", ">", ">=", "!=", "=")),
    NUMBERS,
    TEXTS
    | st.integers(-99, 99).map(str)
    | st.sampled_from(("+7", "1.50", "1.", ".5", "0x16", "1e3", "22 ", "--3")),
)  # fmt: skip
def test_numbers(operator: str, number: float, actual: str) -> None:
    """A text counts as a number where it is a plain decimal."""
    wanted = Number(number) if operator == "=" else Compare(operator, number)
    expected = bool(actual) and value_matches(wanted, actual)
    assert holds(FieldIs("a", wanted), actual) is expected
    assert holds(Not(FieldIs("a", wanted)), actual) is not expected


@given(
    st.sampled_from(("<", "<=", ">", ">=", "!=", "=")), NUMBERS, st.none() | st.integers(-99, 99)
)
def test_integers(operator: str, number: float, actual: int | None) -> None:
    """So do columns of numbers, and NULL is nothing."""
    wanted = Number(number) if operator == "=" else Compare(operator, number)
    expected = actual is not None and value_matches(wanted, actual)
    assert holds(FieldIs("n", wanted), "", n=actual) is expected
    assert holds(Not(FieldIs("n", wanted)), "", n=actual) is not expected


@given(WANTED, st.none() | st.integers(-99, 99))
def test_numbers_as_text(wanted: Text, actual: int | None) -> None:
    """Texts are looked for in columns of numbers too."""
    expected = not wanted.parts if actual is None else value_matches(wanted, str(actual))
    assert holds(FieldIs("n", wanted), "", n=actual) is expected


@pytest.mark.parametrize("actual", [None, "", "x"])
@pytest.mark.parametrize("wanted", [Nothing(), Exists(True), Exists(False), Text(()), Text(("x",))])
def test_nothing(wanted: Any, actual: str | None) -> None:
    """NULL, "" and a field that no column has are nothing."""
    there = bool(actual)
    expected = {Nothing(): not there, Exists(True): there}.get(wanted)
    if isinstance(wanted, Exists) and not wanted.exists:
        expected = not there
    if isinstance(wanted, Text):
        expected = there if wanted.parts else not there
    assert holds(FieldIs("a", wanted), actual) is expected
    assert holds(Not(FieldIs("a", wanted)), actual) is not expected
    if not there:
        assert holds(FieldIs("gone", wanted), "y") is expected


@pytest.mark.parametrize("actual", ["true", "TRUE", "1", "false", ""])
def test_flags(actual: str) -> None:
    """true is the word, not a number."""
    expected = bool(actual) and value_matches(Flag(True), actual)
    assert holds(FieldIs("a", Flag(True)), actual) is expected


NETWORKS = (
    "0.0.0.0/0", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16",
    "192.0.2.0/24", "192.0.2.64/26", "192.0.2.7/32", "198.18.0.0/15", "224.0.0.0/3",
    "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "2001:db8:1000::/36",
)  # fmt: skip
ADDRESSES = st.one_of(
    st.sampled_from(("", "host", "1.2.3", "1.2.3.4.5", "10.x.1.2", "192.0.2.0", "192.0.2.255",
                     "192.0.2.127", "::", "::1", "fe80::1%eth0", "::ffff:192.0.2.7", "fc00::1",
                     "2001:db8::1", "2001:db8:1fff::", "2001:db9::1", "fec0::1")),
    st.ip_addresses().map(str),
    st.integers(0, 2**24).map(lambda n: str(ip_address((192 << 24) + n))),
)  # fmt: skip


@given(st.sampled_from(NETWORKS), ADDRESSES)
def test_networks(network: str, actual: str) -> None:
    """An address in osquery's own spelling is in a network or not; other text is in none."""
    expected = bool(actual) and value_matches(Cidr(network), actual)
    assert holds(FieldIs("a", Cidr(network)), actual) is expected


@pytest.mark.parametrize("network", ["2001:db8::/36", "::/8", "0::/0", "2001:0:1::/48", "a00::/8"])
def test_networks_that_text_cannot_tell(network: str) -> None:
    """They are refused."""
    with pytest.raises(Unsayable):
        network_test(network, "x")


@given(
    st.sampled_from(("audit_quotes", "hive", "ip")),
    WANTED,
    TEXTS | st.sampled_from(('"/tmp"', '"', '""', "HKEY_LOCAL_MACHINE\\X", "hkey_users", "::1",
                             "HKEYxLOCAL_MACHINE\\X", "::ffff:192.0.2.7", "fe80::1%eth0")),
)  # fmt: skip
def test_respelling(name: str, wanted: Text, actual: str) -> None:
    """The taxonomy's normalisers mean the same in SQL."""
    if name == "ip" and "%" in actual and "::" not in actual:
        return
    spelled = NORMALISERS[name].value(actual)
    if not wanted.parts or all(part is Wild.ANY for part in wanted.parts):
        expected = bool(actual) is bool(wanted.parts)
    else:
        expected = bool(actual) and value_matches(wanted, spelled)
    assert holds(FieldIs("a", wanted), actual, name) is expected


PATTERNS = (
    "a.b", "^[a-c]+$", "x(y|z){2}", r"\s-[a-z]*R ?[^ ]*:(22|590[0-9])(\s|$)", r"\bsh\b", r"a|^$",
    r"[/\\](python|pypy)w?[0-9.]*(\.exe)?$", r"(?:a|b)*?c", r"[^\s/]+\.sh", r"\d{1,3}\.\d{1,3}",
    r"[\s\S]*", r"(?i)[K-S]+", r"\w+@\w+", r"(|a)b", r"a{2,}", r"[]a]", r"[a\-z]", r"\$\(",
    "(?s)a.b",
)  # fmt: skip
LINES = st.text("abcxyzKkSs /\\.-:@$()0123459R\n\t\v\r]", max_size=12) | st.sampled_from(
    (" -R 1:h:22 ", "/usr/bin/python3", "sh -c", "pypy.exe", "A\nB", "10.20")
)


@given(st.sampled_from(PATTERNS), st.sampled_from(("", "i", "s", "is")), LINES)
def test_patterns(pattern: str, flags: str, actual: str) -> None:
    """On ASCII, what osquery's regex_match finds is what RE2 finds."""
    wanted = Regex(pattern, flags)
    expected = bool(actual) and regex(wanted).search(actual) is not None
    assert holds(FieldIs("a", wanted), actual) is expected


@pytest.mark.parametrize(
    "pattern", [r"\pL", r"[[:alpha:]]", r"\x41", r"(?m)^a", r"a(?i:b)", r"\Aa", r"a\z", "[éa]"]
)
def test_patterns_read_otherwise(pattern: str) -> None:
    """What ECMAScript reads otherwise is refused."""
    re2.compile(pattern)
    with pytest.raises(Unsayable):
        translate(Regex(pattern))


def test_long_patterns() -> None:
    """A pattern of more than 256 bytes is split at its choices, or refused."""
    words = [f"word{number:03}" for number in range(200)]
    made = translate(Regex(rf"(^|\s)({'|'.join(words)})(\s|$)"))
    assert len(made.patterns) > 4
    assert all(len(one.encode()) <= LONGEST for one in made.patterns)
    wanted = FieldIs("a", Regex(rf"(^|\s)({'|'.join(words)})(\s|$)"))
    assert all(holds(wanted, f"x {word}") for word in (words[0], words[99], words[-1]))
    assert not holds(wanted, "x word200")
    with pytest.raises(Unsayable):
        translate(Regex("a" * 257))


def test_many_alternatives() -> None:
    """Thousands of alternatives stay below SQLite's depth of 1,000."""
    many = Or(tuple(FieldIs("a", Text((f"w{n}", Wild.ANY))) for n in range(5000)))
    assert holds(many, "w4999x") and not holds(many, "x")
    both = And(tuple(Not(FieldIs("a", Text((f"w{n}", Wild.ANY)))) for n in range(5000)))
    assert holds(both, "x") and not holds(both, "w4999x")


def test_strict_functions() -> None:
    """The functions fail where osquery's fail."""
    with pytest.raises(sqlite3.OperationalError):
        DATABASE.execute("SELECT regex_match('a', ?, 0)", ("a" * 257,)).fetchall()
    with pytest.raises(sqlite3.OperationalError):
        DATABASE.execute("SELECT regex_match('a', '(?i)a', 0)").fetchall()
    with pytest.raises(ValueError, match="famil"):
        in_cidr_block("10.0.0.0/8", "::1")
    assert in_cidr_block("192.0.2.0/24", "192.0.2.1") and not in_cidr_block(
        "192.0.2.0/24", "192.0.2.0"
    )
