r"""Which queries of the pack can never give a row that a rule wants.

The registry is read by many queries, each below a few keys and for a few value names; a rule about
another key or name need not be asked of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from molehunt.conditions import And, Condition, FieldIs, Not, Or, Text, flat
from molehunt.detectors.matching.evaluate import value_matches
from molehunt.detectors.matching.fields import Place, Possible
from molehunt.normalise import hive

from .forms import Any, Form, like

_TEXT = "'[^']*'"
_ONE = re.compile(rf"(\w+) = ({_TEXT})\Z")
_SEVERAL = re.compile(rf"(\w+) IN \(({_TEXT}(?:, {_TEXT})*)\)\Z")
_LIKE = re.compile(rf"(\w+) LIKE ({_TEXT})\Z")
_EITHER = re.compile(rf"\((\w+) LIKE {_TEXT}(?: OR \1 LIKE {_TEXT})+\)\Z")
# What these change, `_normalised` allows for.
_KNOWN = frozenset(("hive", "control_text"))


def forms_of(sql: str) -> Mapping[str, tuple[Form, ...]]:
    """What the columns of a query of one table can look like, for those that its WHERE holds to
    something: `name = 'a'`, `name IN ('a', 'b')`, `key LIKE 'a%'`, `(key LIKE 'a%' OR key LIKE
    'b')`.

    Only where its WHERE is plainly one test AND another. A registry value's `path` is its key and
    its name.
    """
    head, found, where = sql.partition(" WHERE ")
    if not found or " JOIN " in sql or "SELECT" in where:
        return {}
    registry = head.endswith(" FROM registry")
    forms: dict[str, tuple[Form, ...]] = {}
    for test in where.split(" AND "):
        name, form = _tested(test.strip(), registry)
        if form:
            forms[name] = form
    if registry and "key" in forms:
        names = forms.get("name", (Form((Any.RUN,)),))
        forms["path"] = tuple(
            Form((*key.parts, "\\", *name.parts)) for key in forms["key"] for name in names
        )
    return forms


def _tested(test: str, registry: bool) -> tuple[str, tuple[Form, ...]]:
    """The column of a test, and the forms that it leaves; none if they are not known."""
    if match := _ONE.match(test) or _SEVERAL.match(test):
        return match[1], tuple(Form((one,)) for one in _texts(match[2]))
    if match := _LIKE.match(test) or _EITHER.match(test):
        keys = registry and match[1] == "key"
        return match[1], tuple(like(one, keys=keys) for one in _texts(test))
    return "", ()


def _texts(sql: str) -> list[str]:
    return [one[1:-1] for one in re.findall(_TEXT, sql)]


def can_hold(
    node: Condition, places: Mapping[str, Place], forms: Mapping[str, Sequence[Form]]
) -> bool:
    """Whether a condition can be true on rows with such values; True if that is not certain."""
    return _possible(node, places, forms).true


def _possible(
    node: Condition, places: Mapping[str, Place], forms: Mapping[str, Sequence[Form]]
) -> Possible:
    match node:
        case And():
            parts = [_possible(one, places, forms) for one in node.args]
            return Possible(all(p.true for p in parts), any(p.false for p in parts))
        case Or():
            parts = [_possible(one, places, forms) for one in node.args]
            return Possible(any(p.true for p in parts), all(p.false for p in parts))
        case Not():
            inner = _possible(node.arg, places, forms)
            return Possible(inner.false, inner.true)
        case FieldIs():
            return _met(list(flat(node.value)), places[node.field], forms)
        case _:
            return Possible(True, True)


def _met(values: Sequence[object], place: Place, forms: Mapping[str, Sequence[Form]]) -> Possible:
    """Whether a column of those forms can meet one of the values, and whether it can meet none."""
    # A table may spell a name in another letter case than was asked for.
    wanted = [one for one in values if isinstance(one, Text) and one.parts and not one.cased]
    if (
        place.kind != "column"
        or place.name not in forms
        or len(wanted) < len(values)
        or not _KNOWN.issuperset(place.normalisers)
    ):
        return Possible(True, True)
    held, missed = False, False
    for form in forms[place.name]:
        seen = _normalised(form, place)
        meets = any(seen.can_be(one) for one in wanted)
        exact = seen.exact
        held = held or meets
        missed = missed or exact is None or not any(value_matches(one, exact) for one in wanted)
    return Possible(held, missed)


def _normalised(form: Form, place: Place) -> Form:
    """The form of the value as rules see it. All that is kept changes is how the hive is spelled,
    which stands at the beginning, and characters that no form knows."""
    first = form.parts[0]
    if "hive" not in place.normalisers or not isinstance(first, str):
        return form
    return Form((hive(first), *form.parts[1:]))
