"""Rules made without pySigma, against those made of its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lint_surely import GOOD, as_document, conditions, detections, odd, tops

from molehunt import ruleset
from molehunt.correlation import Correlation
from molehunt.problems import Problem
from molehunt.rule import Rule
from molehunt.rulefiles import builtin_rules_path, rule_files
from molehunt.ruleset import is_rule
from molehunt.usual import Told
from molehunt.yamlfile import Document, read_file

PATH = "example.yml"


def _read(
    document: Document, usual: bool
) -> tuple[list[Rule], list[Correlation], list[Problem], bool]:
    """What a document holds, what is wrong, and whether pySigma was asked."""
    problems: list[Problem] = []
    items = [*ruleset._load_file([document], PATH, PATH, problems, usual=usual)]
    asked = not (items and all(isinstance(item, (Rule, Told)) for item in items))
    rules = ruleset._rules_of(items, problems)
    return rules, ruleset._correlations_of(items, problems), problems, asked


def _agrees(document: Document) -> bool:
    """Whether the document is of the usual kind; if it is, both ways must give the same."""
    if not isinstance(document.data, dict) or ruleset.shape_problems(document, PATH):
        return False
    *made, asked = _read(document, usual=True)
    if asked:
        return False
    *expected, asked = _read(document, usual=False)
    assert asked
    assert expected == made
    # What is a tuple to `==` is told apart by its class in the text.
    assert repr(expected) == repr(made)
    return True


def _changed(**changed: Any) -> Document | None:
    return as_document({**GOOD, **changed})


def test_the_pack_is_usual_and_the_same() -> None:
    """Every rule and correlation that ships."""
    found = [
        document
        for path, _, _ in rule_files([builtin_rules_path()], [])
        for document in read_file(path)[0]
        if is_rule(document.data)
    ]
    assert len(found) > 900
    assert all(map(_agrees, found))


texts = st.text(alphabet="ab-/ \\*?%é.", max_size=8)
numbers = st.integers(-(2**53) + 1, 2**53 - 1)
patterns = st.text(alphabet="ab.*+?()[]|^$\\-wd{2}", min_size=1, max_size=8)
networks = st.sampled_from(("10.0.0.0/8", "10.0.0.1/8", "fe80::/10", "::1/128", "1.2.3.4/32", "x"))
around = [
    f"{first}{more}"
    for first in ("contains", "startswith", "endswith")
    for more in ("", "|all", "|cased", "|cased|all")
]
by_modifier = {
    "": st.one_of(texts, numbers, st.booleans(), st.none()),
    **dict.fromkeys([*around, "cased", "contains|windash", "fieldref"], texts),
    **dict.fromkeys(("lt", "lte", "gt", "gte"), numbers),
    **dict.fromkeys(("re", "re|i"), patterns),
    "cidr": networks,
    "exists": st.booleans(),
}
items = st.sampled_from(sorted(by_modifier)).flatmap(
    lambda modifiers: st.tuples(
        st.just(f"Image|{modifiers}" if modifiers else "Image"),
        st.one_of(by_modifier[modifiers], st.lists(by_modifier[modifiers], min_size=1, max_size=3)),
    )
)
mappings = st.lists(items, min_size=1, max_size=3).map(dict)
parts = st.one_of(
    mappings,
    st.lists(mappings, min_size=1, max_size=2),
    st.lists(texts, min_size=1, max_size=3),
)
trees = st.recursive(
    st.sampled_from(("one", "two", "1 of t*", "all of *", "any of t*o", "all of them", "1 of one")),
    lambda below: st.one_of(
        st.tuples(below, st.sampled_from(("and", "or")), below).map(" ".join),
        st.tuples(below, st.sampled_from(("and", "or")), below).map(lambda of: f"({' '.join(of)})"),
        below.map(lambda one: f"not {one}"),
        below.map(lambda one: f"({one})"),
    ),
    max_leaves=6,
)


@given(parts, parts, parts, trees)
@settings(max_examples=300, deadline=None)
def test_usual_detections_are_the_same(one: Any, two: Any, three: Any, condition: str) -> None:
    """Values and modifiers of every kind that is known, and conditions of every form."""
    detection = {"one": one, "two": two, "t-o": three, "condition": condition}
    document = _changed(detection=detection)
    if document is not None:
        _agrees(document)


@given(detections)
@settings(max_examples=300, deadline=None)
def test_odd_detections_are_the_same(detection: dict[str, Any]) -> None:
    """Those that may be usual or not."""
    document = _changed(detection=detection)
    if document is not None:
        _agrees(document)


@given(tops)
@settings(max_examples=150, deadline=None)
def test_odd_keys_are_the_same(changed: dict[str, Any]) -> None:
    """Whatever stands in the other keys."""
    document = _changed(**changed)
    if document is not None and is_rule(document.data):
        _agrees(document)


@given(conditions, odd)
@settings(max_examples=150, deadline=None)
def test_odd_conditions_are_the_same(condition: Any, value: Any) -> None:
    """Which the loader may refuse."""
    document = _changed(detection={"selection": {"A": value}, "condition": condition})
    if document is not None:
        _agrees(document)


sections = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            "event_count value_count temporal temporal temporal_ordered value_sum value_avg "
            "value_median value_percentile Temporal".split()
        ),
        "rules": st.sampled_from((["one"], ["one", "two"], ["two", "one", "two"], [], "one", [1])),
        "group-by": st.sampled_from(("a", ["a"], ["a", "b", "a"], [], None, [1], "")),
        "timespan": st.sampled_from(("15m", "30d", "1h", "007s", "2w", "1M", "0m", "1.5h", 5)),
    },
    optional={
        "condition": st.one_of(
            st.dictionaries(
                st.sampled_from(("gt", "gte", "lt", "lte", "eq", "neq", "field", "percentile")),
                st.sampled_from((1, 2, 10**20, 1.5, "a", True, None, ["a"], "")),
                max_size=3,
            ),
            st.sampled_from(("one", "one and two", "one or not two", "not one", "one and notone")),
            trees,
            st.none(),
        ),
        "aliases": st.one_of(
            st.none(),
            st.dictionaries(
                st.sampled_from(("a", "x")),
                st.dictionaries(st.sampled_from(("one", "two", 1)), st.sampled_from(("f", 2, ""))),
                max_size=2,
            ),
        ),
        "generate": st.sampled_from((True, False, None, "yes")),
    },
)


@given(sections, tops)
@settings(max_examples=300, deadline=None)
def test_correlations_are_the_same(section: dict[str, Any], changed: dict[str, Any]) -> None:
    """Sections that are usual or not, and whatever stands in the other keys."""
    good = {key: GOOD[key] for key in GOOD if key not in ("logsource", "detection")}
    document = as_document({**good, "correlation": section})
    if document is not None:
        _agrees(document)
    document = as_document({**good, **changed, "correlation": section})
    if document is not None:
        _agrees(document)


@pytest.mark.parametrize(
    "section",
    [
        {"type": "value_count", "condition": {"field": "a", "gte": 2, "lt": 9}},
        {"type": "event_count", "condition": {"gte": 2}, "aliases": {"a": {"one": "b"}}},
        {"type": "temporal", "condition": "one and not (two or three)"},
        {"type": "temporal_ordered", "generate": True},
    ],
)
def test_usual_correlations_are_usual(section: dict[str, Any]) -> None:
    """One of each form in which correlations are written."""
    good = {key: GOOD[key] for key in GOOD if key not in ("logsource", "detection")}
    common = {"rules": ["one", "two", "three"], "group-by": ["a"], "timespan": "15m"}
    document = as_document({**good, "correlation": common | section})
    assert document is not None
    assert _agrees(document)


@pytest.mark.parametrize("modifiers", sorted(by_modifier))
def test_each_modifier_is_usual(modifiers: str) -> None:
    """None of them is left to pySigma, or the tests above would compare nothing."""
    value = {"": 4, "cidr": "10.0.0.0/8", "exists": True, "re": r"a\.b+", "re|i": "a|b"}
    number = modifiers in ("lt", "lte", "gt", "gte")
    one = 7 if number else value.get(modifiers, "a-b /c" if modifiers != "fieldref" else "Other")
    key = f"Image|{modifiers}" if modifiers else "Image"
    document = _changed(detection={"one": {key: [one, one]}, "condition": "one"})
    assert document is not None
    assert _agrees(document)


@pytest.mark.parametrize(
    "condition",
    [
        "((one or two) and not three) or all of t*",
        "one and (((one or two) and not three) or all of t*)",
        "1 of o*e and not 1 of th*e",
        "not (one or two)",
    ],
)
def test_usual_conditions_are_usual(condition: str) -> None:
    """Parentheses in parentheses, and wildcards anywhere in a pattern, as rules have them."""
    part = {"A": 1}
    detection = {"one": part, "two": part, "three": part, "condition": condition}
    document = _changed(detection=detection)
    assert document is not None
    assert _agrees(document)


def test_pysigma_is_not_imported_for_usual_rules(tmp_path: Path) -> None:
    """It takes longer to import than a hundred rules to load."""
    import subprocess
    import sys

    import yaml

    (tmp_path / "one.yml").write_text(yaml.safe_dump(dict(GOOD)))
    code = (
        "import sys; from molehunt.ruleset import load_rules\n"
        "found = load_rules([sys.argv[1]])\n"
        "assert len(found.rules) == 1 and not found.problems, found\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'sigma']"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
