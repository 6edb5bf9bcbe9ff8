"""What all targets share: subjects, evidence, reviewed refusals, the lock, the manifest."""

from __future__ import annotations

import json

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.compiling import NO_INPUT, NO_QUERY, at_least, compile_all
from molehunt.backends.corpus import read_corpus
from molehunt.backends.manifest import make_manifest, render
from molehunt.backends.model import (
    Answer,
    Artefact,
    Engine,
    Evidence,
    Profile,
    Refusal,
    Subject,
    Target,
)
from molehunt.backends.proving import best, disagreements, judge, weakened
from molehunt.backends.registry import targets
from molehunt.backends.reviewed import Reviewed, load_reviewed, stale, unreviewed
from molehunt.backends.subjects import subjects
from molehunt.backends.support import Support, by_type, digest, evidence_of, locked, parse, table
from molehunt.backends.support import render as render_lock
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.taxonomy import taxonomy

RULES = kit.shipped()
MANIFEST = load_yaml("pack.yml")
PLAIN = Profile("plain", "logs", "{}", "name", ("pack_molehunt_{}",), "action", "host")


def artefact(rule: str = "r1", query: object = "a", differences: tuple[str, ...] = ()) -> Artefact:
    """An artefact of a made-up target."""
    return Artefact(rule, f"Title of {rule}", "one", "plain", "text", query, {}, differences)


def refusal(rule: str = "r1", code: str = "regex") -> Refusal:
    """A refusal of the same target."""
    return Refusal(rule, f"Title of {rule}", "one", "plain", code, "why")


ENGINE = Engine("real", Evidence.ENGINE, lambda: "", lambda _: None)  # type: ignore[arg-type,return-value]


def test_fed() -> None:
    """Every shipped rule is fed by a query of the pack, or is of a log of its own; but for those of
    logs that only a hunt reads."""
    unfed = {
        (one.rule.product, one.rule.service)  # type: ignore[union-attr]
        for one in subjects(RULES, MANIFEST, taxonomy())
        if not one.members and not one.bounds
    }
    assert unfed == {("azure", "auditlogs")}


def test_members() -> None:
    """Members of a correlation stand in its order."""
    made = subjects(RULES, MANIFEST, taxonomy())
    together = [one for one in made if one.members]
    assert len(together) == len(RULES.correlations)
    for one in together:
        assert tuple(member.rule.id for member in one.members) == one.rule.rules  # type: ignore[union-attr]


def test_system() -> None:
    """A rule for one system is bound to queries of that system."""
    for one in subjects(RULES, MANIFEST, taxonomy()):
        for bound in one.bounds:
            for query in bound.queries:
                system = query.rpartition("_")[2]
                if system in ("linux", "darwin", "windows") and one.rule.meta.platforms:
                    assert system in one.rule.meta.platforms, (one.rule.title, query)


def test_corpus() -> None:
    """The corpus has what the manifests say must fire."""
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    chosen = [one for one in scenarios if not one.config and not one.mmdb and not one.entities][:6]
    corpus = read_corpus(chosen, RULES.rules, MANIFEST, taxonomy())
    places = {
        (record.locator.file, record.locator.line, record.locator.row): place
        for place, record in enumerate(corpus.records)
    }
    ours = {"pack", "source"}
    said = 0
    for scenario in chosen:
        for expectation in scenario.fires:
            if expectation.group is not None:
                continue
            for spot in expectation.spots:
                place = places[scenario.path(spot.log), spot.line, spot.row]
                if corpus.records[place].binding.how in ours:
                    assert place in corpus.matched[expectation.rule]
                    said += 1
    assert said > 20


def test_general_refusals() -> None:
    """What no query feeds, or what needs an input, is refused before the target sees it."""
    seen: list[str] = []

    def compile_one(subject: Subject, profile: Profile) -> Artefact:
        seen.append(subject.rule.id)
        return artefact(subject.rule.id)

    target = Target("one", "One", (PLAIN,), compile_one, lambda _artefacts, _packing: {})
    made = subjects(RULES, MANIFEST, taxonomy())
    unfed = Subject(made[0].rule)
    compiled = compile_all(target, PLAIN, [*made[1:], unfed])
    codes = {one.rule: one.code for one in compiled if isinstance(one, Refusal)}
    asking = {rule.id for rule in RULES.rules if rule.meta.inputs}
    assert asking and asking <= {rule for rule, code in codes.items() if code == NO_INPUT}
    assert codes[made[0].rule.id] == NO_QUERY
    assert not set(codes) & set(seen)


@pytest.mark.parametrize(
    ("found", "expected", "evidence", "missed", "extra"),
    [
        ({1, 2}, {1, 2}, Evidence.ENGINE, (), ()),
        (set(), set(), Evidence.PARSER, (), ()),
        ({1}, {1, 2}, Evidence.NONE, (2,), ()),
        ({1, 2, 3}, {1}, Evidence.NONE, (), (2, 3)),
    ],
)
def test_agreement(
    found: set[int], expected: set[int], evidence: Evidence, missed: object, extra: object
) -> None:
    """Agreement is worth what the engine is only where something was to be found."""
    answer = Answer("r1", frozenset(found))
    verdict = judge(artefact(), ENGINE, answer, {"r1": frozenset(expected)})
    assert (verdict.evidence, verdict.missed, verdict.extra) == (evidence, missed, extra)


def test_parsed() -> None:
    """An error and a mere parse are told apart."""
    wrong = judge(artefact(), ENGINE, Answer("r1", error="no such field"), {"r1": frozenset({1})})
    assert wrong.disagrees and wrong.evidence is Evidence.NONE
    parsed = judge(artefact(), ENGINE, Answer("r1", accepted=True), {"r1": frozenset({1})})
    assert not parsed.disagrees and parsed.evidence is Evidence.PARSER


def test_spoilt() -> None:
    """One disagreement on any engine leaves no evidence."""
    good = judge(artefact(), ENGINE, Answer("r1", frozenset({1})), {"r1": frozenset({1})})
    bad = judge(artefact(), ENGINE, Answer("r1", frozenset()), {"r1": frozenset({1})})
    for order in ([good, bad], [bad, good]):
        (line,) = best(order).values()
        assert line.evidence is Evidence.NONE


def test_disagreement() -> None:
    """A disagreement is told with its record."""
    scenarios, _ = load_scenarios("tests/recordings")
    corpus = read_corpus(scenarios[:3], RULES.rules, MANIFEST, taxonomy())
    rule = next(rule for rule, places in corpus.matched.items() if places)
    verdict = judge(artefact(rule), ENGINE, Answer(rule, frozenset()), corpus.matched)
    problem = next(iter(disagreements([verdict], corpus)))
    assert problem.rule == rule and problem.line and "does not find a record" in problem.what


_ids = st.text("abcdef0123456789-", min_size=1, max_size=36)
_lines = st.builds(
    Support, _ids, _ids, _ids, st.sampled_from(list(Evidence)), st.just("0" * 16), _ids
) | st.builds(Support, _ids, _ids, _ids, st.none(), st.just(""), _ids)


@given(st.lists(_lines, unique_by=lambda line: line[:3]))
def test_lock(lines: list[Support]) -> None:
    """The lock comes back as it was written, in whatever order."""
    text = render_lock(lines)
    assert parse(text) == {line[:3]: line for line in lines}
    assert render_lock(reversed(lines)) == text


def test_broken_lock() -> None:
    """A broken line of the lock is named."""
    with pytest.raises(ValueError, match=r"support\.lock:2"):
        parse("# head\none plain r1 perhaps 00 x\n")


def test_evidence() -> None:
    """Evidence belongs to one artefact and no other."""
    one = artefact()
    line = Support("one", "plain", "r1", Evidence.ENGINE, digest(one), "real")
    known = {line[:3]: line}
    assert evidence_of(one, known) is Evidence.ENGINE
    assert evidence_of(artefact(query="b"), known) is Evidence.NONE
    assert at_least([one, artefact("r2"), refusal("r3")], Evidence.PARSER, known) == [
        one,
        refusal("r3"),
    ]


def test_weakened() -> None:
    """A changed line of the lock is told with what it was."""
    old = Support("one", "plain", "r1", Evidence.ENGINE, "0" * 16, "real")
    new = old._replace(evidence=Evidence.NONE)
    (problem,) = weakened({new[:3]: new}, {old[:3]: old})
    assert str(old) in problem.what and str(new) in problem.what
    assert not list(weakened({old[:3]: old}, {old[:3]: old}))


def test_unreviewed() -> None:
    """Only reviewed refusals and differences pass."""
    compiled = [refusal("r1"), refusal("r2"), artefact("r3", differences=("cut",))]
    some = [Reviewed("one", "refusals", "regex", "why", frozenset({"r1"}))]
    told = [problem.what for problem in unreviewed(compiled, some)]
    assert len(told) == 2 and "'cut'" in told[0] and "r2" in told[1]
    every = [
        Reviewed("one", "refusals", "regex", "why", frozenset()),
        Reviewed("one", "differences", "cut", "why", frozenset({"r3"})),
    ]
    assert not list(unreviewed(compiled, every))
    assert not list(stale(compiled, every))


def test_stale() -> None:
    """Reviews that nothing needs are told."""
    entries = [
        Reviewed("one", "refusals", "gone", "why", frozenset()),
        Reviewed("one", "refusals", "regex", "why", frozenset({"r1", "r9"})),
        Reviewed("other", "refusals", "gone", "why", frozenset()),
    ]
    told = [problem.what for problem in stale([refusal("r1")], entries)]
    assert len(told) == 2 and "'gone'" in told[0] and "r9" in told[1]


def test_reviews() -> None:
    """The shipped reviews name known targets and give reasons."""
    entries, problems = load_reviewed()
    assert not problems
    assert {entry.target for entry in entries} <= {one.name for one in targets()}


def test_table() -> None:
    """The support table counts rules and correlations apart."""
    lines = [
        Support("one", "plain", "r1", Evidence.ENGINE, "0", "real"),
        Support("one", "plain", "r2", None, "", "regex"),
        Support("one", "plain", "c1", Evidence.SCHEMA, "0", "real"),
    ]
    text = table(lines, frozenset({"c1"}))
    assert "| one | plain | 2 rules | 1 |" in text and "50.0% engine" in text
    assert "| one | plain | 1 correlations |" in text


def test_table_of_correlations_by_type() -> None:
    """Each type with what is known of how many, and refusals; rules are not in it."""
    lines = [
        Support("one", "plain", "r1", Evidence.ENGINE, "0", "real"),
        Support("one", "plain", "c1", Evidence.ENGINE, "0", "real"),
        Support("one", "plain", "c2", Evidence.SCHEMA, "0", "real"),
        Support("one", "plain", "c3", None, "", "states"),
        Support("two", "plain", "c3", None, "", "states"),
        Support("two", "plain", "c4", Evidence.EMULATOR, "0", "imitation"),
    ]
    counts = dict.fromkeys(("c1", "c2", "c3"), "value_count")
    assert by_type(lines, counts | {"c4": "temporal"}).splitlines()[2:] == [
        "| one | plain | - | 1 engine, 1 schema, 1 refused |",
        "| two | plain | 1 emulator | 1 refused |",
    ]


def test_manifest() -> None:
    """The manifest is the same every time, and says what is in it."""
    compiled = [artefact("r2"), artefact("r1"), refusal("r3")]
    line = Support("one", "plain", "r1", Evidence.ENGINE, digest(artefact("r1")), "real")
    known = {line[:3]: line}
    made = make_manifest(compiled, {"b": b"2", "a": b"1"}, {"r1": 4}, known, "1.0")
    again = make_manifest(compiled[::-1], {"a": b"1", "b": b"2"}, {"r1": 4}, known, "1.0")
    assert render(made) == render(again)
    first = json.loads(render(made))["rules"][0]
    assert (first["rule"], first["version"], first["evidence"]) == ("r1", 4, "engine")
    assert made["refused"][0]["code"] == "regex"


def test_locked() -> None:
    """The lock names only targets, rules and profiles that are there."""
    ids = {one.id for one in RULES.both}
    profiles = {(one.name, profile.name) for one in targets() for profile in one.profiles}
    for target, profile, rule in locked():
        assert (target, profile) in profiles and rule in ids
