"""The pySigma pipeline that ties one rule to one way of reading the pack.

It maps the rule's fields to the store's columns, and adds what our own compilers add: the names of
the queries, the rows of the log source, and that the row was not removed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ..model import Bound, Profile
from .plain import Dialect, whole

NOTHING = "nothing"
"""A column of the store that is empty in every row: the place of fields that a query lacks."""


def pipeline(bound: Bound, profile: Profile, removed: bool, dialect: Dialect | None = None) -> Any:
    """A `sigma.processing.pipeline.ProcessingPipeline`, for a rule in that dialect."""
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import (
        AddConditionTransformation,
        FieldMappingTransformation,
    )

    names = [pattern.format(name) for pattern in profile.names for name in bound.queries]
    guards = [(_is(profile.query, sorted(names), dialect), False)]
    for column, allowed in bound.fields.where:
        guards.append((_is(profile.column.format(column), list(allowed), dialect), False))
    if not removed:
        guards.append((_is(profile.action, ["removed"], dialect), True))
    items = [ProcessingItem(FieldMappingTransformation(_mapping(bound, profile)))]
    for number, (condition, negated) in enumerate(guards):
        transformation = AddConditionTransformation(
            conditions=condition, name=f"_molehunt_{number}", negated=negated
        )
        items.append(ProcessingItem(transformation))
    if dialect is not None and dialect.java:
        items.append(ProcessingItem(_java()()))
    return ProcessingPipeline(items=items, name="molehunt")


def _is(field: str, words: list[str], dialect: Dialect | None) -> dict[str, Any]:
    if dialect is not None and "equal" not in dialect.carried:
        return {f"{field}|re": whole(words)}
    return {field: words}


@cache
def _java() -> Any:
    """A transformation; a class of pySigma's, so it is made only when it is needed."""
    from sigma.processing.transformations.base import DetectionItemTransformation
    from sigma.types import SigmaRegularExpression, SigmaString

    class EndOfText(DetectionItemTransformation):  # type: ignore[misc, unused-ignore]
        r"""`$` as `\z`: Java's `$` is also before a last line break. pySigma is not asked, as its
        releases check expressions with Python (which had no `\z`) or RE2."""

        def apply_detection_item(self, detection_item: Any) -> None:
            for value in detection_item.value:
                if isinstance(value, SigmaRegularExpression):
                    text = _END.sub(_ended, str(value.regexp))
                    value.regexp = SigmaString(text, escape=False)

    return EndOfText


_END = re.compile(r"\\.|\$", re.DOTALL)


def _ended(found: re.Match[str]) -> str:
    return r"\z" if found[0] == "$" else found[0]


def _mapping(bound: Bound, profile: Profile) -> dict[str | None, str | list[str]]:
    envelope = {
        "action": profile.action,
        "name": profile.query,
        "host": profile.host,
        "counter": profile.counter,
    }
    found: dict[str | None, str | list[str]] = {}
    for name, place in bound.fields.places.items():
        if place.kind == "column":
            found[name] = profile.column.format(place.name)
        elif place.kind == "decoration":
            found[name] = profile.decoration.format(place.name)
        else:
            found[name] = envelope.get(place.name, NOTHING)
    return found
