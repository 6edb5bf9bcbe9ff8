"""Rules as KQL: run by duckdb-kql, read by Microsoft's parser, and in the files of Sentinel."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import backend_random
import kit
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import read_corpus
from molehunt.backends.kusto.kqlnet import network
from molehunt.backends.kusto.kqltext import literal, pattern
from molehunt.backends.model import Artefact, Packing
from molehunt.backends.proving import disagreements, prove
from molehunt.backends.sentinel.emulator import DUCKDB
from molehunt.backends.sentinel.target import PROFILE, SENTINEL
from molehunt.backends.subjects import subjects
from molehunt.conditions import Wild
from molehunt.data import load_yaml
from molehunt.detectors.matching.evaluate import glob
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.values import fold
from molehunt.normalise import parse_ip
from molehunt.taxonomy import taxonomy

RULES = backend_random.RULES
MANIFEST = load_yaml("pack.yml")
ARTEFACTS = [
    one
    for one in compile_all(SENTINEL, PROFILE, subjects(RULES, MANIFEST, taxonomy()))
    if isinstance(one, Artefact)
]


def test_recordings() -> None:
    """On one scenario the queries find what the rules match; `molehunt prove` does all."""
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    chosen = [one for one in scenarios if "okta" not in one.name and "kvm-linux" in one.name]
    corpus = read_corpus(chosen, RULES.rules, MANIFEST, taxonomy())
    some = [one for one in ARTEFACTS if corpus.matched.get(one.rule)][:40]
    assert some
    assert not [str(one) for one in disagreements(prove(DUCKDB, PROFILE, some, corpus), corpus)]


def test_random() -> None:
    """Random rules over random rows: the query finds just what the evaluator does."""
    found = 0
    for seed in range(4):
        told, right = backend_random.wrong(SENTINEL, 1, seed)
        assert not told, "\n".join(told)
        found += right
    assert found


PARTS = st.lists(
    st.one_of(st.sampled_from(list(Wild)), st.text("aKkſs\u212aßΣσς.*\\\n\x01é", min_size=1)),
    min_size=1, max_size=5,
)  # fmt: skip


@given(PARTS, st.text("aKkſs\u212aßΣσς.*\\\n\x01éAS", max_size=12), st.booleans())
def test_pattern(parts: list[str | Wild], text: str, cased: bool) -> None:
    """The regular expression of a text with wildcards means what the evaluator means."""
    found = re2.search(pattern(parts, cased), text) is not None
    if cased:
        assert found == glob(parts, text)
    else:
        folded = [fold(part) if isinstance(part, str) else part for part in parts]
        assert found == glob(folded, fold(text))


NETWORKS = (
    "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 175.45.176.0/22 198.18.0.0/15 224.0.0.0/4".split()
)


@given(st.sampled_from(NETWORKS), st.integers(0, 2**32 - 1), st.integers(0, 2**10), st.booleans())
def test_networks(net: str, anywhere: int, offset: int, near: bool) -> None:
    """An address is in the network if it is found, dotted and IPv4-mapped, long or short."""
    base = int(ip_network(net)[0]) + offset - 512
    address = ip_address((base if near else anywhere) % 2**32)
    expression = network(net)
    assert expression
    wanted = address in ip_network(net)
    high, low = divmod(int(address), 65536)
    for text in (
        str(address),
        f"::ffff:{address}",
        f"::FFFF:{high:x}:{low:x}",
        f"0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}",
    ):
        assert (re2.search(expression, text) is not None) is wanted, text


@given(
    st.sampled_from(["fc00::/7", "fe80::/10", "ff00::/8", "::1/128"]),
    st.integers(0, 2**128 - 1),
    st.sampled_from([0xFC00, 0xFDFF, 0xFE80, 0xFEBF, 0xFEC0, 0xFF00, 0, 0x2001]),
    st.booleans(),
)
def test_networks_of_six(net: str, number: int, head: int, one: bool) -> None:
    """The same for IPv6, compressed and not."""
    address = ip_address(1 if one else head << 112 | number % 2**112)
    wanted = parse_ip(str(address)) in ip_network(net)
    expression = network(net)
    assert expression
    for text in (str(address), address.exploded, str(address).upper()):
        assert (re2.search(expression, text) is not None) is wanted, text


@pytest.mark.parametrize(
    "text", ["192.0.2.1/24", "10.1", "010.0.0.1", "", "x10.0.0.1", "10.0.0.1\n"]
)
def test_no_addresses(text: str) -> None:
    """What is no address is in no network."""
    assert re2.search(network("10.0.0.0/8") or "", text) is None


def test_literals() -> None:
    """Backslashes stand as they are; quotes and control characters are escaped."""
    assert literal("C:\\a") == '@"C:\\a"'
    assert literal('C:\\"') == '@"C:\\"""'
    assert literal('a"b\n') == '"a\\"b\\u000a"'


def test_package() -> None:
    """Each rule is a file of the form that Sentinel's repositories import; the same every time."""
    both = {one.id: one for one in RULES.both}
    packing = Packing(MANIFEST, both, "1.2.3")
    files = SENTINEL.package(ARTEFACTS, packing)
    assert files == SENTINEL.package(list(reversed(ARTEFACTS)), packing)
    rules = [kit.parsed(data) for name, data in files.items() if name.endswith(".yaml")]
    assert len(rules) == len(ARTEFACTS)
    for one in rules:
        assert one["kind"] == "Scheduled"
        assert one["severity"] in ("High", "Medium", "Low", "Informational")
        assert len(one["query"]) <= 10_000
        assert one["version"] == "1.2.3"
        assert both[one["id"]].title == one["name"]
        if one["tactics"]:
            assert all(word.isalpha() for word in one["tactics"])
    columns = json.loads(files["Osquery_CL/table.json"])["properties"]["schema"]["columns"]
    transform = files["Osquery_CL/transform.kql"].decode()
    assert all(f"{column['name']} = " in transform for column in columns)
