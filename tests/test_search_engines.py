"""Compiled rules on real Elasticsearch and OpenSearch servers: random rules, and the limits.

Where a server cannot be had the tests are skipped, which in CI fails.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import kit
import pytest
import search_random
import sign_in_random

from molehunt.backends.model import Profile, Target
from molehunt.backends.registry import target

# How many rules are compared at least, and how many rounds are drawn for that at most: of those of
# a round of chance the target may be able to say fewer.
RULES, ROUNDS = 60, 4


class Running(NamedTuple):
    """A server with the profile that it plays."""

    target: Target
    profile: Profile
    limit: int
    session: Any


@pytest.fixture(scope="module", params=["elastic/osquery_manager", "opensearch/osquery"])
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Each server once for all tests."""
    name, _, profile_name = request.param.partition("/")
    chosen = target(name)
    profile = chosen.profile(profile_name)
    (engine,) = chosen.engines
    why = engine.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {engine.name}: it needs {why}")
    with engine.open(profile) as session:
        yield Running(chosen, profile, session.layout.limit, session)


# OpenSearch has no integrations and other sign-in logs: tests/test_signins_opensearch.py.
keeps_sign_ins = pytest.mark.parametrize("server", ["elastic/osquery_manager"], indirect=True)


def found(server: Running, rule: Any, *lines: bytes) -> tuple[list[int], list[int]]:
    """The rows that the server finds, and those that the evaluator does."""
    given = search_random.judge([rule], lines)
    artefacts, refused = search_random.compiled(server.target, server.profile, [rule])
    assert not refused, refused
    server.session.load(given.records)
    (answer,) = server.session.ask(artefacts)
    assert not answer.error, answer.error
    return sorted(answer.found), sorted(given.matched[rule.id])


def agreed(server: Running, rule: Any, *lines: bytes) -> list[int]:
    """The rows on which both agree."""
    theirs, ours = found(server, rule, *lines)
    assert theirs == ours
    return ours


def rows(*values: Any, column: str = "cmdline", **more: Any) -> list[bytes]:
    """A row of the processes for each value."""
    return [kit.line({column: value}, "pack_molehunt_processes_linux", **more) for value in values]


def test_random_rules_on_random_rows(server: Running) -> None:
    """The server and the evaluator never differ, declared differences aside."""
    # In CI what is tested must not depend on chance.
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))
    pairs = matches = compiled = 0
    for number in range(seed, seed + ROUNDS):
        given = search_random.judged(number, rules=150, rows=12)
        artefacts, refused = search_random.compiled(server.target, server.profile, given.rules)
        assert {one.code for one in refused} <= {
            "keywords", "field_reference", "time_part", "decorations", "pattern", "constant",
        }  # fmt: skip
        server.session.load(given.records)
        wrong = search_random.disagreements(server.session, artefacts, given, server.limit)
        assert not wrong, "\n".join([f"seed {number}, {len(wrong)} wrong", *wrong[:3]])
        compiled += len(artefacts)
        pairs += len(artefacts) * len(given.records)
        matches += sum(len(given.matched[one.rule]) for one in artefacts)
        if compiled >= RULES and matches >= compiled:
            break
    assert compiled >= RULES
    assert matches >= compiled


@keeps_sign_ins
@pytest.mark.parametrize("source", ["okta", "azure", "google_workspace"])
def test_random_rules_on_random_sign_ins(server: Running, source: str) -> None:
    """Events as the integration keeps them, of clean types, and rules over its fields."""
    log = server.session.layout.signins[source]
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))
    rng = Random(seed)
    fields = {name: one.type for name, one in log.fields.items() if not one.difference}
    texts = [sign_in_random.rule_text(source, fields, rng, n) for n in range(80)]
    lines = [sign_in_random.line(source, rng) for _ in range(60)]
    given = search_random.judge(kit.ruleset(*texts).rules, lines)
    assert len(given.records) == len(lines)
    artefacts, refused = search_random.compiled(server.target, server.profile, given.rules)
    assert {one.code for one in refused} <= {"constant"}
    server.session.load(given.records)
    wrong = search_random.disagreements(server.session, artefacts, given, server.limit)
    assert not wrong, "\n".join([f"seed {seed}, {len(wrong)} wrong", *wrong[:3]])
    assert sum(len(given.matched[one.rule]) for one in artefacts) >= len(artefacts)


@keeps_sign_ins
def test_sign_ins_at_their_declared_limits(server: Running) -> None:
    """Null and empty are missing there, and so is an address that is none; as is declared."""
    rule = kit.rule(
        "s:\n    client.ipAddress|exists: true\ncondition: s", "{product: okta, service: okta}"
    )
    events = [
        sign_in_random.okta(Random(0)) | {"client": {"ipAddress": address}}
        for address in ("192.0.2.7", None, "", "unknown")
    ]
    theirs, ours = found(server, rule, *(json.dumps(one).encode() for one in events))
    assert (theirs, ours) == ([0], [0, 1, 2, 3])
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    assert {"null_is_missing", "typed_field"} <= set(artefact.differences)


@pytest.mark.parametrize("server", ["opensearch/osquery"], indirect=True)
def test_a_decoration_that_looks_like_a_time(server: Running) -> None:
    """It stays a text: as a time it would refuse later rows with another text."""
    rule = kit.rule("selection:\n    cmdline: x\ncondition: selection")
    built = ("2026-11-03", "unknown")
    lines = [line for one in built for line in rows("x", decorations={"built": one})]
    assert agreed(server, rule, *lines) == [0, 1]


def test_letters_fold_one_by_one(server: Running) -> None:
    """No non-ASCII letter is an ASCII one; others fold to their simple lower case."""
    rule = kit.rule("selection:\n    cmdline|contains: ['task', 'éΣ']\ncondition: selection")
    values = ("TASK", "tas\u212a", "tA\u017fk", "xÉσx", "éς", "Eσ", "ÉΣ")
    assert agreed(server, rule, *rows(*values)) == [0, 3, 6]


def test_regular_expressions(server: Running) -> None:
    """Anchors, word boundaries, classes and flags mean what they mean in RE2."""
    rule = kit.rule(
        "selection:\n"
        "    cmdline|re:\n"
        "        - '(^|[\\s/])orbit\\b'\n"
        "        - 'a.c$'\n"
        "        - '(?i)ki[sS]\\d{2,3}\\b.*end'\n"
        "condition: selection"
    )
    values = (
        "orbit", "/orbit.x", "xorbit", "orbits", "abc", "a\nc", "abcd", "KIS12-end", "kis1234end",
        "\u212ai\u017f123 end", "kis12end", "", "line\norbit",
    )  # fmt: skip
    assert agreed(server, rule, *rows(*values)) == [0, 1, 4, 7, 9, 12]


def test_lines_of_a_text(server: Running) -> None:
    """The flag m makes ^ and $ those of lines."""
    rule = kit.rule("selection:\n    cmdline|re|m: '^b$'\ncondition: selection")
    assert agreed(server, rule, *rows("a\nb\nc", "b", "ab\nc", "b\n", "a\nbc")) == [0, 1, 3]


def test_nothing_in_its_three_spellings(server: Running) -> None:
    """Missing, null and empty are one, and what is too long to be indexed is something."""
    rule = kit.rule("selection:\n    cmdline: ''\ncondition: selection")
    long = "x" * (server.limit + 1)
    lines = [*rows("", None, "a", long), kit.line({"pid": "1"}, "pack_molehunt_processes_linux")]
    theirs, ours = found(server, rule, *lines)
    assert ours == [0, 1, 4]
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    if server.session.layout.names_ignored:
        assert theirs == ours
        assert artefact.differences == ()
    else:
        # OpenSearch does not say so, which the difference declares.
        assert theirs == [0, 1, 3, 4]
        assert artefact.differences == ("keyword_limit",)


def test_not_keeps_rows_without_the_field(server: Running) -> None:
    """A comparison with nothing is false, so its opposite is true."""
    rule = kit.rule(
        "selection:\n    pid: 1\nfilter:\n    cmdline|contains: 'x'\n"
        "condition: selection and not filter"
    )
    name = "pack_molehunt_processes_linux"
    lines = [
        kit.line({"pid": "1"} | more, name) for more in ({}, {"cmdline": "y"}, {"cmdline": "x"})
    ]
    assert agreed(server, rule, *lines) == [0, 1]


def test_a_text_at_the_limit_is_found_and_one_above_is_not(server: Running) -> None:
    """The declared difference keyword_limit begins just above the limit, in UTF-16 units."""
    rule = kit.rule("selection:\n    cmdline|contains: 'needle'\ncondition: selection")
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    assert "keyword_limit" in artefact.differences
    fits = "needle" + "x" * (server.limit - 6)
    astral = "needle" + "x" * (server.limit - 8) + "😀"
    theirs, ours = found(server, rule, *rows(fits, fits + "x", astral, astral + "x"))
    assert ours == [0, 1, 2, 3]
    assert theirs == [0, 2]


def test_a_whole_text_below_the_limit_has_no_difference(server: Running) -> None:
    """What is longer than the limit is not equal to what is shorter, indexed or not."""
    rule = kit.rule(
        "selection:\n    pid: 1\nfilter:\n    cmdline: 'needle'\n"
        "condition: selection and not filter"
    )
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    assert "keyword_limit" not in artefact.differences
    name, long = "pack_molehunt_processes_linux", "x" * (server.limit + 1)
    lines = [kit.line({"pid": "1", "cmdline": one}, name) for one in ("needle", "NEEDLE", long)]
    assert agreed(server, rule, *lines) == [2]


def test_bytes_that_osquery_escaped(server: Running) -> None:
    r"""Wanted letters are found in both spellings in differential rows; snapshots are not escaped.

    A wildcard that touches other escaped bytes is the declared difference escaped_bytes.
    """
    rule = kit.rule("selection:\n    cmdline|endswith: ' é'\ncondition: selection")
    lines = [
        *rows(" é", r" \xC3\xA9", r" \xC3\x89", r"x \xE9"),
        *rows(r" \xC3\xA9", " É", action="snapshot"),
    ]
    assert agreed(server, rule, *lines) == [0, 1, 2, 5]
    rule = kit.rule("selection:\n    cmdline|contains: 'anna'\ncondition: selection")
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    assert "escaped_bytes" in artefact.differences
    theirs, ours = found(server, rule, *rows(r"x\x0Anna", "xAnna"))
    assert (theirs, ours) == ([0, 1], [1])


def test_numbers_in_text(server: Running) -> None:
    """Decimals count as numbers in any spelling; what else is no number is none."""
    rule = kit.rule(
        "selection:\n    pid|gt: 9.5\nother:\n    pid: -3\ncondition: selection or other"
    )
    values = (
        "9",
        "10",
        "9.50",
        "9.51",
        "+0010",
        "-10",
        "-3.0",
        "0x10",
        " 10",
        "1e9",
        "",
        "0" * 300,
    )
    long = ("1" * 300, "1" * 301)
    assert agreed(server, rule, *rows(*values, *long, column="pid")) == [1, 3, 4, 6, 12]


def test_the_declared_spelling_of_numbers(server: Running) -> None:
    """Digits that a double cannot hold are the declared difference number_spelling."""
    rule = kit.rule("selection:\n    pid: 22\ncondition: selection")
    (artefact,), _ = search_random.compiled(server.target, server.profile, [rule])
    assert "number_spelling" in artefact.differences
    close = "22." + "0" * 20 + "1"
    theirs, ours = found(server, rule, *rows("22", "22.00", close, "22.1", column="pid"))
    assert (theirs, ours) == ([0, 1], [0, 1, 2])


def test_networks(server: Running) -> None:
    """Addresses in every spelling, the ends of the network included."""
    rule = kit.rule(
        "selection:\n    remote_address|cidr: ['192.0.2.0/24', '2001:db8::/32']\n"
        "condition: selection",
        "{product: osquery, service: process_open_sockets}",
    )
    values = (
        "192.0.2.0", "192.0.2.255", "192.0.3.0", "::ffff:192.0.2.7", "::FFFF:c000:0207",
        "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1%eth0", "2001:db9::1", "192.0.2.1x",
        "192.0.2.07", "", "0:0:0:0:0:ffff:192.0.2.9",
    )  # fmt: skip
    name = "pack_molehunt_process_open_sockets_linux"
    lines = [kit.line({"remote_address": value}, name) for value in values]
    assert agreed(server, rule, *lines) == [0, 1, 3, 4, 5, 6, 11]


def test_rows_of_other_queries_and_removed_rows_are_not_found(server: Running) -> None:
    """Only what the pack logged counts, and what went away only where a rule asks for it."""
    rule = kit.rule("selection:\n    cmdline: 'x'\ncondition: selection")
    lines = [
        *rows("x"),
        *rows("x", action="removed"),
        kit.line({"cmdline": "x"}, "pack_other_processes"),
        kit.line({"cmdline": "x"}, "pack_molehunt_processes_linux2"),
    ]
    assert agreed(server, rule, *lines) == [0]
    rule = kit.rule("selection:\n    osquery.action: removed\n    cmdline: x\ncondition: selection")
    assert agreed(server, rule, *lines) == [1]
