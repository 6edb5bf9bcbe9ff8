r"""Necessary literals: bytes that a raw line must hold if a rule is to match a row in it.

For each rule one *cover*: a set of ASCII literals of which at least one stands in the line, letter
case aside. A rule that has no cover must see every line of its queries.

Why this loses nothing (each point has a test):
- Only runs of printable ASCII are used. Folding never turns another character into ASCII.
- A JSON writer may spell such a character otherwise only as `\/` or `\u00XX`; a line that holds
  `ESCAPES` is looked at in full.
- Quote and backslash are written `\"` and `\\`, so the literals are too.
- A run that could be part of a number is not used: JSON can spell a number in many ways.
- A normaliser hands back only the part of a run that the logged value must hold as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaString,
)

from molehunt.normalise import NORMALISERS

from .fields import FieldMap, Place

Cover = frozenset[bytes]

# Spellings of printable ASCII that a literal would not find.
ESCAPES: tuple[bytes, ...] = (b"\\/", *(b"\\u00%d" % digit for digit in range(2, 8)))
MIN_LENGTH = 3
MAX_COVER = 2000
_PRINTABLE = re.compile(r"[ -~]+")
# Any run of a number's or a boolean's JSON text, which may be logged in another spelling.
_MAYBE_NUMBER = re.compile(r"[0-9+\-.eEinfaN]*\Z")


def cover_of(condition: Any, fields: FieldMap) -> Cover | None:
    """The cheapest cover of a condition on the queries behind `fields`; None if there is none.

    AND: the best child; OR: all children together; NOT: nothing.
    """
    if isinstance(condition, ConditionAND):
        covers = [c for child in condition.args if (c := cover_of(child, fields)) is not None]
        return min(covers, key=_price) if covers else None
    if isinstance(condition, ConditionOR):
        return _union(cover_of(child, fields) for child in condition.args)
    if isinstance(condition, ConditionNOT):
        return None
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _union(
            _field_cover(value, fields.places[condition.field], fields)
            for value in _flat(condition.value)
        )
    assert isinstance(condition, ConditionValueExpression)
    return _union(_keyword_cover(value, fields) for value in _flat(condition.value))


def _price(cover: Cover) -> tuple[bool, int, int]:
    """Values before keys, then a longer shortest literal, then fewer literals."""
    return (has_key(cover), -min(8, *map(len, cover)), len(cover))


def has_key(cover: Cover) -> bool:
    """Whether a cover needs a column's key, which stands in every line of its queries."""
    return any(word.endswith(b'"') and not word.endswith(b'\\"') for word in cover)


def _union(covers: Iterator[Cover | None]) -> Cover | None:
    found: set[bytes] = set()
    for cover in covers:
        if cover is None:
            return None
        found |= cover
    return frozenset(found) if 0 < len(found) <= MAX_COVER else None


def _flat(value: Any) -> list[Any]:
    if isinstance(value, SigmaExpansion):
        return [item for part in value.values for item in _flat(part)]
    return [value]


def _field_cover(value: Any, place: Place, fields: FieldMap) -> Cover | None:
    if isinstance(value, SigmaNull) or (isinstance(value, SigmaExists) and not value.exists):
        return None
    if isinstance(value, SigmaString):
        if not value.s:
            return None
        if place.kind in ("column", "decoration"):
            run = _best_run(value, place.normalisers)
            if run is not None:
                return frozenset([run])
    if isinstance(value, SigmaFieldReference):
        return _key_cover(place) or _key_cover(fields.places[value.field])
    return _key_cover(place)


def _key_cover(place: Place) -> Cover | None:
    """Whatever the value, the column's key must be there: the weakest literal."""
    # Only the end of the name: a dotted one may stand for nested objects or for a dotted key.
    name = place.name.rpartition(".")[2]
    if place.kind not in ("column", "decoration") or not _PRINTABLE.fullmatch(name):
        return None
    return frozenset([_as_json(name) + b'"'])


def _keyword_cover(value: Any, fields: FieldMap) -> Cover | None:
    if isinstance(value, (SigmaNumber, SigmaBool)) or not isinstance(value, SigmaString):
        return None
    run = _best_run(value, fields.store.text)
    return None if run is None else frozenset([run])


def _best_run(value: SigmaString, normalisers: tuple[str, ...]) -> bytes | None:
    runs = [
        raw
        for part in value.s
        if isinstance(part, str)
        for run in _PRINTABLE.findall(part)
        if (raw := _raw(run, normalisers)) is not None
    ]
    return max(runs, key=len, default=None)


def _raw(run: str, normalisers: tuple[str, ...]) -> bytes | None:
    for name in reversed(normalisers):
        run = NORMALISERS[name].raw_run(run)
    if len(run) < MIN_LENGTH or _MAYBE_NUMBER.match(run):
        return None
    return _as_json(run)


def _as_json(run: str) -> bytes:
    return run.lower().replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
