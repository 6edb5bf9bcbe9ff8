"""Rules as SPL: the expression read again by a small interpreter, and the app's files."""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from typing import Any

import backend_random

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import read_corpus
from molehunt.backends.model import Artefact, Packing
from molehunt.backends.splunk.checker import faults
from molehunt.backends.splunk.target import PROFILE, SPLUNK
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text
from molehunt.taxonomy import taxonomy

RULES = backend_random.RULES
MANIFEST = load_yaml("pack.yml")
ARTEFACTS = [
    one
    for one in compile_all(SPLUNK, PROFILE, subjects(RULES, MANIFEST, taxonomy()))
    if isinstance(one, Artefact)
]
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Row(dict[str, str]):
    """Fields of an event as the search's `eval` makes them; what is not there is empty."""

    def __missing__(self, key: str) -> str:
        return ""


def finds(query: str, records: Sequence[Record]) -> set[int]:
    """The places of the records that a search's `where` keeps: SPL's few words read as Python's."""
    where = query.split(" | where ", 1)[1]
    texts: list[str] = []

    def masked(found: re.Match[str]) -> str:
        texts.append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
        return f"T({len(texts) - 1})"

    code = _STRING.sub(masked, where)
    code = re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", re.sub(r"\bNOT\b", "not", code)))
    code = re.sub(r"(?<![<>!])=", "==", code).replace("in(", "among(")
    code = re.sub(r"\b(c_\w+|d_\w+|molehunt_\w+)\b", r"row['\1']", code)
    compiled: dict[str, Any] = {}

    def match(text: str, pattern: str) -> bool:
        if pattern not in compiled:
            compiled[pattern] = re.compile(pattern)
        return compiled[pattern].search(text) is not None

    def tonumber(text: str) -> float | None:
        try:
            return float(text)
        except ValueError:
            return None

    known = {
        "T": texts.__getitem__,
        "match": match,
        "among": lambda value, *wanted: value in wanted,
        "len": len,
        "tonumber": tonumber,
        "coalesce": lambda *values: next((one for one in values if one is not None), None),
        "true": lambda: True,
        "false": lambda: False,
    }
    made = compile(code, "where", "eval")
    return {
        place
        for place, record in enumerate(records)
        if record.binding.how != "source" and eval(made, {**known, "row": _row(record)})
    }


def _row(record: Record) -> Row:
    row = Row({f"c_{name}": as_text(value) for name, value in record.values.items()})  # type: ignore[arg-type]
    row |= {f"d_{name}": text for name, text in record.decorations.items()}
    row |= {"molehunt_name": record.query, "molehunt_action": record.action}
    row |= {"molehunt_host": record.host, "molehunt_counter": as_text(record.counter)}
    return row


def test_recordings() -> None:
    """On some recordings each search keeps what its rule matches."""
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    chosen = [one for one in scenarios if "kvm-linux" in one.name or "relay" in one.name]
    corpus = read_corpus(chosen, RULES.rules, MANIFEST, taxonomy())
    asked = [one for one in ARTEFACTS if corpus.matched.get(one.rule)][:60]
    assert asked
    for one in asked:
        assert finds(one.query, corpus.records) == corpus.matched[one.rule], one.title


def test_random() -> None:
    """Random rules over random rows."""
    found = 0
    for seed in range(6):
        rules, corpus = backend_random.made(seed)
        for one in backend_random.compiled(SPLUNK, rules):
            assert not list(faults(one.body))
            if "one_byte" in one.differences or "pcre" in one.differences:
                continue
            kept = finds(one.query, corpus.records)
            assert kept == corpus.matched[one.rule], one.query
            found += len(kept)
    assert found


def test_package() -> None:
    """The app has its files; every stanza is one that savedsearches.conf documents."""
    packing = Packing(MANIFEST, {one.id: one for one in RULES.both}, "0.1.0.dev3")
    files = SPLUNK.package(ARTEFACTS, packing)
    assert files == SPLUNK.package(list(reversed(ARTEFACTS)), packing)
    assert b"version = 0.1.0\n" in files["molehunt/default/app.conf"]
    parser = configparser.RawConfigParser(delimiters=(" = ",), comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(files["molehunt/default/savedsearches.conf"].decode())
    assert len(parser.sections()) == len(ARTEFACTS)
    for name in parser.sections():
        assert not list(faults(dict(parser[name]))), name


def test_faults() -> None:
    """The checker sees what is wrong."""
    good = dict(ARTEFACTS[0].body)
    assert not list(faults(good))
    assert list(faults({**good, "cron": "x"}))
    assert list(faults({**good, "search": good["search"] + ' "open'}))
    assert list(faults({**good, "search": good["search"] + ' | where match(c_a, "(a")'}))
    assert list(faults({**good, "description": "ends with \\"}))
