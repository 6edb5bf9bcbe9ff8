"""Installed pySigma backends as targets: what SQLite, and imitations of Databricks and ClickHouse,
find with the queries that the backends write."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import backend_random
import kit
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import Corpus, read_corpus
from molehunt.backends.model import Artefact, Compiled, Refusal
from molehunt.backends.proving import disagreements, prove
from molehunt.backends.pysigma import portable
from molehunt.backends.pysigma.emulator import NotKnown, clickhouse, spark
from molehunt.backends.registry import target
from molehunt.backends.searching.re2tree import Unsaid
from molehunt.backends.subjects import subjects
from molehunt.conditions import Regex, Text, Wild
from molehunt.data import load_yaml
from molehunt.detectors.matching.evaluate import glob
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.tying import record_of
from molehunt.detectors.values import fold
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

PROVEN = ("sqlite", "databricks", "clickhouse")
MANIFEST = load_yaml("pack.yml")
PORTS = "{product: osquery, service: listening_ports}"
PROCESSES = "{product: osquery, service: processes}"


def compiled(name: str, detections: Sequence[str], logsource: str = PROCESSES) -> list[Compiled]:
    """What a backend makes of rules with these detections."""
    rules = tuple(
        replace(kit.rule(one, logsource), id=str(UUID(int=number, version=4)))
        for number, one in enumerate(detections)
    )
    chosen = target(f"pysigma:{name}")
    return compile_all(chosen, chosen.profile(), subjects(RuleSet(rules), MANIFEST, taxonomy()))


def check(
    name: str, cases: Mapping[str, set[int]], query: str, rows: Sequence[dict[str, str]], log: str
) -> None:
    """The target's engine finds, for each detection, the rows with these numbers."""
    plan = compile_plan(
        [kit.rule("sel:\n    port: 1\ncondition: sel", PORTS)], taxonomy(), kit.binder(), scan=""
    )
    lines = [kit.line(row, query) for row in rows]
    read = list(plan.rows([kit.block(*lines)], lambda _: None))
    records = tuple(record_of(row, plan.bound(row).binding, plan.bound(row).tie) for row in read)
    chosen = target(f"pysigma:{name}")
    made = [one for one in compiled(name, list(cases), log) if isinstance(one, Artefact)]
    assert len(made) == len(cases)
    with chosen.engines[0].open(chosen.profile()) as session:
        session.load(records)
        answers = list(session.ask(made))
    for (detection, places), one, answer in zip(cases.items(), made, answers, strict=True):
        assert not answer.error, answer.error
        assert answer.found == places, (detection, one.query)


@pytest.fixture(scope="module")
def some_recordings() -> Corpus:
    """The rows of a few recordings with what the rules match."""
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    chosen = [one for one in scenarios if "kvm-linux" in one.name]
    return read_corpus(chosen, backend_random.RULES.rules, MANIFEST, taxonomy())


@pytest.mark.parametrize("name", PROVEN)
def test_recordings(name: str, some_recordings: Corpus) -> None:
    """On some recordings the engine finds what the rules match; `molehunt prove` does all."""
    corpus, chosen = some_recordings, target(f"pysigma:{name}")
    matched = {rule for rule, places in corpus.matched.items() if places}
    every = subjects(backend_random.RULES, MANIFEST, taxonomy())
    made = compile_all(chosen, chosen.profile(), [one for one in every if one.rule.id in matched])
    artefacts = [one for one in made if isinstance(one, Artefact)]
    assert artefacts
    verdicts = prove(chosen.engines[0], chosen.profile(), artefacts, corpus)
    assert not [str(one) for one in disagreements(verdicts, corpus)]
    assert sum(verdict.positives for verdict in verdicts) >= len(artefacts)


@pytest.mark.parametrize("name", PROVEN)
@pytest.mark.parametrize("start", range(0, 12, 4))
def test_random(name: str, start: int) -> None:
    """Random rules over random rows: each record is found by the query as by the evaluator."""
    rightly = 0
    for seed in range(start, start + 4):
        told, positives = backend_random.wrong(target(f"pysigma:{name}"), 0, seed)
        assert not told, "\n".join(told)
        rightly += positives
    assert rightly


@pytest.mark.parametrize("name", PROVEN)
def test_numbers(name: str) -> None:
    """Numbers in columns of texts are compared as numbers, and what is none is not."""
    rows = [{"port": text} for text in ("10", "9", "8.5", "08", "-1", "x", "", "0x1")]
    cases = {
        "sel:\n    port|lt: 9\ncondition: sel": {2, 3, 4},
        "sel:\n    port: 8\ncondition: sel": {3},
        "sel:\n    port|gte: 9\ncondition: not sel": {2, 3, 4, 5, 6, 7},
    }
    check(name, cases, "pack_molehunt_listening_ports_linux", rows, PORTS)


@pytest.mark.parametrize("name", PROVEN)
def test_texts(name: str) -> None:
    """Wildcards and escapes of SQL in a rule's text are that text, and letter case is none."""
    rows = [
        {"name": text}
        for text in ("A_b", "a%B", "axb", r"a\_b", r"C:\new", "c:\new", "it's", "a\nb", "", "é")
    ]
    cases = {}
    for wanted, places in (
        ("'a_B'", {0}),
        ("'A%b'", {1}),
        (r"'a\\_b'", {3}),
        (r"'c:\\NEW'", {4}),
        ('"IT\'s"', {6}),
        ("'a?b'", {0, 1, 2, 7}),
        ("'*_*'", {0, 3}),
        ("'*'", {0, 1, 2, 3, 4, 5, 6, 7, 9}),
        ("'?'", {9}),
        ("'É'", {9}),
        ("''", {8}),
        ("null", {8}),
        ("['a_b', 'A%B']", {0, 1}),
    ):
        cases[f"sel:\n    name: {wanted}\ncondition: sel"] = places
        cases[f"sel:\n    name: {wanted}\ncondition: not sel"] = set(range(len(rows))) - places
    check(name, cases, "pack_molehunt_processes_linux", rows, PROCESSES)


@pytest.mark.parametrize("name", PROVEN)
def test_expressions(name: str) -> None:
    """Expressions mean what RE2 means, whatever the store's mean by a dot or an end."""
    rows = [{"name": text} for text in ("ab", "ab\n", "a\nb", "AB", "", "it's ab")]
    cases = {
        f"sel:\n    name|re: {wanted}\ncondition: sel": places
        for wanted, places in (
            ("'ab$'", {0, 5}),
            ("'^a.b'", set[int]()),
            ("'a[^x]b'", {2}),
            ("'(?i)^ab$'", {0, 3}),
            ("'(?s)^a.b$'", {2}),
            ("'.*'", {0, 1, 2, 3, 5}),
            (r"'\sab'", {5}),
            ('"t\'s"', {5}),
        )
    }
    check(name, cases, "pack_molehunt_processes_linux", rows, PROCESSES)


@pytest.mark.parametrize("name", [*PROVEN, "victorialogs"])
def test_refusals(name: str) -> None:
    """What a backend says otherwise is refused, not approximated."""
    cases = {
        "sel:\n    name|fieldref: path\ncondition: sel": "reference",
        "keywords: [evil]\ncondition: keywords": "keyword",
        "sel:\n    name|re: '\\012'\ncondition: sel": "regex",
    }
    for one, code in zip(compiled(name, list(cases)), cases.values(), strict=True):
        assert isinstance(one, Refusal) and one.code == code


def test_multiline() -> None:
    """Java takes other characters for the end of a line."""
    lines = ["sel:\n    name|re: '(?m)^ab$'\ncondition: sel"]
    (one,) = compiled("databricks", lines)
    assert isinstance(one, Refusal) and one.code == "regex"
    (one,) = compiled("clickhouse", lines)
    assert isinstance(one, Artefact)


@pytest.mark.parametrize("name", [*PROVEN, "victorialogs"])
def test_shipped(name: str) -> None:
    """Every shipped rule is compiled or refused for a reason that is not the backend's trouble."""
    chosen = target(f"pysigma:{name}")
    some = subjects(backend_random.RULES, MANIFEST, taxonomy())[::7]
    made = compile_all(chosen, chosen.profile(), some)
    codes = {one.code for one in made if isinstance(one, Refusal)}
    assert codes <= {"connector", "correlation", "hunt_only", "no_input", "normaliser"}
    assert sum(isinstance(one, Artefact) for one in made) > len(made) * 0.8


def test_not_imitated() -> None:
    """What an imitation does not know is an error, never an answer."""
    for read, queries in (
        (
            spark,
            (
                "SELECT * FROM logs WHERE a rlike 'x$'",
                "SELECT * FROM logs WHERE a rlike 'x.'",
                "SELECT * FROM logs WHERE a rlike '[a&&b]'",
                "SELECT * FROM logs WHERE a rlike '(?i)x'",
                "SELECT * FROM logs WHERE a LIKE 'x'",
                "SELECT * FROM logs WHERE a = 1",
                "SELECT * FROM logs WHERE a IS NULL",
                "SELECT b FROM logs WHERE a = 'x'",
                "SELECT * FROM others WHERE a = 'x'",
                "SELECT * FROM logs WHERE a = 'x' LIMIT 1",
            ),
        ),
        (
            clickhouse,
            (
                "SELECT * FROM logs WHERE a LIKE 'x'",
                "SELECT * FROM logs WHERE a ILIKE 'x\\\\'",
                "SELECT * FROM logs WHERE a ILIKE b",
                "SELECT * FROM logs WHERE isNull(a)",
                "SELECT * FROM logs WHERE lower(a) = 'x'",
            ),
        ),
    ):
        for query in queries:
            with pytest.raises(NotKnown):
                read(query)


def test_escapes_of_clickhouse() -> None:
    r"""`'a\_b'` has four characters there (seen on ClickHouse), LIKE has its own escapes."""
    assert clickhouse(r"SELECT * FROM logs WHERE a = 'x\_y'")[0] == r"""("a" = 'x\_y')"""
    where, columns = clickhouse(r"SELECT * FROM logs WHERE a ILIKE 'x\\_y%' AND b = 'it''s'")
    assert r"(?is)^x_y.*$" in where and "it''s" in where and columns == {"a", "b"}


_PARTS = st.lists(
    st.sampled_from([Wild.ANY, Wild.ONE, "a", "K", "é", ".", "$", "\\", "\n", "-", "]", "'"]),
    max_size=5,
)
_LOGGED = st.text("aAkKéÉ.$\\\n-]'x", max_size=6)


def _read_by_python(pattern: str, text: str) -> bool:
    # Python's `$` is also before a last line break.
    end = re.sub(
        r"\\.|\$", lambda one: r"\Z" if one[0] == "$" else one[0], pattern, flags=re.DOTALL
    )
    return re.search(end, text) is not None


@given(_PARTS, _LOGGED, st.booleans())
def test_portable_texts(parts: list[str | Wild], logged: str, cased: bool) -> None:
    """A text as an expression means what the evaluator means, in RE2 and in Python."""
    if not parts or not logged:
        return
    pattern = portable.text(Text(tuple(parts), cased))
    folded = parts if cased else [one if isinstance(one, Wild) else fold(one) for one in parts]
    expected = glob(folded, logged if cased else fold(logged))
    assert (re2.search(pattern, logged) is not None) == expected
    assert _read_by_python(pattern, logged) == expected


_ATOMS = st.sampled_from(
    ["a", "K", ".", r"\s", r"\W", "[a-k]", "[^a]", r"\.", r"\$", "^", "$", r"\b", "é", "[$-]"]
)
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.sampled_from(["", "i", "s", "is", "m"]), _LOGGED)
def test_portable_expressions(pattern: str, flags: str, logged: str) -> None:
    """An expression written anew finds what RE2 finds with the old one."""
    try:
        said, _ = portable.regex(Regex(pattern, flags))
    except Unsaid:
        return
    before = (f"(?{flags})" if flags else "") + pattern
    assert (re2.search(said, logged) is None) == (re2.search(before, logged) is None), said


def test_sqlite_is_here() -> None:
    """The engine behind pysigma:sqlite is the one of Python."""
    assert sqlite3.sqlite_version_info >= (3, 30)
