"""The short way to say that a rule loads, against the loader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from molehunt.problems import Problem
from molehunt.rulefiles import builtin_rules_path, rule_files
from molehunt.ruleset import is_rule, load_documents, shape_problems
from molehunt.surely import surely_loads
from molehunt.yamlfile import Document, decoded, read_text

_UUID = "0f4d3a6e-5a3c-4f0e-9d8e-2b7c1a6f5e4d"
GOOD: Mapping[str, Any] = {
    "title": "Example",
    "id": _UUID,
    "level": "low",
    "status": "test",
    "date": dt.date(2026, 1, 2),
    "tags": ["attack.t1059"],
    "related": [{"id": _UUID, "type": "derived"}],
    "logsource": {"category": "process_creation", "product": "windows"},
    "detection": {"selection": {"Image|endswith": ["\\a.exe"]}, "condition": "selection"},
}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(
        (
            "",
            "x",
            "a.b",
            "a*",
            "%x%",
            _UUID,
            "{" + _UUID + "}",
            _UUID.upper(),
            "LOW",
            "high",
            "test",
        )
    ),
    st.sampled_from((10**400, 2**53, dt.date(2026, 1, 2), dt.datetime(2026, 1, 2))),  # noqa: DTZ001
    st.text(max_size=3),
)
values = st.one_of(odd, st.lists(odd, max_size=3))
modifiers = st.sampled_from(
    "contains startswith endswith all re cased cidr exists gt expand windash base64offset fieldref "
    "wide neq nonsense".split()
)
keys = st.one_of(
    st.sampled_from(("Image", "CommandLine", "a b", "")),
    st.builds(
        lambda field, more: "|".join((field, *more)),
        st.sampled_from(("Image", "")),
        st.lists(modifiers, max_size=3),
    ),
)
mappings = st.dictionaries(keys, values, max_size=3)
parts = st.one_of(mappings, values, st.lists(st.one_of(mappings, odd, mappings), max_size=3))
names = st.sampled_from(
    "selection selection_a selection-b _hidden filter_main not and ALL all 1 of them notepad "
    "timeframe condition 1a Ümlaut sel.a".split()
)
words = st.one_of(
    names,
    st.sampled_from(
        "( ) not and or NOT AND 1 any all of them 2 selection* *_a _* se?* | ! ** * sel*n".split()
    ),
    st.sampled_from(
        ("1 of selection*", "all of them", "any of filter_*", "not selection", "( ", ")")
    ),
)
conditions = st.one_of(
    st.sampled_from(
        ("selection", "selection and not 1 of filter_*", "1 of selection_*", "all of them")
    ),
    st.lists(words, max_size=7).map(" ".join),
    st.lists(words, max_size=7).map("".join),
    st.lists(words, max_size=4).map("\n ".join),
    values,
)
detections = st.builds(
    lambda one, more, condition: {"selection": one, **more, "condition": condition},
    parts,
    st.dictionaries(names, parts, max_size=3),
    conditions,
)
tops = st.dictionaries(
    st.sampled_from(
        "title id name related taxonomy status description license author references date modified "
        "tags fields falsepositives level scope logsource detection action other".split()
    ),
    st.one_of(
        values,
        st.dictionaries(
            st.sampled_from("id type category product service definition".split()),
            values,
            max_size=3,
        ),
        st.lists(st.dictionaries(st.sampled_from(("id", "type")), odd), max_size=2),
    ),
    max_size=3,
)


def as_document(data: Mapping[str, Any]) -> Document | None:
    """The data as a file would give it; None if no file can."""
    try:
        text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True)
    except (yaml.YAMLError, ValueError):
        return None
    documents, problems = read_text(text, "example.yml")
    return documents[0] if documents and not problems else None


def _is_taken(document: Document) -> bool:
    """What the loader says, which must agree if the short way says yes."""
    rules, correlations, problems = load_documents([document], "example.yml", "example.yml")
    return len(rules) == 1 and not correlations and not problems


def _agrees(data: Mapping[str, Any]) -> None:
    document = as_document(data)
    if document is not None and isinstance(document.data, dict) and is_rule(document.data):
        sure = not shape_problems(document, "example.yml") and surely_loads(document)
        assert not sure or _is_taken(document)


@given(detections)
@settings(max_examples=400, deadline=None)
@example({"selection": {"A": 1}, "condition": "not not selection"})
@example({"selection": {"A": 1}, "condition": "((selection))"})
@example({"selection": {"A": [10**400]}, "condition": "selection"})
@example({"selection": {"A|contains": None}, "condition": "selection"})
@example({"_selection": {"A": 1}, "condition": "1 of them"})
def test_detections_that_surely_load_do(detection: dict[str, Any]) -> None:
    """Whatever stands in the detection."""
    _agrees({**GOOD, "detection": detection})


@given(tops)
@settings(max_examples=300, deadline=None)
def test_rules_that_surely_load_do(changed: dict[str, Any]) -> None:
    """Whatever stands in the other keys."""
    _agrees({**GOOD, **changed})


good_words = st.sampled_from(
    ("selection", "1 of selection*", "all of them", "(selection or other)")
)
good_conditions = st.lists(
    st.tuples(st.sampled_from(("and", "or", "and not", "or not")), good_words), max_size=6
).flatmap(
    lambda more: good_words.map(
        lambda first: " ".join((first, *(f"{operator} {word}" for operator, word in more)))
    )
)


@given(good_conditions)
@settings(max_examples=150, deadline=None)
def test_usual_conditions_surely_load_and_do(condition: str) -> None:
    """The short way is taken by what most rules are."""
    detection = {
        "selection": [{"A|contains|all": ["a", "b*"]}, {"B": 4}],
        "other": ["word", "an?other"],
        "condition": condition,
    }
    document = as_document({**GOOD, "detection": detection})
    assert document is not None
    assert surely_loads(document)
    assert _is_taken(document)


def test_the_pack_surely_loads_and_does() -> None:
    """Rules that are in use, and many of them."""
    sure = total = 0
    for path, name, _ in rule_files([builtin_rules_path()], []):
        text = decoded(Path(path).read_bytes(), path)
        assert not isinstance(text, Problem)
        for document in read_text(text, path)[0]:
            total += 1
            if total % 4 == 0 and surely_loads(document):
                rules, _, problems = load_documents([document], path, name)
                assert (len(rules), problems) == (1, []), path
                sure += 1
    assert sure > total / 8


def test_a_long_condition_is_refused_in_no_time() -> None:
    """The pattern has one way to match: with two this would take years."""
    detection = {"selection": {"A": 1}, "condition": "a" * 400 + "!"}
    document = as_document({**GOOD, "detection": detection})
    assert document is not None
    assert not surely_loads(document)


def test_aliases_that_expand_are_left_to_the_loader() -> None:
    """It has a limit of its own."""
    text = (
        "title: x\nlogsource: {product: windows}\n"
        "detection:\n  a: &a {A: [a, b, c, d, e, f, g, h, i, j]}\n"
        "  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        "  c: [" + ", ".join(["*b"] * 100) + "]\n  condition: a\n"
    )
    (document,), problems = read_text(text, "example.yml")
    assert not problems
    assert not surely_loads(document)


def test_a_message_is_the_same_in_every_run() -> None:
    """pySigma tells where in memory a value without a text lies."""
    detection = {"selection": {"A|contains": None}, "condition": "selection"}
    document = as_document({**GOOD, "detection": detection})
    assert document is not None
    _, _, problems = load_documents([document], "example.yml", "example.yml")
    assert [problem.what for problem in problems] == [
        "Modifier SigmaContainsModifier incompatible to value type of 'null'"
    ]
