"""Compiled queries stored on a real OpenSearch: a percolated row finds the rules that it matches.

They are put there by what `molehunt deploy -t opensearch` is made of. Where a server cannot be had
the tests are skipped, which in CI fails. Not on Elasticsearch: the distribution that the proof
fetches has no percolator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import backend_random
import pytest
from contract_opensearch import said_back

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import Corpus, read_corpus
from molehunt.backends.deploying.http import Server
from molehunt.backends.deploying.opensearch import OpenSearchThings, wanted_things
from molehunt.backends.deploying.plan import Verb, carry_out, make_plan
from molehunt.backends.model import Artefact
from molehunt.backends.opensearch.layouts import LAYOUT, templates
from molehunt.backends.opensearch.stored import INDEX, SETTINGS, index_body, stored_query
from molehunt.backends.registry import target
from molehunt.backends.searching.sharing import alone
from molehunt.backends.subjects import subjects
from molehunt.cli import main
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.exits import Exit
from molehunt.taxonomy import taxonomy

RECORDED = ("kvm-linux", "alternatives-remote-desktop", "okta-sign-in", "alternatives-sign-in")
OTHERS = 40
TEST_INDEX = "molehunt-queries-test"


class Running(NamedTuple):
    """A server with the records and queries."""

    session: Any
    layout: Any
    artefacts: Mapping[str, Artefact]
    subjects: Any
    corpus: Corpus
    places: tuple[int, ...]


@pytest.fixture(scope="module")
def opensearch() -> Iterator[Running]:
    """OpenSearch with rows, empty of rules."""
    rules, manifest = backend_random.RULES, load_yaml("pack.yml")
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    chosen = [one for one in scenarios if one.name.startswith(RECORDED)]
    corpus = read_corpus(chosen, rules.rules, manifest, taxonomy())
    there = target("opensearch")
    profile = there.profile()
    (engine,) = there.engines
    why = engine.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {engine.name}: it needs {why}")
    made = subjects(rules, manifest, taxonomy())
    compiled = [one for one in compile_all(there, profile, made) if isinstance(one, Artefact)]
    matching = [one for one in compiled if corpus.matched[one.rule]]
    others = [one for one in compiled if not corpus.matched[one.rule]][:OTHERS]
    assert len(matching) >= 20
    places = tuple(n for n, one in enumerate(corpus.records) if LAYOUT.kept(one) is not None)
    # Templates, stored queries and the log are the server's, whatever the index.
    with engine.open(profile) as session, alone("opensearch"):
        session.load(corpus.records)
        artefacts = {one.rule: one for one in (*matching, *others)}
        known = tuple(one for one in made if one.rule.id in artefacts)
        yield Running(session, session.layout, artefacts, known, corpus, places)


def _percolated(server: Running, index: str) -> dict[str, set[int]]:
    """For each stored query the places of the records that find it."""
    found: dict[str, set[int]] = {rule: set() for rule in server.artefacts}
    for start in range(0, len(server.places), 200):
        part = server.places[start : start + 200]
        documents = [server.layout.kept(server.corpus.records[place]) for place in part]
        body = {
            "size": 10_000,
            "_source": False,
            "query": {"percolate": {"field": "query", "documents": documents}},
        }
        for hit in server.session.send("GET", f"/{index}/_search", (body,))["hits"]["hits"]:
            slots = hit["fields"]["_percolator_document_slot"]
            found[hit["_id"]] |= {part[slot] for slot in slots}
    return found


def _expected(server: Running) -> dict[str, set[int]]:
    return {rule: set(server.corpus.matched[rule]) for rule in server.artefacts}


def test_opensearch(opensearch: Running) -> None:
    """Deployed queries are found by the rows that their rules match, and find them as searches.

    The second time there is nothing to do; afterwards all of it is gone.
    """
    rules = {rule.id: rule for rule in backend_random.RULES.rules}
    queries = {key: stored_query(one, rules[key]) for key, one in opensearch.artefacts.items()}
    wanted = {
        **{f"template/{name}": body for name, body in templates().items()},
        **wanted_things({}, queries, INDEX, index_body(opensearch.subjects)),
    }
    store = OpenSearchThings(Server(opensearch.session.send._address), rules, INDEX, SETTINGS)
    carry_out(store, make_plan(wanted, store.present(), store.kept, prune=True), lambda _: None)
    try:
        plan = make_plan(wanted, store.present(), store.kept, prune=True)
        assert (plan.steps, plan.same) == ((), len(wanted))
        assert _percolated(opensearch, INDEX) == _expected(opensearch)
        body = {"size": 10_000}
        hits = opensearch.session.send("GET", f"/{INDEX}/_search", (body,))["hits"]["hits"]
        stored = [
            Artefact(hit["_id"], "", "", "", "", hit["_source"]["query"], None) for hit in hits
        ]
        answers = {one.rule: set(one.found or ()) for one in opensearch.session.ask(stored)}
        assert answers == _expected(opensearch)
    finally:
        plan = make_plan({}, store.present(), store.kept, prune=True)
        carry_out(store, plan, lambda _: None)
    assert {step.verb for step in plan.steps} == {Verb.REMOVE}
    assert not [item for item in store.present() if item.owned]


def test_command(opensearch: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """As a user does it; with the alerting plugin there, monitors are what is deployed."""
    url = opensearch.session.send._address
    rules = ["--rules", "rules/kvm_over_ip/osquery_usb_devices_kvm.yml"]
    arguments = ["deploy", "-t", "opensearch", "--url", url, *rules, "--apply"]
    try:
        assert main(arguments) == Exit.DONE
        assert "0 as they should be" in capsys.readouterr().out
        assert main(arguments) == Exit.DONE
        assert "0 of 0 done" in capsys.readouterr().out
    finally:
        assert main([*arguments, "--remove"]) == Exit.DONE


def test_a_query_comes_back_so(opensearch: Running) -> None:
    """The server's own spelling of queries, from its log of searches, is the contract's.

    A server that runs elsewhere keeps its log to itself: then only `said_back` is known.
    """
    send = opensearch.session.send
    (node,) = send("GET", "/_nodes/_local/settings", ())["nodes"].values()
    home = Path(node["settings"]["path"]["home"])
    logs = list(home.glob("logs/*_index_search_slowlog.log"))
    if not logs:
        return
    level = {"index.search.slowlog.threshold.query.trace": "0ms"}
    body = index_body(opensearch.subjects) | {"settings": level}
    send("PUT", f"/{TEST_INDEX}", (body,))
    send("PUT", f"/{TEST_INDEX}/_doc/1?refresh=true", ({"rule": "x"},))
    before = logs[0].stat().st_size
    queries = [one.query for one in opensearch.artefacts.values()]
    for query in queries:
        send("GET", f"/{TEST_INDEX}/_search", ({"size": 1, "query": query},))
    send("DELETE", f"/{TEST_INDEX}", ())
    told = logs[0].read_bytes()[before:].decode()
    seen = []
    for line in told.splitlines():
        _, begin, rest = line.partition("source[")
        if begin:
            source, _ = json.JSONDecoder().raw_decode(rest)
            seen.append(source["query"])
    assert len(seen) == len(queries)
    assert seen == [said_back(query) for query in queries]
