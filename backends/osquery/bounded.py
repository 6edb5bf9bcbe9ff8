"""Which queries of the pack can never give a row that a rule wants.

The registry is read by many queries, each for a few value names; a rule about another name need not
be asked of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from molehunt.conditions import And, Condition, FieldIs, Not, Or, Text, flat
from molehunt.detectors.matching.evaluate import value_matches
from molehunt.detectors.matching.fields import Place, Possible

_ONE = re.compile(r"(\w+) = '([^']*)'\Z")
_SEVERAL = re.compile(r"(\w+) IN \(('[^']*'(?:, '[^']*')*)\)\Z")


def listed_values(sql: str) -> Mapping[str, tuple[str, ...]]:
    """Columns that a query of one table holds to a few texts, `name = 'a'` or `name IN ('a', 'b')`.

    Only where its WHERE is plainly one test AND another.
    """
    _, found, where = sql.partition(" WHERE ")
    if not found or " OR " in where or " JOIN " in sql or "SELECT" in where:
        return {}
    listed: dict[str, tuple[str, ...]] = {}
    for test in where.split(" AND "):
        if match := _ONE.match(test.strip()):
            listed[match[1]] = (match[2],)
        elif match := _SEVERAL.match(test.strip()):
            listed[match[1]] = tuple(re.findall("'([^']*)'", match[2]))
    return listed


def can_hold(
    node: Condition, places: Mapping[str, Place], listed: Mapping[str, Sequence[str]]
) -> bool:
    """Whether a condition can be true on rows with those values; True if that is not certain."""
    return _possible(node, places, listed).true


def _possible(
    node: Condition, places: Mapping[str, Place], listed: Mapping[str, Sequence[str]]
) -> Possible:
    match node:
        case And():
            parts = [_possible(one, places, listed) for one in node.args]
            return Possible(all(p.true for p in parts), any(p.false for p in parts))
        case Or():
            parts = [_possible(one, places, listed) for one in node.args]
            return Possible(any(p.true for p in parts), all(p.false for p in parts))
        case Not():
            inner = _possible(node.arg, places, listed)
            return Possible(inner.false, inner.true)
        case FieldIs():
            place = places[node.field]
            values = list(flat(node.value))
            # A table may spell a name in another letter case than was asked for.
            known = all(isinstance(one, Text) and one.parts and not one.cased for one in values)
            if place.kind != "column" or place.name not in listed or not known:
                return Possible(True, True)
            held = [any(value_matches(one, text) for one in values) for text in listed[place.name]]
            return Possible(any(held), not all(held))
        case _:
            return Possible(True, True)
