"""The remembering evaluator says of each record what walking the rule anew says."""

from __future__ import annotations

from dataclasses import replace

import kit
import pytest
import search_random
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.matching.evaluate import View, belongs, evaluate
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.proof import evaluator
from molehunt.detectors.proof.evaluator import Evaluator
from molehunt.detectors.tying import record_of
from molehunt.rule import Rule
from molehunt.taxonomy import taxonomy

QUERY = "pack_molehunt_processes_linux"


def verdicts(rules: list[Rule], lines: list[bytes], remembering: Evaluator) -> tuple[int, int]:
    """How many pairs of a rule and a row there are, and how many of them hold."""
    plan = compile_plan(rules, taxonomy(), kit.binder(), scan="")
    pairs = held = 0
    for row in plan.rows([kit.block(*lines)], lambda _problem: None):
        bound = plan.bound(row)
        for rule, fields, _ in plan.asking(bound):
            view = View(record_of(row, bound.binding, bound.tie), fields)
            anew = belongs(view) and any(evaluate(one, view).holds for one in rule.conditions)
            assert remembering.holds(rule, view) == anew, (rule.raw, row.values)
            pairs, held = pairs + 1, held + anew
    return pairs, held


@pytest.mark.parametrize("seed", range(3))
def test_random_rules_on_random_rows(seed: int) -> None:
    """Also on rows that come again, of other queries, and read by another plan."""
    made = search_random.judged(seed, rules=40, rows=4)
    rules = list(made.rules)
    lines = [
        kit.line(dict(one.values), one.query, action=one.action, hostIdentifier=one.host)
        for one in made.records
    ]
    remembering = Evaluator()
    pairs, held = verdicts(rules, [*lines, *lines], remembering)
    assert pairs > 500
    assert held > 20
    verdicts(rules, lines[::-1], remembering)


VALUES = st.sampled_from(["", "a", "A", "1", "1.0", "true", "\\x41", 1, 1.0, True, False, 0, None])
RULES = [
    replace(kit.rule(f"selection:\n    {item}\ncondition: {condition}"), id=item)
    for item, condition in [
        ("cmdline: a", "selection"),
        ("cmdline|cased: A", "selection"),
        ("cmdline: 1", "selection"),
        ("cmdline: '1'", "not selection"),
        ("cmdline: true", "selection"),
        ("cmdline|exists: true", "selection"),
        ("cmdline|fieldref: path", "selection"),
    ]
]
KEYWORD = replace(kit.rule("words: [A, '1']\ncondition: words"), id="keyword")


@given(st.lists(st.tuples(VALUES, VALUES, st.sampled_from(["added", "snapshot"])), max_size=8))
def test_values_that_python_takes_for_equal(rows: list[tuple[object, object, str]]) -> None:
    """1, 1.0 and true are three texts, and a differential row spells bytes as text."""
    lines = [
        kit.line({"cmdline": one, "path": other}, QUERY, action=action)
        for one, other, action in rows
    ]
    verdicts([*RULES, KEYWORD], lines, Evaluator())


def test_it_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows alike in what a rule reads are walked once, whatever else differs; not with keywords."""
    walked: list[str] = []
    fires = evaluator._fires
    monkeypatch.setattr(
        evaluator, "_fires", lambda rule, view: walked.append(rule.id) or fires(rule, view)
    )
    lines = [kit.line({"cmdline": "a", "pid": str(n)}, QUERY) for n in range(5)]
    verdicts([RULES[0], KEYWORD], lines, Evaluator())
    assert (walked.count(RULES[0].id), walked.count(KEYWORD.id)) == (1, 5)
