"""A rule's condition as query DSL over keyword fields, meaning just what docs/semantics.md says.

`True` and `False` stand for queries that match everything and nothing until they are put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from molehunt.conditions import (
    And,
    AnyOf,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Keyword,
    Not,
    Nothing,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    TimePart,
    Wanted,
    Wild,
)
from molehunt.detectors.matching.evaluate import regex, value_matches
from molehunt.detectors.matching.fields import Place
from molehunt.rule import Rule

from ..model import Bound, Subject, Unsayable
from ..remembered import remembered
from .addresses import network
from .layout import Layout, logged_names
from .lucene import whole
from .numbers import compared, equal
from .re2tree import Unsaid
from .texts import escaped_query, has_escapable, regexp, spellings, text_query

Made: TypeAlias = dict[str, Any] | bool

# Codes of reviewed.yml.
KEYWORD_LIMIT, ESCAPED_BYTES, NUMBER_SPELLING = "keyword_limit", "escaped_bytes", "number_spelling"


_NAME = Place("envelope", "name")


def query_of(subject: Subject, layout: Layout) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The query that finds a rule's matches, and the differences of it. Raises `Unsayable`."""
    rule = subject.rule
    assert isinstance(rule, Rule)
    bounds = [bound for bound in subject.bounds if bound.queries]
    if not bounds:
        raise Unsayable(
            "other_log", "this profile keeps osquery rows, and the rule reads another log"
        )
    maker, found = Maker(layout), []
    for bound in bounds:
        found += [maker.bound(rule, bound, names, subject.removed) for names in _alike(rule, bound)]
    query = any_of(found)
    if query is True or query is False:
        raise Unsayable("constant", "the condition is the same for all rows")
    return query, tuple(sorted(maker.differences))


def _alike(rule: Rule, bound: Bound) -> list[tuple[str, ...]]:
    """The queries of a bound that are compiled together: each alone if their names are asked."""
    return [(one,) for one in bound.queries] if _asks_name(rule, bound) else [bound.queries]


def _asks_name(rule: Rule, bound: Bound) -> bool:
    return any(bound.fields.places[name] == _NAME for name in rule.fields)


@dataclass(slots=True)
class Maker:
    """Writes the query of one rule; `differences` collects codes."""

    layout: Layout
    differences: set[str] = field(default_factory=set)
    bound_: Bound | None = None
    names: tuple[str, ...] = ()

    def bound(self, rule: Rule, bound: Bound, names: tuple[str, ...], removed: bool) -> Made:
        """Rows of one bound that match."""
        parts: list[Made] = [dict(self.layout.named(names))]
        if not removed:
            parts.append(negation(dict(self.layout.acted("removed"))))
        asked = names if _asks_name(rule, bound) else ()
        made, differences = remembered(
            lambda: Maker(self.layout).asked(rule, bound, names),
            asked,
            rule,
            bound.fields,
            self.layout,
        )
        self.differences |= differences
        return all_of([*parts, *made])

    def asked(
        self, rule: Rule, bound: Bound, names: tuple[str, ...]
    ) -> tuple[list[Made], frozenset[str]]:
        """What is asked of such rows beside where they are from, and the differences of it."""
        self.bound_, self.names = bound, names
        parts: list[Made] = [
            {"terms": {self.column(column): sorted(allowed)}}
            for column, allowed in bound.fields.where
        ]
        parts.append(any_of(self.condition(one) for one in rule.conditions))
        return parts, frozenset(self.differences)

    def condition(self, node: Condition) -> Made:
        """A condition. Raises `Unsayable`."""
        match node:
            case And():
                return all_of([self.condition(child) for child in node.args])
            case Or():
                return any_of([self.condition(child) for child in node.args])
            case Not():
                return negation(self.condition(node.arg))
            case FieldIs():
                return self.field(node.field, node.value)
            case Keyword():
                raise Unsayable("keywords", "a text in any column cannot be looked for")

    def field(self, name: str, value: Wanted) -> Made:
        """One field against what is wanted."""
        assert self.bound_ is not None
        if isinstance(value, AnyOf):
            return any_of([self.field(name, one) for one in value.values])
        place = self.bound_.fields.places[name]
        if isinstance(value, Text) and not value.parts:
            value = Nothing()
        if place.kind == "absent":
            return isinstance(value, Nothing) or value == Exists(False)
        if isinstance(value, Reference):
            raise Unsayable("field_reference", "two fields of a row cannot be compared")
        if isinstance(value, TimePart):
            raise Unsayable("time_part", "a part of a time that is kept as text cannot be told")
        if place.kind == "envelope":
            return self.envelope(place.name, value)
        if place.kind == "decoration":
            if not self.layout.profile.decoration:
                raise Unsayable("decorations", "this profile has no decorations")
            return self.value(self.layout.profile.decoration.format(place.name), place, value)
        return self.value(self.column(place.name), place, value)

    def column(self, name: str) -> str:
        """The name of a column in the store."""
        profile = self.layout.profile
        return profile.columns.get(name) or profile.column.format(name)

    def envelope(self, name: str, value: Wanted) -> Made:
        """A part of the envelope against what is wanted."""
        profile = self.layout.profile
        if name == "name":
            return self.query_name(value)
        if name == "action":
            if not isinstance(value, Text) or not all(isinstance(p, str) for p in value.parts):
                raise Unsayable("envelope", "an action is compared with a whole word only")
            return dict(self.layout.acted("".join(map(str, value.parts)).lower()))
        if name == "counter":
            return _counter(profile.counter, value)
        return self.value(profile.host, Place("envelope", name), value)

    def query_name(self, value: Wanted) -> Made:
        """The names are known, so that there is nothing left to ask."""
        if isinstance(value, (Exists, Nothing)):
            return value == Exists(True)
        logged = logged_names(self.layout.profile, self.names)
        holds = {value_matches(value, name) for name in logged}
        if len(holds) > 1:
            raise Unsayable("query_name", "the rule asks for one spelling of a query's name only")
        return holds.pop()

    def value(self, column: str, place: Place, value: Wanted) -> Made:
        """A value that stands in a field of the store."""
        try:
            return self.known(column, place.normalisers, value)
        except Unsaid as error:
            raise Unsayable("pattern", f"it has {error}") from None

    def known(self, column: str, normalisers: Sequence[str], value: Wanted) -> Made:
        """The same, but for what `Unsaid` says."""
        match value:
            case Exists():
                return self.present(column) if value.exists else negation(self.present(column))
            case Nothing():
                return negation(self.present(column))
            case Text():
                return self.text(column, normalisers, value)
            case Number():
                self.differences.add(NUMBER_SPELLING)
                return regexp(column, equal(value.number))
            case Compare():
                self.differences.add(NUMBER_SPELLING)
                return regexp(column, compared(value.operator, value.number))
            case Flag():
                wanted = Text(("true" if value.boolean else "false",))
                return self.text(column, normalisers, wanted)
            case Cidr():
                if {"hive", "audit_quotes"} & set(normalisers):
                    raise Unsaid("a network on a column that is respelt")
                return any_of([regexp(column, one) for one in network(value.network)])
            case Regex():
                return self.regex(column, normalisers, value)
            case _:
                raise TypeError(f"{value!r} is not about one value")

    def present(self, column: str) -> Made:
        """Not missing, null or "". A text that was too long to be indexed is there too."""
        indexed = {"wildcard": {column: {"value": "?*"}}}
        if not self.layout.names_ignored:
            self.differences.add(KEYWORD_LIMIT)
            return indexed
        return any_of([indexed, {"term": {"_ignored": {"value": column}}}])

    def text(self, column: str, normalisers: Sequence[str], value: Text) -> Made:
        """A text or a pattern of wildcards. Rules ask the same of several queries and of each
        other's."""
        made, differences = remembered(
            lambda: _spelt(self.layout, column, normalisers, value),
            (column, tuple(normalisers), value),
            self.layout,
        )
        self.differences |= differences
        return made

    def written(self, column: str, normalisers: Sequence[str], value: Text) -> Made:
        """The same, from what it is."""
        if all(part is Wild.ANY for part in value.parts):
            return self.present(column)
        plain = "".join(part for part in value.parts if isinstance(part, str))
        open_ended = not all(isinstance(part, str) for part in value.parts)
        escapable = "control_text" in normalisers
        if open_ended or len(plain.encode("utf-16-le", "surrogatepass")) // 2 > self.layout.limit:
            self.differences.add(KEYWORD_LIMIT)
        if escapable and (open_ended or has_escapable(value.parts) or "\\x" in plain):
            self.differences.add(ESCAPED_BYTES)
        found: list[Made] = []
        for parts in spellings(_merged(value.parts), normalisers):
            found.append(text_query(column, value, parts))
            if escapable and has_escapable(parts):
                changes = any_of([dict(self.layout.acted(one)) for one in ("added", "removed")])
                found.append(all_of([changes, escaped_query(column, value, parts)]))
        return any_of(found)

    def regex(self, column: str, normalisers: Sequence[str], value: Regex) -> Made:
        """A regular expression of RE2."""
        if {"hive", "audit_quotes", "ip"} & set(normalisers):
            raise Unsaid("a regular expression on a column that is respelt")
        self.differences.add(KEYWORD_LIMIT)
        if "control_text" in normalisers:
            self.differences.add(ESCAPED_BYTES)
        # An empty text is nothing, whatever the expression says of it.
        nullable = regex(value).search("") is not None
        found = whole(value.pattern, value.flags)
        return any_of([regexp(column, f"({one})&(.+)" if nullable else one) for one in found])


def _spelt(
    layout: Layout, column: str, normalisers: Sequence[str], value: Text
) -> tuple[Made, frozenset[str]]:
    """A text or a pattern as a query, and the differences of it."""
    maker = Maker(layout)
    return maker.written(column, normalisers, value), frozenset(maker.differences)


def _merged(parts: Iterable[str | Wild]) -> tuple[str | Wild, ...]:
    """Without stars beside stars, and with texts beside texts as one."""
    found: list[str | Wild] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, str) and isinstance(last, str):
            found[-1] = last + part
        elif not (part is Wild.ANY and last is Wild.ANY):
            found.append(part)
    return tuple(found)


_SOMETHING = ((">", 0), (">=", 1), ("!=", 0))


def _counter(column: str, value: Wanted) -> Made:
    if not column:
        raise Unsayable("envelope", "this profile does not keep osquery's counter")
    there = {"exists": {"field": column}}
    if isinstance(value, Number):
        return {"term": {column: {"value": value.number}}}
    if isinstance(value, Compare) and (value.operator, value.number) in _SOMETHING:
        # Some stores keep it as a number and some as text, of which only these can be asked alike.
        return all_of([there, negation({"term": {column: {"value": 0}}})])
    if isinstance(value, (Exists, Nothing)):
        return dict(there) if value == Exists(True) else negation(there)
    raise Unsayable("envelope", "osquery's counter can be a number, or above 0, and no more")


def all_of(parts: Iterable[Made]) -> Made:
    """All of some queries."""
    kept: list[dict[str, Any]] = []
    for part in parts:
        if part is False:
            return False
        if part is not True:
            kept += _inner(part, "filter")
    if not kept:
        return True
    return kept[0] if len(kept) == 1 else {"bool": {"filter": kept}}


def any_of(parts: Iterable[Made]) -> Made:
    """Any of some queries."""
    kept: list[dict[str, Any]] = []
    for part in parts:
        if part is True:
            return True
        if part is not False:
            kept += _inner(part, "should")
    if not kept:
        return False
    if len(kept) == 1:
        return kept[0]
    return {"bool": {"should": kept, "minimum_should_match": 1}}


def _inner(query: Any, kind: str) -> list[dict[str, Any]]:
    """The parts of a query that is itself of this kind, or the query."""
    inside = query.get("bool", {})
    return list(inside[kind]) if set(inside) - {"minimum_should_match"} == {kind} else [query]


def negation(part: Made) -> Made:
    """The opposite: rows that lack the field are among it."""
    if isinstance(part, bool):
        return not part
    inside = part.get("bool", {})
    if set(inside) == {"must_not"} and len(inside["must_not"]) == 1:
        one: dict[str, Any] = inside["must_not"][0]
        return one
    return {"bool": {"must_not": [part]}}
