"""Loading correlations: references, names, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import correlation_kit as ck
import kit
import pytest

from molehunt.lock import check_lock, update_lock

COUNT = {
    "type": "event_count",
    "rules": ["r1"],
    "group-by": ["cmdline"],
    "timespan": "1m",
    "condition": {"gte": 3},
}

BAD = [
    ({"rules": ["r9"]}, "names a rule that is not loaded: r9"),
    ({"rules": ["r1", "r1"]}, "stands twice"),
    ({"rules": ["c1"]}, "refers to itself"),
    ({"group-by": None}, "without group-by"),
    ({"aliases": {"who": {"r2": "cwd"}}}, "names a rule that is not among rules: r2"),
    ({"aliases": {"who": ["cwd"]}}, "mapping must be a dict"),
    ({"timespan": "1x"}, "Timespan '1x' is invalid"),
    ({"timspan": "1m"}, "unknown key 'timspan'"),
    ({"condition": {"gte": 1, "lte": "x"}}, "lte must be a number"),
    ({"condition": {"gte": 1, "field": "cwd"}}, "event_count counts no field"),
    ({"type": "value_count"}, "without field"),
    ({"type": "value_sum", "condition": {"gte": 1, "field": ["a", "b"]}}, "takes one field"),
    ({"type": "value_percentile", "condition": {"lte": 1, "field": "uid"}}, "without percentile"),
    (
        {"type": "value_percentile", "condition": {"lte": 1, "field": "uid", "percentile": 101}},
        "between 0 and 100",
    ),
    ({"type": "temporal", "condition": "not r1"}, "nothing to show"),
    ({"type": "temporal", "condition": "r1 and not r1"}, "contradicts itself"),
    ({"type": "sometimes"}, "no valid Sigma correlation type"),
]


@pytest.mark.parametrize(("change", "what"), BAD, ids=[what for _, what in BAD])
def test_a_bad_correlation_is_named_and_hides_no_other(change: dict[str, Any], what: str) -> None:
    """With file, line and id; the good one beside it is used, and the rules stay loud."""
    section = {key: value for key, value in (COUNT | change).items() if value is not None}
    if "timspan" in change:
        del section["timespan"]
    good = ck.correlation(COUNT | {"rules": ["r3"]}, "good").replace("0000c1", "0000c2")
    loaded = kit.ruleset(*ck.rules(), ck.correlation(section), good)
    assert [one.called for one in loaded.correlations] == ["good"]
    (problem,) = loaded.problems
    assert what in problem.what
    assert problem.path.endswith("rule_3.yml")
    assert problem.line
    assert [rule.silent for rule in loaded.rules] == [False, False, True]


def test_a_global_document_leaves_correlations_as_they_are() -> None:
    """pySigma completes rules from it, not correlations; two of one title stay two."""
    shared = "action: global\ntitle: Correlation\nlevel: low\n"
    more = COUNT | {"condition": {"gte": 5}}
    texts = [shared, ck.correlation(COUNT), ck.correlation(more, "c2").replace("0000c1", "0000c2")]
    loaded = kit.ruleset(*ck.rules(), "---\n".join(texts))
    assert not loaded.problems
    assert [one.comparisons[0].limit for one in loaded.correlations] == [3, 5]
    assert {one.level.name for one in loaded.correlations} == {"HIGH"}
    split = ck.correlation(COUNT).replace("title: Correlation", "action: global")
    rest = "---\ntitle: Rest\nlogsource: {product: osquery, service: processes}\n"
    assert not kit.ruleset(*ck.rules(), split + rest).correlations


def test_what_refers_to_a_bad_correlation_is_bad() -> None:
    """A circle of two, and one that leans on it."""
    texts = [
        ck.correlation(COUNT | {"rules": [other]}, name).replace("0000c1", f"0000c{number}")
        for number, (name, other) in enumerate([("x", "y"), ("y", "x"), ("z", "x")], 1)
    ]
    loaded = kit.ruleset(*ck.rules(), *texts)
    assert not loaded.correlations
    assert [problem.what for problem in loaded.problems] == [
        "correlation refers to itself",
        "correlation refers to itself",
        "correlation refers to one that was left out",
    ]


def test_ids_and_names_are_references_and_must_be_clear() -> None:
    """An id in any case; a name that two rules have is refused; an id is used once."""
    by_id = COUNT | {"rules": ["00000000-0000-4000-8000-000000000001".upper()]}
    assert kit.ruleset(*ck.rules(), ck.correlation(by_id)).correlations[0].rules == (
        "00000000-0000-4000-8000-000000000001",
    )
    twin = ck.rules()[0].replace("000001", "000009")
    loaded = kit.ruleset(*ck.rules(), twin, ck.correlation(COUNT))
    assert [problem.what for problem in loaded.problems] == ["several rules are called 'r1'"]
    loaded = kit.ruleset(*ck.rules(), ck.correlation(COUNT).replace("0000c1", "000002"))
    assert ["already used" in problem.what for problem in loaded.problems] == [True]


def test_lock_sees_a_changed_correlation() -> None:
    """A correlation has a line in the lock as a rule has; its texts do not count."""
    first = kit.ruleset(*ck.rules(), ck.correlation(COUNT))
    lines = update_lock([], first)
    assert len(lines) == 4
    assert check_lock(lines, first) == []
    text = kit.ruleset(*ck.rules(), ck.correlation(COUNT).replace("title: C", "title: Another c"))
    assert check_lock(lines, text) == []
    changed = kit.ruleset(*ck.rules(), ck.correlation(COUNT | {"timespan": "2m"}))
    (problem,) = check_lock(lines, changed)
    assert problem.rule == changed.correlations[0].id
