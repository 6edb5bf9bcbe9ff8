"""Conditions as functions: the fast half of matching.

`compile_condition` turns a condition into one function over a row. It shares no code for
comparing with `evaluate`, so that each checks the other; the differential test holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_network
from operator import ge, gt, le, lt, ne
from typing import Any, TypeAlias

from molehunt.conditions import (
    And,
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
    flat,
)
from molehunt.normalise import NORMALISERS, parse_ip
from molehunt.taxonomy import Store

from ..records import Record, Row
from ..values import as_number, as_text, as_time, fold
from .expressions import Test, regex_test
from .fields import FieldMap, Place
from .globs import string_test

# Either has all that is asked of it.
Read: TypeAlias = Row | Record
Predicate = Callable[[Read], bool]
Getter = Callable[[Read], Any]

_DIFFERENTIAL = frozenset({"added", "removed"})


def compile_condition(condition: Condition, fields: FieldMap) -> Predicate:
    """A function that says whether the condition holds on a row of the query behind `fields`."""
    if isinstance(condition, And):
        return _all_of([compile_condition(child, fields) for child in condition.args])
    if isinstance(condition, Or):
        return _any_of(_alternatives(condition.args, fields))
    if isinstance(condition, Not):
        inner = compile_condition(condition.arg, fields)
        return lambda row: not inner(row)
    if isinstance(condition, FieldIs):
        return _field(condition.field, [condition.value], fields)
    return _keyword([condition.value], fields.store)


def compile_where(fields: FieldMap) -> Predicate | None:
    """The taxonomy's `where` as a function; None if every row belongs."""
    allowed = [(column, frozenset(values)) for column, values in fields.where]
    if not allowed:
        return None
    return lambda row: all(as_text(row.values.get(name)) in ok for name, ok in allowed)  # type: ignore[arg-type]


def _all_of(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda row: first(row) and second(row)

    def holds(row: Read) -> bool:
        for part in parts:
            if not part(row):
                return False
        return True

    return holds


def _any_of(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def holds(row: Read) -> bool:
        for part in parts:
            if part(row):
                return True
        return False

    return holds


def _alternatives(children: Sequence[Condition], fields: FieldMap) -> list[Predicate]:
    """The branches of an OR, those on one field gathered into one test."""
    by_field: dict[str, list[Wanted]] = {}
    words: list[Wanted] = []
    others: list[Condition] = []
    for child in children:
        if isinstance(child, FieldIs):
            by_field.setdefault(child.field, []).append(child.value)
        elif isinstance(child, Keyword):
            words.append(child.value)
        else:
            others.append(child)
    found = [_field(name, values, fields) for name, values in by_field.items()]
    if words:
        found.append(_keyword(words, fields.store))
    return found + [compile_condition(child, fields) for child in others]


def getter(place: Place, store: Store) -> Getter:
    """A function from a row to the field's value, normalised; None where there is nothing."""
    if place.kind == "column":
        read: Getter = _column(place.name)
    elif place.kind == "decoration":
        read = _decoration(place.name)
    elif place.kind == "envelope":
        read = _ENVELOPE[place.name]
    else:
        return _absent
    return _clean(read, place.normalisers, store.empty_is_null)


def _column(name: str) -> Getter:
    return lambda row: row.values.get(name)


def _decoration(name: str) -> Getter:
    return lambda row: row.decorations.get(name)


def _absent(_row: Read) -> None:
    return None


_ENVELOPE: dict[str, Getter] = {
    "action": lambda row: row.action,
    "name": lambda row: row.query,
    "host": lambda row: row.host,
    "counter": lambda row: row.counter,
}


def _clean(read: Getter, names: tuple[str, ...], empty_is_null: bool) -> Getter:
    """Values as the rule sees them. Several values stay a tuple, without those that are nothing."""
    always = [NORMALISERS[name].value for name in names if name != "control_text"]
    decode = NORMALISERS["control_text"].value if "control_text" in names else None

    def one(value: Any, row: Read) -> Any:
        if type(value) is str:
            if decode is not None and "\\x" in value and row.action in _DIFFERENTIAL:
                value = decode(value)
            for normalise in always:
                value = normalise(value)
        return value

    def get(row: Read) -> Any:
        value = read(row)
        if value is None or (value == "" and empty_is_null):
            return None
        if type(value) is tuple:
            kept = tuple(
                one(item, row)
                for item in value
                if not (item is None or (item == "" and empty_is_null))
            )
            return kept or None
        return one(value, row)

    return get


def _field(name: str, values: list[Wanted], fields: FieldMap) -> Predicate:
    """One field against alternatives."""
    place, store = fields.places[name], fields.store
    get = getter(place, store)
    found = [item for value in values for item in flat(value)]
    special = [p for value in found if (p := _special(value, place, get, fields)) is not None]
    plain = [value for value in found if not _is_special(value, store)]
    parts = [*special, *([_valued(get, _tests(plain))] if plain else [])]
    return _any_of(parts)


def _is_special(value: Wanted, store: Store) -> bool:
    empty = isinstance(value, Text) and not value.parts and store.empty_is_null
    return empty or isinstance(value, (Nothing, Exists, Reference))


def _special(value: Wanted, place: Place, get: Getter, fields: FieldMap) -> Predicate | None:
    """Values that look at more than the field's content: null, existence, another field."""
    if isinstance(value, Exists):
        there = _there(place, get, fields.store)
        return there if value.exists else lambda row: not there(row)
    if isinstance(value, Reference):
        return _reference(value, get, getter(fields.places[value.field], fields.store))
    if _is_special(value, fields.store):
        return lambda row: get(row) is None
    return None


def _there(place: Place, get: Getter, store: Store) -> Predicate:
    if place.kind == "column" and not store.empty_is_null:
        return lambda row: place.name in row.values
    return lambda row: get(row) is not None


def _reference(reference: Reference, get: Getter, other: Getter) -> Predicate:
    compare = _REFERENCES[reference.starts, reference.ends]

    def holds(row: Read) -> bool:
        mine, theirs = get(row), other(row)
        if mine is None or theirs is None:
            return False
        rights = [fold(as_text(item)) for item in _several(theirs)]
        return any(
            compare(left, right)
            for left in (fold(as_text(item)) for item in _several(mine))
            for right in rights
        )

    return holds


_REFERENCES: dict[tuple[bool, bool], Callable[[str, str], bool]] = {
    (False, False): lambda left, right: left == right,
    (True, False): lambda left, right: left.startswith(right),
    (False, True): lambda left, right: left.endswith(right),
    (True, True): lambda left, right: right in left,
}


def _several(value: Any) -> tuple[Any, ...]:
    return value if type(value) is tuple else (value,)


def _valued(get: Getter, test: Test) -> Predicate:
    def holds(row: Read) -> bool:
        value = get(row)
        if value is None:
            return False
        if type(value) is tuple:
            return any(test(item) for item in value)
        return test(value)

    return holds


def _tests(values: list[Wanted]) -> Test:
    texts = [value for value in values if isinstance(value, Text)]
    tests: list[Test] = []
    folded = [_fold_parts(value) for value in texts if not value.cased]
    if folded:
        matches = string_test(folded)
        tests.append(lambda value: matches(fold(as_text(value))))
    cased = [value.parts for value in texts if value.cased]
    if cased:
        matches_cased = string_test(cased)
        tests.append(lambda value: matches_cased(as_text(value)))
    expressions = [value for value in values if isinstance(value, Regex)]
    if expressions:
        tests.append(regex_test(expressions))
    tests += [_test(value) for value in values if not isinstance(value, (Text, Regex))]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _fold_parts(value: Text) -> list[Any]:
    return [fold(part) if isinstance(part, str) else part for part in value.parts]


_COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge, "!=": ne}


def _test(value: Wanted) -> Test:
    match value:
        case TimePart():
            return _time_test(value)
        case Number(number=number):
            return lambda actual: as_number(actual) == number
        case Flag(boolean=boolean):
            text = "true" if boolean else "false"
            return lambda actual: fold(as_text(actual)) == text
        case Regex():
            return regex_test([value])
        case Cidr(network=network):
            return _cidr(network)
        case Compare(operator=operator, number=number):
            return _comparison(_COMPARE[operator], number)
        case _:
            raise TypeError(f"{value!r} is not about one value")


def _time_test(value: TimePart) -> Test:
    part, number = value

    def holds(actual: Any) -> bool:
        moment = as_time(actual)
        if moment is None:
            return False
        found = moment.isocalendar()[1] if part == "week" else getattr(moment, part)
        return bool(found == number)

    return holds


def _comparison(compare: Callable[[Any, Any], bool], number: int | float) -> Test:
    def holds(actual: Any) -> bool:
        found = as_number(actual)
        return found is not None and compare(found, number)

    return holds


def _cidr(text: str) -> Test:
    network = ip_network(text)
    first, last = int(network.network_address), int(network.broadcast_address)
    version, parse = network.version, _parse_cached

    def holds(actual: Any) -> bool:
        address = parse(as_text(actual))
        return address is not None and address.version == version and first <= int(address) <= last

    return holds


_parse_cached = lru_cache(maxsize=8192)(parse_ip)


def _keyword(values: list[Wanted], store: Store) -> Predicate:
    """Any of the keywords in any value of the row."""
    found = [item for value in values for item in flat(value)]
    strings = [item for item in found if isinstance(item, Text)]
    words = [_word(item) for item in found if isinstance(item, (Number, Flag))]
    others = [_test(item) for item in found if not isinstance(item, (Text, Number, Flag))]
    tests = [*([_tests_anywhere(strings)] if strings else []), *others]
    if words:
        inside = string_test([[word] for word in words], anywhere=True)
        tests.append(lambda text: inside(fold(text)))
    getters: dict[str, Getter] = {}

    def holds(row: Read) -> bool:
        for name in row.values:
            get = getters.get(name)
            if get is None:
                get = getters[name] = _clean(_column(name), store.text, store.empty_is_null)
            found = get(row)
            for item in () if found is None else _several(found):
                text = as_text(item)
                for test in tests:
                    if test(text):
                        return True
        return False

    return holds


def _word(value: Number | Flag) -> str:
    if isinstance(value, Flag):
        return "true" if value.boolean else "false"
    return fold(str(value.number))


def _tests_anywhere(values: list[Text]) -> Test:
    plain = string_test([_fold_parts(v) for v in values if not v.cased], anywhere=True)
    cased = string_test([v.parts for v in values if v.cased], anywhere=True)
    return lambda text: plain(fold(text)) or cased(text)
