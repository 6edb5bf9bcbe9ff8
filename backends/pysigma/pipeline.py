"""The pySigma pipeline that ties one rule to one way of reading the pack.

It maps the rule's fields to the store's columns, and adds what our own compilers add: the names of
the queries, the rows of the log source, and that the row was not removed.
"""

from __future__ import annotations

from typing import Any

from ..model import Bound, Profile

NOTHING = "nothing"
"""A column of the store that is empty in every row: the place of fields that a query lacks."""


def pipeline(bound: Bound, profile: Profile, removed: bool) -> Any:
    """A `sigma.processing.pipeline.ProcessingPipeline`."""
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
    from sigma.processing.transformations import (
        AddConditionTransformation,
        FieldMappingTransformation,
    )

    names = [pattern.format(name) for pattern in profile.names for name in bound.queries]
    guards: list[tuple[dict[str, Any], bool]] = [({profile.query: sorted(names)}, False)]
    for column, allowed in bound.fields.where:
        guards.append(({profile.column.format(column): list(allowed)}, False))
    if not removed:
        guards.append(({profile.action: "removed"}, True))
    items = [ProcessingItem(FieldMappingTransformation(_mapping(bound, profile)))]
    for number, (condition, negated) in enumerate(guards):
        transformation = AddConditionTransformation(
            conditions=condition, name=f"_molehunt_{number}", negated=negated
        )
        items.append(ProcessingItem(transformation))
    return ProcessingPipeline(items=items, name="molehunt")


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
