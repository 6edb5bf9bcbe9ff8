"""Queries factored: random ones mean the same to a slow reader of query DSL, and ask less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.elastic.factoring import factored
from molehunt.backends.elastic.querystring import querystring

TEXTS = ("a", "B", "ab", "a/b", "a.b", "")
NAMES = ("one", "two", "three")


def leaf(kind: str, field: str, value: str) -> dict[str, Any]:
    """A query on a column."""
    if kind == "terms":
        return {"terms": {field: [value, "other"]}}
    if kind == "regexp":
        return {"regexp": {field: {"value": f".*{re.escape(value)}"}}}
    return {kind: {field: {"value": value, "case_insensitive": True}}}


PATTERNS = ("a", "*a", "b*", "*a*", "*a?b*", "*a*b*", "*/b", "*.b*", "a\\*")
leaves = st.one_of(
    st.builds(leaf, st.just("wildcard"), st.sampled_from("xy"), st.sampled_from(PATTERNS)),
    st.builds(leaf, st.just("term"), st.sampled_from("xy"), st.sampled_from(TEXTS[:5])),
    st.builds(leaf, st.sampled_from(("terms", "regexp")), st.just("x"), st.sampled_from("ab")),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """All of some, any of some, none of some."""
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        some.map(lambda parts: {"bool": {"filter": parts}}),
        some.map(lambda parts: {"bool": {"should": parts, "minimum_should_match": 1}}),
        some.map(lambda parts: {"bool": {"must_not": parts}}),
    )


def member(name: str, parts: list[Any]) -> dict[str, Any]:
    """A rule's query, which begins with the names of its rows."""
    return {"bool": {"filter": [{"terms": {"name": [name]}}, *parts]}}


members = st.builds(
    member,
    st.sampled_from(NAMES),
    st.lists(st.recursive(leaves, compound, max_leaves=6), min_size=1, max_size=3),
)
rows = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "x": st.sampled_from(TEXTS), "y": st.sampled_from(TEXTS)}
)


def holds(query: Mapping[str, Any], row: Mapping[str, str]) -> bool:
    """What a query says of a row, read as its definition has it."""
    ((kind, inside),) = query.items()
    if kind == "bool":
        return (
            all(holds(one, row) for one in inside.get("filter", ()))
            and not any(holds(one, row) for one in inside.get("must_not", ()))
            and ("should" not in inside or any(holds(one, row) for one in inside["should"]))
        )
    ((field, wanted),) = inside.items()
    if kind == "terms":
        return row[field] in wanted
    value = wanted["value"]
    if kind == "wildcard":
        parts = re.findall(r"\\.|.", value)
        kinds = {"*": ".*", "?": "."}
        value = "".join(kinds.get(part) or re.escape(part[-1]) for part in parts)
    elif kind == "term":
        value = re.escape(value)
    folds = re.IGNORECASE if wanted.get("case_insensitive") else 0
    return re.fullmatch(value, row[field], folds | re.DOTALL) is not None


@given(st.lists(members, min_size=1, max_size=6), st.lists(rows, min_size=1, max_size=8))
def test_it_means_the_same(queries: list[Any], found: list[Any]) -> None:
    """Whatever is shared, gathered or left out."""
    made = factored(queries)
    querystring(made)
    for row in found:
        assert holds(made, row) == any(holds(one, row) for one in queries), (made, row)


def test_what_is_shared_is_asked_once() -> None:
    """The same rule over two queries, and an exception of two rules."""
    skip = {"bool": {"must_not": [leaf("wildcard", "y", "*\\\\grep")]}}
    first, second = leaf("wildcard", "x", "*first"), leaf("wildcard", "x", "*second")
    queries = [member(name, [one, skip]) for name in NAMES for one in (first, second)]
    text = querystring(factored(queries))
    assert text.count("x:/") == text.count("y:/") == text.count("name:") - 2 == 1
    assert querystring(factored(queries)) == querystring(factored(reversed(queries)))


@pytest.mark.parametrize("long", [200, 900])
def test_no_expression_is_too_long(long: int) -> None:
    """Elasticsearch takes 1,000 characters, and a slash is written with two."""
    texts = [f"*{'/' * (long // 3)}{n}" for n in range(30)]
    text = querystring(factored([member("one", [leaf("wildcard", "x", one)]) for one in texts]))
    found = re.findall(r"x:/((?:[^/\\]|\\.)*)/", text)
    assert found and all(len(one) <= 1000 for one in found)
