"""Rules on osquery: what their queries find, and the packs they come in."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import kit
import pytest
from agreement.rounds import make_row, make_rule
from agreement.tables import OKTA

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import read_corpus
from molehunt.backends.model import Artefact, Evidence, Packing
from molehunt.backends.osquery.budget import MOST_ROWS, exceeded
from molehunt.backends.osquery.compiling import pack_sources
from molehunt.backends.osquery.emulator import (
    SQLITE,
    Emulator,
    create_tables,
    place_row,
)
from molehunt.backends.osquery.pack import BAD_BEGINNINGS, BAD_ENDINGS
from molehunt.backends.osquery.packaging import long_members
from molehunt.backends.osquery.rows import count_rows, counted_rows, render_rows, rows_a_day
from molehunt.backends.osquery.target import PROFILE, TARGET
from molehunt.backends.proving import disagreements, prove
from molehunt.backends.subjects import subjects
from molehunt.backends.support import locked
from molehunt.correlation import Correlation
from molehunt.data import load_yaml
from molehunt.detectors.matching.evaluate import View, belongs, evaluate
from molehunt.detectors.matching.fields import resolve
from molehunt.detectors.matching.plan import reference_plan
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.records import Record
from molehunt.detectors.tying import record_of
from molehunt.normalise import parse_ip
from molehunt.rule import Rule
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

RULES = kit.shipped()
MANIFEST = load_yaml("pack.yml")
MADE = subjects(RULES, MANIFEST, taxonomy())
COMPILED = compile_all(TARGET, PROFILE, MADE)
ARTEFACTS = [one for one in COMPILED if isinstance(one, Artefact)]
BY_ID: dict[str, Rule | Correlation] = {one.id: one for one in RULES.both}
FILES = TARGET.package(ARTEFACTS, Packing(MANIFEST, BY_ID, "0"))
EMULATOR = Emulator()
READER = reference_plan([], taxonomy(), kit.binder())
PACKS = {name: json.loads(data) for name, data in FILES.items() if name.startswith("packs/")}


def test_recordings() -> None:
    """On some of the recordings every query finds what its rule matches, row by row.

    `molehunt prove osquery` does it on all of them.
    """
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    names = {"kvm-hardware-linux", "kvm-hardware-macos", "kvm-hardware-windows", "tools-macos"}
    chosen = [one for one in scenarios if one.name in names]
    assert len(chosen) == len(names)
    corpus = read_corpus(chosen, RULES.rules, MANIFEST, taxonomy())
    verdicts = prove(SQLITE, PROFILE, ARTEFACTS, corpus)
    assert not [str(one) for one in disagreements(verdicts, corpus)]
    assert sum(one.evidence is Evidence.EMULATOR for one in verdicts) > 30


def test_floor() -> None:
    """At least nine in ten single rules are proven on the emulator."""
    ids = {rule.id for rule in RULES.rules}
    lines = [line for line in locked().values() if line.target == "osquery" and line.rule in ids]
    assert len(lines) == len(ids)
    proven = sum(line.evidence is not None and line.evidence >= Evidence.EMULATOR for line in lines)
    assert proven >= 0.9 * len(lines)


FIXED = {
    "processes": {"uid": "1000"},
    "process_events": {"uid": "1000"},
    "registry_usb": {
        "key": "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Enum\\USB\\a\\b", "name": "Service",
    },
    "process_open_sockets": {"pid": "77"},
    "listening_ports": {"pid": "77"},
    "crontab": {},
}  # fmt: skip


def record(rng: Random, query: str, row: dict[str, Any]) -> Record | None:
    """A row as that query could have logged it; None if it could not."""
    name = query.rpartition("molehunt_")[2]
    source = pack_sources().get(name) or pack_sources()[f"{name}_linux"]
    for column, origin in source.shape.columns.items():
        value = row.get(column)
        if isinstance(value, list):
            return None
        value = "" if value is None else str(value)
        assert origin is not None
        if tables()[origin.table].columns[origin.column].type != "text" and value:
            # A column of whole numbers holds nothing else.
            value = value if value.lstrip("-").isdigit() and value.isascii() else "22"
            value = str(int(value))
        row[column] = value
    row |= FIXED[name]
    action = rng.choice(("added", "added", "snapshot"))
    line = kit.line(
        row, query if "molehunt" in query else f"pack_molehunt_{query}_linux", action=action
    )
    (found,) = READER.rows([kit.block(line)], lambda _: None)
    bound = READER.bound(found)
    made = record_of(found, bound.binding, bound.tie)
    return made if EMULATOR.reproduces(made) else None


def telling(made: Artefact, one: Record) -> bool:
    """Whether the declared differences leave the record comparable."""
    texts = [value for value in one.values.values() if isinstance(value, str)]
    beyond = not all(map(str.isascii, texts))
    if beyond and {"regex_bytes", "regex_folding", "fieldref_letters"} & set(made.differences):
        return False
    return "ip_spelling" not in made.differences or all(map(_own_spelling, texts))


def _own_spelling(text: str) -> bool:
    address = parse_ip(text)
    if address is None:
        return "%" not in text and ":" not in text
    return text.partition("%")[0].removeprefix("::ffff:") == str(address)


def test_random() -> None:
    """Random rules over random rows: no disagreement, and both outcomes are common."""
    seen: Counter[str] = Counter()
    made = [make_rule(Random(seed), seed) for seed in range(80)]
    loaded = kit.ruleset(*(one.text for one in made if one.query.name != OKTA))
    by_id = {one.rule_id: one for one in made}
    for subject in subjects(loaded, MANIFEST, taxonomy()):
        compiled = TARGET.compile(subject, PROFILE) if subject.bounds else None
        if not isinstance(compiled, Artefact):
            seen[compiled.code if compiled else "unfed"] += 1
            continue
        one = by_id[compiled.rule]
        rng = Random(compiled.rule)
        rows = [record(rng, one.query.name, make_row(rng, one)[0]) for _ in range(20)]
        records = [row for row in rows if row is not None and telling(compiled, row)]
        EMULATOR.load(records)
        (answer,) = EMULATOR.ask([compiled])
        assert not answer.error, (one.text, answer.error)
        assert isinstance(subject.rule, Rule)
        for place, row in enumerate(records):
            expected = _matches(subject.rule, row)
            seen[str(expected)] += 1
            found = place in (answer.found or ())
            assert found is expected, (one.text, row.values, compiled.query)
    assert seen["True"] > 80 and seen["False"] > 200, seen


def _matches(rule: Rule, one: Record) -> bool:
    fields = resolve(rule, one.binding, taxonomy())
    if fields is None or one.action == "removed":
        return False
    view = View(one, fields)
    return belongs(view) and any(evaluate(c, view).holds for c in rule.conditions)


def test_broken_query() -> None:
    """The emulator is no rubber stamp: a changed query is noticed, a broken one is an error."""
    scenarios, _ = load_scenarios("tests/recordings")
    corpus = read_corpus(
        [one for one in scenarios if "relay" in one.name], RULES.rules, MANIFEST, taxonomy()
    )
    good = [one for one in ARTEFACTS if corpus.matched[one.rule]]
    for change, noticed in (
        (lambda sql: f"{sql} AND 0", "missed"),
        (lambda sql: f"{sql} OR 1", "extra"),
        (lambda sql: f"{sql} AND nope = 1", "error"),
    ):
        bad = [
            replace(one, query=[{**part, "sql": change(part["sql"])} for part in one.query])
            for one in good
        ]
        assert any(getattr(verdict, noticed) for verdict in prove(SQLITE, PROFILE, bad, corpus))


@pytest.mark.parametrize("name", sorted(pack_sources()))
def test_constrained(name: str) -> None:
    """What a compiled query is built on gives its tables what they demand: a constraint on a
    required column, and users for the tables that show one user's rows only."""
    source = pack_sources()[name]
    for use in source.shape.tables:
        table = tables()[use.table]
        needed = [column.name for column in table.columns.values() if column.required]
        joined = {one for pair in source.shape.equalities for one in pair}
        where = source.sql.partition(" WHERE ")[2]
        assert not needed or any(
            f"{column} " in where or (use.alias, column) in joined for column in needed
        ), (name, use.table)
        if table.user_data:
            assert (use.alias, "uid") in joined


def test_packs() -> None:
    """Packs are read by osquery: names, sizes, one statement, nothing that it drops."""
    assert len(PACKS) >= 8
    for file, pack in PACKS.items():
        assert len(FILES[file]) < 1 << 20
        for name, entry in pack["queries"].items():
            assert not name.endswith(BAD_ENDINGS) and not name.startswith(BAD_BEGINNINGS)
            assert entry["query"].endswith(";")
            assert 1 <= entry["interval"] <= 604800
            assert entry["platform"] == pack["platform"]
    lines = FILES["packs/molehunt_detect_linux.conf"].decode().splitlines()
    assert not [one for one in lines if one.startswith(("#", "//")) or one.endswith("\\")]


def test_statements() -> None:
    """Each query runs on empty tables, and is one statement."""
    for pack in PACKS.values():
        for entry in pack["queries"].values():
            assert not EMULATOR.finds(entry["query"], {})


def test_discovery() -> None:
    """Event packs ask for the options that fill their tables."""
    pack = PACKS["packs/molehunt_detect_linux_process_events.conf"]
    assert len(pack["discovery"]) == 3
    assert "name = 'disable_audit' AND value = 'false'" in pack["discovery"][0]
    assert PACKS["packs/molehunt_detect_linux.conf"]["discovery"] == []


def test_daily() -> None:
    """States that a long correlation counts are logged again every day; events are not."""
    asked = {rule for one in RULES.correlations if one.timespan > 86400 for rule in one.rules}
    long = asked & {one.rule for one in ARTEFACTS}
    daily = {
        name: entry
        for pack in PACKS.values()
        for name, entry in pack["queries"].items()
        if name.endswith("_daily")
    }
    assert daily and all(one["snapshot"] and one["interval"] == 86400 for one in daily.values())
    told = " ".join(entry["description"] for entry in daily.values())
    assert all(rule in told for rule in long if not _evented_only(rule))
    for entry in daily.values():
        table = entry["query"].partition(" FROM ")[2].split()[0]
        assert not tables()[table].evented


def _evented_only(rule: str) -> bool:
    made = next(one for one in ARTEFACTS if one.rule == rule)
    return all(pack_sources()[one["queries"][0]].evented for one in made.query)


def test_budget() -> None:
    """The shipped rules stay within what docs/osquery_backend.md promises."""
    costs = json.loads(FILES["budget.json"])
    assert {one["system"] for one in costs} == {"linux", "darwin", "windows"}
    assert not [told for cost in costs for told in exceeded(cost)]
    assert exceeded(costs[0] | {"queries": 10_000})
    assert all(one["runs_a_day"] > 1000 for one in costs)


def test_rows_a_day() -> None:
    """`rows.json` holds what the benign recordings say now; `make rows` writes it anew
    when rules or recordings changed."""
    counted = count_benign()
    assert render_rows(counted) == render_rows(counted_rows())
    assert min(counted["host_days"].values()) > 10
    for system in counted["host_days"]:
        found = rows_a_day(BY_ID, system)
        assert 0 < found <= MOST_ROWS
        cost = next(one for one in json.loads(FILES["budget.json"]) if one["system"] == system)
        assert cost["rows_a_day"] == found
    assert rows_a_day(["a rule of somebody else"], "linux") == 0


def count_benign() -> dict[str, Any]:
    """The rows of the recordings on which nothing is wrong."""
    scenarios, _ = load_scenarios("tests/recordings")
    benign = [one for one in scenarios if one.at_most is not None]
    read = (read_corpus([one], RULES.rules, MANIFEST, taxonomy()) for one in benign)
    recordings = ((one.records, one.matched) for one in read)
    packing = Packing(MANIFEST, BY_ID, "0")
    return count_rows(recordings, ARTEFACTS, long_members(packing))


def test_fleet() -> None:
    """Fleet's YAML has the keys of its reference and the same queries as the packs."""
    listed = kit.parsed(FILES["fleet/molehunt_detect.yml"])
    in_packs = {name for pack in PACKS.values() for name in pack["queries"]}
    assert {one["name"].removeprefix("molehunt_detect_") for one in listed} == in_packs
    assert {one["logging"] for one in listed} <= {
        "snapshot", "differential", "differential_ignore_removals",
    }  # fmt: skip
    sql = {entry["query"] for pack in PACKS.values() for entry in pack["queries"].values()}
    assert {one["query"] for one in listed} == sql


def test_same_bytes() -> None:
    """The same rules make the same files."""
    again = TARGET.package(ARTEFACTS, Packing(MANIFEST, BY_ID, "0"))
    assert dict(again) == dict(FILES)


def test_rows_come_back() -> None:
    """Recorded rows put into tables come back from the pack's own query as they were logged."""
    scenarios, _ = load_scenarios("tests/recordings")
    # Some rows in "alternatives" are made to miss a rule, whatever the query would log.
    chosen = [one for one in scenarios if "alternatives" not in one.name][:12]
    corpus = read_corpus(chosen, RULES.rules, MANIFEST, taxonomy())
    ours = [one for one in corpus.records if one.binding.how == "pack"]
    lost = {f"{one.locator}" for one in ours if not EMULATOR.reproduces(one)}
    assert len(ours) > 300
    assert not lost


def test_tables() -> None:
    """The emulator's tables have osquery's collations."""
    import sqlite3

    database = sqlite3.connect(":memory:")
    create_tables(database, ["hash"])
    database.execute("INSERT INTO hash (path, sha256) VALUES ('/a', 'ABC')")
    assert database.execute("SELECT path FROM hash WHERE sha256 = 'abc'").fetchall()
    assert not database.execute("SELECT path FROM hash WHERE path = '/A'").fetchall()


def test_places() -> None:
    """A row of a join is put into both tables so that the join finds it again."""
    source = pack_sources()["gateways_linux"]
    row = {"destination": "0.0.0.0", "netmask": "0", "gateway": "192.0.2.1", "interface": "e",
           "mac": "00:00:5e:00:53:01"}  # fmt: skip
    placed = place_row(row, source)
    assert placed["arp_cache"][0]["address"] == "192.0.2.1"
    assert placed["routes"][0]["gateway"] == "192.0.2.1"


if __name__ == "__main__":
    place = Path(str(files("molehunt.backends.osquery").joinpath("rows.json")))
    place.write_text(render_rows(count_benign()), encoding="utf-8")
