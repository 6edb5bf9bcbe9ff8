"""Which correlations cannot fire on the queries there are, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor

from molehunt.correlation import Correlation
from molehunt.rule import Rule, RuleSet
from molehunt.taxonomy import SUBJECT, Taxonomy

from ..enriching.inputs import NO_INPUTS, Inputs, lacking
from ..matching.fields import resolve, why_not
from ..records import Binding


def blind_correlations(
    ruleset: RuleSet, bindings: Sequence[Binding], taxonomy: Taxonomy, inputs: Inputs = NO_INPUTS
) -> list[tuple[Correlation, str]]:
    """Each correlation that cannot fire, with the reason in words."""
    rules = {rule.id: rule for rule in ruleset.rules}
    titles = {one.id: one.title for one in ruleset.both}
    found: dict[str, str] = {}
    for one in ruleset.correlations:
        dead = {}
        for place, reference in enumerate(one.rules):
            why = found.get(reference, "")
            if reference in rules:
                names = (*one.group_by, *one.value_fields)
                fields = [f for name in names if (f := one.field(place, name)) != SUBJECT]
                why = lacking(rules[reference], inputs) or _why_not(
                    rules[reference], fields, bindings, taxonomy
                )
            if why:
                dead[place] = f"{titles[reference]} [{reference}]: {why}"
        if _is_dead(one, dead):
            found[one.id] = "; ".join(dead.values())
    return [(one, found[one.id]) for one in ruleset.correlations if one.id in found]


def _why_not(
    rule: Rule, fields: Iterable[str], bindings: Sequence[Binding], taxonomy: Taxonomy
) -> str:
    """Why no query makes the rule fire with the fields that are asked for; "" if one does."""
    why = why_not(rule, list(bindings), taxonomy)
    if why:
        return why
    maps = [found for one in bindings if (found := resolve(rule, one, taxonomy)) is not None]
    missing = [
        sorted({name for name in fields if found.places[name].kind == "absent"}) for found in maps
    ]
    fewest = min(missing, key=lambda names: (len(names), names))
    return f"no query supplies {', '.join(fewest)}" if fewest else ""


def _is_dead(one: Correlation, dead: Mapping[int, str]) -> bool:
    """Whether the condition cannot hold without the rules at these places."""
    alive = len(one.rules) - len(dead)
    if one.terms:
        return not any(all(place not in dead for place in term.needs) for term in one.terms)
    if not one.type.startswith("temporal"):
        return not alive
    needed = 1
    for op, limit in one.comparisons:
        if op in ("gte", "eq"):
            needed = max(needed, ceil(limit))
        elif op == "gt":
            needed = max(needed, floor(limit) + 1)
    return alive < needed
