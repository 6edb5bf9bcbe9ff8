"""A rule on a sign-in log as query DSL over the fields that an integration makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from typing import Any, NamedTuple

from molehunt.conditions import (
    And,
    AnyOf,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Not,
    Nothing,
    Number,
    Reference,
    Text,
    Wanted,
)
from molehunt.rule import Rule

from ..model import Subject, Unsayable
from .dsl import Made, Maker, all_of, any_of, negation
from .layout import Kept, Layout, SignIns

# Codes of reviewed.yml.
TYPED_FIELD, NULL_IS_MISSING = "typed_field", "null_is_missing"

_MAPPED = ip_network("::ffff:0:0/96")
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def kept_in(subject: Subject, layout: Layout) -> SignIns | None:
    """The sign-in log that a rule reads, if the store keeps it."""
    stores = {bound.fields.store.name for bound in subject.bounds if not bound.queries}
    return layout.signins.get(stores.pop()) if len(stores) == 1 else None


class Compared(NamedTuple):
    """That two fields, by their names in the store, have a text in common, or that they do not."""

    mine: str
    other: str
    wanted: bool


def signin_query(
    subject: Subject, layout: Layout, source: SignIns, compared: list[Compared] | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The query that finds a rule's matches, and the differences of it. Raises `Unsayable`. Where
    the store can compare two fields by other means, `compared` collects what must hold beside the
    query."""
    rule, (bound,) = subject.rule, subject.bounds
    assert isinstance(rule, Rule)
    maker = _Maker(layout, bound_=bound, source=source)
    conditions = list(rule.conditions)
    if compared is not None and len(conditions) == 1:
        parts = list(_conjuncts(conditions[0]))
        compared += [one for part in parts if (one := maker.comparison(part))]
        conditions = [And(tuple(part for part in parts if not _referring(part)))]
    test = any_of([maker.condition(one) for one in conditions])
    if test is True or test is False:
        raise Unsayable("constant", "the condition is the same for all events")
    query = all_of([dict(source.guard), test])
    assert isinstance(query, dict)
    return query, tuple(sorted(maker.differences))


def kept_field(name: str, source: SignIns) -> Kept:
    """Where a field is. Raises `Unsayable` if it was never looked up."""
    found = source.fields.get(name)
    if found is None:
        raise Unsayable("unknown_field", f"where {name} is kept was not looked up")
    return found


def _conjuncts(node: Condition) -> Iterator[Condition]:
    """The parts of a condition all of which must hold."""
    if isinstance(node, And):
        for child in node.args:
            yield from _conjuncts(child)
    else:
        yield node


def _referring(node: Condition) -> bool:
    """Whether this says, or denies, that one field is another."""
    inner = node.arg if isinstance(node, Not) else node
    return isinstance(inner, FieldIs) and isinstance(inner.value, Reference)


@dataclass(slots=True)
class _Maker(Maker):
    source: SignIns = field(kw_only=True)

    def comparison(self, node: Condition) -> Compared | None:
        """The two fields that a part of a condition compares, if it does."""
        inner = node.arg if isinstance(node, Not) else node
        if not (isinstance(inner, FieldIs) and isinstance(inner.value, Reference)):
            return None
        if inner.value.starts or inner.value.ends:
            raise Unsayable("field_reference", "a part of a field is not compared with another")
        assert self.bound_ is not None
        found = [
            self.kept(self.bound_.fields.places[name].name)
            for name in (inner.field, inner.value.field)
        ]
        if any(one.type != "keyword" or one.asked for one in found):
            raise Unsayable("field_reference", "only texts are compared with one another")
        mine, other = (one.name for one in found)
        return Compared(mine, other, inner is node)

    def field(self, name: str, value: Wanted) -> Made:
        """A field of the log where the integration put it."""
        assert self.bound_ is not None
        if not self.bound_.fields.store.empty_is_null:
            if isinstance(value, Text) and not value.parts:
                raise Unsayable("empty_text", "an empty text is not kept apart from a missing one")
            if isinstance(value, (Exists, Nothing)):
                self.differences.add(NULL_IS_MISSING)
        place = self.bound_.fields.places[name]
        if place.kind == "column" and not isinstance(value, (AnyOf, Reference)):
            kept = self.kept(place.name)
            if kept.asked is not None:
                return kept.asked(value)
        # Of several values each is asked alone, on its way through here again.
        return Maker.field(self, name, value)

    def column(self, name: str) -> str:
        return self.kept(name).name

    def kept(self, name: str) -> Kept:
        """Where a field is. Raises `Unsayable` if it was never looked up."""
        found = kept_field(name, self.source)
        if found.difference:
            self.differences.add(found.difference)
        return found

    def known(self, column: str, normalisers: Sequence[str], value: Wanted) -> Made:
        types = {one.type for one in self.source.fields.values() if one.name == column}
        if types == {"keyword"}:
            # Named, as zero-argument super() is not to be had in a class with slots.
            return Maker.known(self, column, normalisers, value)
        self.differences.add(TYPED_FIELD)
        (kind,) = types
        there = {"exists": {"field": column}}
        match kind, value:
            case _, Exists() | Nothing():
                return dict(there) if value == Exists(True) else negation(dict(there))
            case "ip", Cidr():
                return _network(column, value.network)
            case "long", Number():
                whole = float(value.number).is_integer()
                return {"term": {column: {"value": int(value.number)}}} if whole else False
            case "long", Compare() if value.operator in _BOUNDS:
                return {"range": {column: {_BOUNDS[value.operator]: value.number}}}
            case "boolean", Flag():
                return {"term": {column: {"value": value.boolean}}}
        raise Unsayable("typed", f"{column} is of the type {kind}, and cannot be asked for that")


def _network(column: str, wanted: str) -> Made:
    """The type `ip` keeps an IPv4 address as its mapped IPv6 address."""
    network = ip_network(wanted)
    if isinstance(network, IPv6Network) and network.overlaps(_MAPPED):
        raise Unsayable("typed", f"{wanted} has IPv4 addresses in it there")
    return {"term": {column: {"value": wanted}}}
