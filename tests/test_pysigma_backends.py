"""Installed pySigma backends as targets: what SQLite finds with the queries of its backend."""

from __future__ import annotations

import backend_random
import kit

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import read_corpus
from molehunt.backends.model import Artefact, Refusal
from molehunt.backends.proving import disagreements, prove
from molehunt.backends.registry import target
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.taxonomy import taxonomy

SQLITE = target("pysigma:sqlite")
MANIFEST = load_yaml("pack.yml")


def test_recordings() -> None:
    """On some recordings SQLite finds what the rules match; `molehunt prove` does all."""
    rules = backend_random.RULES
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    corpus = read_corpus(
        [one for one in scenarios if "kvm-linux" in one.name], rules.rules, MANIFEST, taxonomy()
    )
    matched = {rule for rule, places in corpus.matched.items() if places}
    made = [one for one in subjects(rules, MANIFEST, taxonomy()) if one.rule.id in matched]
    compiled = compile_all(SQLITE, SQLITE.profile(), made)
    artefacts = [one for one in compiled if isinstance(one, Artefact)]
    assert artefacts
    verdicts = prove(SQLITE.engines[0], SQLITE.profile(), artefacts, corpus)
    assert not [str(one) for one in disagreements(verdicts, corpus)]
    assert sum(verdict.positives for verdict in verdicts) >= len(artefacts)


def test_disagreement_is_seen() -> None:
    """A number compared with a text column: SQLite's answer is another, and the proof says so."""
    from molehunt.backends.corpus import Corpus
    from molehunt.rule import RuleSet

    rule = kit.rule(
        "sel:\n    port|lt: 9\ncondition: sel", "{product: osquery, service: listening_ports}"
    )
    lines = [kit.line({"port": "10"}, "pack_molehunt_listening_ports_linux")]
    (made,) = subjects(RuleSet((rule,)), MANIFEST, taxonomy())
    (artefact,) = compile_all(SQLITE, SQLITE.profile(), [made])
    assert isinstance(artefact, Artefact)
    from molehunt.detectors.matching.plan import compile_plan
    from molehunt.detectors.tying import record_of

    plan = compile_plan([rule], taxonomy(), kit.binder(), scan="")
    rows = list(plan.rows([kit.block(*lines)], lambda _: None))
    records = tuple(record_of(row, plan.bound(row).binding, plan.bound(row).tie) for row in rows)
    corpus = Corpus(records, {rule.id: frozenset()})
    (verdict,) = prove(SQLITE.engines[0], SQLITE.profile(), [artefact], corpus)
    assert verdict.extra == (0,)


def test_reviewed_disagreements() -> None:
    """Rules on which the backend was seen to disagree are refused."""
    compiled = compile_all(
        SQLITE, SQLITE.profile(), subjects(backend_random.RULES, MANIFEST, taxonomy())
    )
    refused = {one.rule for one in compiled if isinstance(one, Refusal) and one.code == "disagrees"}
    assert refused
    assert all(one.code != "backend" for one in compiled if isinstance(one, Refusal))
