"""Several queries as one that asks each thing once.

A text in either case is an expression with a class for each letter, and Lucene builds an automaton
of each expression. The members of a correlation have much in common: the same rule over several
queries of the pack, the same exceptions in several rules. What alternatives share is taken out in
front of them, and texts that are looked for in one column become one expression.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from ..remembered import remembered
from ..searching.lucene import MAX_LENGTH
from .querystring import plain_pattern

Query = Mapping[str, Any]
# A query as the set of what must hold, each as JSON.
_Parts = frozenset[str]


def factored(queries: Iterable[Query]) -> dict[str, Any]:
    """Any of the queries, each of which asks first for the names of its rows."""
    heads: dict[_Parts, list[dict[str, Any]]] = {}
    for query in queries:
        for way in _ways(query):
            first, *rest = _filters(way)
            heads.setdefault(frozenset(map(_text, rest)), []).extend(_ways(first))
    # What is asked of rows of several names is asked once.
    ways = {rest | {_text(_simpler(_should(found)))} for rest, found in heads.items()}
    return _any(_without_narrower(ways))


def _ways(query: Query) -> list[Any]:
    inside = query.get("bool", {})
    return (
        list(inside["should"]) if set(inside) - {"minimum_should_match"} == {"should"} else [query]
    )


def _filters(query: Query) -> list[Any]:
    inside = query.get("bool", {})
    return list(inside["filter"]) if set(inside) == {"filter"} else [query]


def _text(query: Query) -> str:
    return remembered(lambda: json.dumps(query, sort_keys=True), "text", query)


@lru_cache(maxsize=1 << 12)
def _part(text: str) -> dict[str, Any]:
    """Of what must hold, the simpler query."""
    return _simpler(orjson.loads(text))


def _without_narrower(ways: set[_Parts]) -> list[_Parts]:
    """Without those that ask for the same as another and for more; in a fixed order."""
    kept: list[_Parts] = []
    # Each under one of its parts, without which nothing asks for all of them.
    by_part: dict[str, list[_Parts]] = {}
    for one in sorted(ways, key=lambda way: (len(way), sorted(way))):
        if not one:
            return [one]
        if not any(other <= one for part in one for other in by_part.get(part, ())):
            kept.append(one)
            by_part.setdefault(next(iter(one)), []).append(one)
    return kept


def _any(ways: Sequence[_Parts]) -> dict[str, Any]:
    """Any of the ways, the most costly thing that some share in front of these."""
    made: list[dict[str, Any]] = []
    left = list(ways)
    while len(left) > 1:
        counts = Counter(part for way in left for part in way)
        shared, count = max(
            counts.items(), key=lambda item: ((item[1] - 1) * len(item[0]), item[0])
        )
        if count < 2:
            break
        inner = [way - {shared} for way in left if shared in way]
        left = [way for way in left if shared not in way]
        # `a or (a and b)` was made `a` before.
        made.append(_all([_part(shared), _any(inner)]))
    made += [_all([_part(part) for part in sorted(way)]) for way in left]
    if len(made) == 1:
        return made[0]
    flat = [one for query in made for one in _ways(query)]
    return _should(_gathered(flat))


def _should(queries: list[dict[str, Any]]) -> dict[str, Any]:
    if len(queries) == 1:
        return queries[0]
    return {"bool": {"should": queries, "minimum_should_match": 1}}


def _all(queries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All of some queries, which are simple themselves."""
    flat: list[dict[str, Any]] = []
    for query in queries:
        flat += _filters(query)
    return flat[0] if len(flat) == 1 else {"bool": {"filter": flat}}


def _simpler(query: dict[str, Any]) -> dict[str, Any]:
    """The same query, alternatives anywhere in it gathered."""
    inside = query.get("bool")
    if inside is None:
        return query
    made: dict[str, Any] = {}
    for kind, parts in inside.items():
        if kind not in ("filter", "should", "must_not"):
            made[kind] = parts
            continue
        found = [_simpler(one) for one in parts]
        if kind == "must_not":
            found = [way for one in found for way in _ways(one)]
        made[kind] = found if kind == "filter" else _gathered(found)
    if set(made) - {"minimum_should_match"} == {"should"} and len(made["should"]) == 1:
        one: dict[str, Any] = made["should"][0]
        return one
    return {"bool": made}


def _gathered(queries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alternatives with those over one column joined: words as one list, texts and patterns with
    stars at their ends as expressions."""
    rest: list[dict[str, Any]] = []
    words: dict[str, list[Any]] = {}
    texts: dict[tuple[str, str], list[str]] = {}
    for query in queries:
        ((kind, inside),) = query.items()
        if kind == "terms":
            ((field, values),) = inside.items()
            words.setdefault(field, []).extend(values)
        elif (found := plain_pattern(query)) is not None:
            field, shape, middle = found
            texts.setdefault((field, shape), []).append(middle)
        elif query not in rest:
            rest.append(query)
    joined: list[dict[str, Any]] = [
        {"terms": {field: sorted(set(values))}} for field, values in sorted(words.items())
    ]
    for (field, shape), middles in sorted(texts.items()):
        before, after = shape.split("|")
        for middle in _short(sorted(set(middles)), MAX_LENGTH - len(shape) - 2):
            value = f"{before}({middle}){after}" if "|" in middle else f"{before}{middle}{after}"
            joined.append({"regexp": {field: {"value": value}}})
    return joined + rest


def _short(texts: Sequence[str], longest: int) -> Iterable[str]:
    """Texts joined with `|` as far as each stays short enough. A slash takes two characters."""
    current, length = "", 0
    for text in texts:
        size = len(text) + text.count("/") + 1
        if current and length + size > longest:
            yield current
            current, length = "", 0
        current, length = f"{current}|{text}" if current else text, length + size
    if current:
        yield current
