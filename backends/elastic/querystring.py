"""Query DSL as text for `QSTR` in ES|QL: the same query in the syntax of Lucene's query parser.

`QSTR("...")` takes what a `query_string` query takes. Letters in either case become classes of
both, as in `case_insensitive`, which folds ASCII letters only. In this parser `+a +b` are both,
`a b` any, and `+*:* -a` all rows without a match, those that lack the field among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..searching.ranges import literal, of, written

Query = Mapping[str, Any]
# What a backslash escapes is passed over.
_SLASH = re.compile(r"\\.|/", re.DOTALL)
_SPECIAL, _ESCAPED = re.compile(r"[^A-Za-z0-9.]"), r"\\\g<0>"
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def querystring(query: Query) -> str:
    """The text of a query. Raises ValueError for a kind of query that is not known here."""
    ((kind, inside),) = query.items()
    if kind == "bool":
        return _bool(inside)
    if kind == "exists":
        return f"_exists_:{inside['field']}"
    ((field, wanted),) = inside.items()
    if kind == "range":
        if any(isinstance(limit, str) for limit in wanted.values()):
            return f"{field}:{_between(wanted)}"
        return _every([f"{field}:{_SIGNS[name]}{limit}" for name, limit in wanted.items()])
    if kind == "terms":
        return _any([f"{field}:{_quoted(value)}" for value in wanted])
    value = wanted["value"] if isinstance(wanted, Mapping) else wanted
    folds = isinstance(wanted, Mapping) and wanted.get("case_insensitive", False)
    if kind == "term":
        if folds and _has_case(value):
            return f"{field}:{_regex(_letters(value))}"
        return f"{field}:{_quoted(value)}"
    if kind == "wildcard":
        return f"{field}:{_regex(_wildcard(value, folds))}"
    if kind == "regexp":
        return f"{field}:{_regex(value)}"
    if kind == "prefix" and not folds:
        return f"{field}:{_SPECIAL.sub(_ESCAPED, value)}*"
    raise ValueError(f"no text for the query {kind}")


def plain_pattern(query: Query) -> tuple[str, str, str] | None:
    """Of a text, or a pattern with stars at its ends only: the field, what stands before and after
    as an expression (`.*|`), and the text as one. None for anything else."""
    ((kind, inside),) = query.items()
    if kind not in ("term", "wildcard"):
        return None
    ((field, wanted),) = inside.items()
    if not isinstance(wanted, Mapping) or not isinstance(wanted["value"], str):
        return None
    folds, value = wanted.get("case_insensitive", False), wanted["value"]
    if kind == "term":
        return (field, "|", _letters(value)) if folds and _has_case(value) else None
    middle = value.removeprefix("*")
    before = ".*" * (middle != value)
    # A star behind an even number of backslashes is one.
    bare = middle.removesuffix("*")
    slashes = len(bare) - len(bare.rstrip("\\"))
    after = ""
    if bare != middle and slashes % 2 == 0:
        middle, after = bare, ".*"
    text = _wildcard(middle, folds)
    if not middle or "." in text.replace("\\.", ""):
        return None
    return field, f"{before}|{after}", text


def _between(wanted: Mapping[str, Any]) -> str:
    """A range whose limits are texts, as times are."""
    low = next((f"{'[{'[n == 'gt']}{_quoted(v)}" for n, v in wanted.items() if n[0] == "g"), "[*")
    high = next((f"{_quoted(v)}{']}'[n == 'lt']}" for n, v in wanted.items() if n[0] == "l"), "*]")
    return f"{low} TO {high}"


def _bool(inside: Mapping[str, Any]) -> str:
    parts = [f"+{querystring(one)}" for one in inside.get("filter", ())]
    if inside.get("should"):
        parts.append("+" * bool(parts) + _any([querystring(one) for one in inside["should"]]))
    if inside.get("must_not"):
        parts = parts or ["+*:*"]
        parts += [f"-{querystring(one)}" for one in inside["must_not"]]
    return f"({' '.join(parts)})"


def _every(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' '.join(f'+{one}' for one in parts)})"


def _any(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' '.join(parts)})"


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _has_case(text: str) -> bool:
    return any(c.isascii() and c.isalpha() for c in text)


def _letters(text: str) -> str:
    return "".join(map(_letter, text))


@lru_cache(maxsize=1 << 12)
def _letter(c: str) -> str:
    return f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else written(of(c))


def _wildcard(pattern: str, folds: bool) -> str:
    found, characters = [], iter(pattern)
    for c in characters:
        if c == "*":
            found.append(".*")
        elif c == "?":
            found.append(".")
        else:
            plain = next(characters) if c == "\\" else c
            found.append(_letters(plain) if folds else literal(plain))
    return "".join(found)


def _regex(pattern: str) -> str:
    """Between slashes, its own slashes escaped. The parser reads on at a backslash before the last
    slash, so that an empty group stands between."""
    text = _SLASH.sub(lambda found: "\\/" if found[0] == "/" else found[0], pattern)
    return f"/{text}()/" if text.endswith("\\\\") else f"/{text}/"
