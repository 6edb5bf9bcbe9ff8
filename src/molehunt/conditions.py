"""What a rule's condition is, as plain values: the tree that is matched, explained and cached.

pySigma parses (`sigmatree` turns its objects into these); nothing below this level knows pySigma.
A node is `And`, `Or`, `Not`, `FieldIs` or `Keyword`; what is wanted of a field or keyword is one of
the other classes. None is compared with `==` across classes: they are tuples.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeAlias


class Wild(IntEnum):
    """A wildcard in a text: `*` is any run of characters, `?` exactly one."""

    ANY = 0
    ONE = 1


class Text(NamedTuple):
    """A text with wildcards; letter case counts only if `cased`. No parts: the empty text."""

    parts: tuple[str | Wild, ...]
    cased: bool = False


class Number(NamedTuple):
    """A number."""

    number: int | float


class Flag(NamedTuple):
    """true or false."""

    boolean: bool


class Nothing(NamedTuple):
    """null: the field has no value."""


class Exists(NamedTuple):
    """The field is there, or is not."""

    exists: bool


class Regex(NamedTuple):
    """A regular expression in RE2's syntax, unanchored; `flags` of `i`, `m`, `s`, sorted."""

    pattern: str
    flags: str = ""


class Cidr(NamedTuple):
    """An IPv4 or IPv6 network."""

    network: str


class Compare(NamedTuple):
    """A number on the other side of `<`, `<=`, `>`, `>=` or `!=`."""

    operator: str
    number: int | float


class Reference(NamedTuple):
    """Another field's value, or with `starts` or `ends` its beginning or end (both: a part)."""

    field: str
    starts: bool = False
    ends: bool = False


class TimePart(NamedTuple):
    """A part of a time: minute, hour, day, week, month or year."""

    part: str
    number: int | float


class AnyOf(NamedTuple):
    """Alternatives."""

    values: tuple[Wanted, ...]


Wanted: TypeAlias = (
    Text | Number | Flag | Nothing | Exists | Regex | Cidr | Compare | Reference | TimePart | AnyOf
)


class FieldIs(NamedTuple):
    """One field against what is wanted of it."""

    field: str
    value: Wanted


class Keyword(NamedTuple):
    """Something wanted in any value of the record."""

    value: Wanted


class And(NamedTuple):
    """All of them."""

    args: tuple[Condition, ...]


class Or(NamedTuple):
    """Any of them."""

    args: tuple[Condition, ...]


class Not(NamedTuple):
    """The opposite."""

    arg: Condition


Condition: TypeAlias = And | Or | Not | FieldIs | Keyword


def flat(value: Wanted) -> Iterator[Wanted]:
    """The alternatives in a wanted value, or the value itself."""
    if isinstance(value, AnyOf):
        for item in value.values:
            yield from flat(item)
    else:
        yield value


def fields_of(node: Condition) -> Iterator[str]:
    """The field names of a condition, those behind `fieldref` included; with repeats."""
    if isinstance(node, (And, Or)):
        for child in node.args:
            yield from fields_of(child)
    elif isinstance(node, Not):
        yield from fields_of(node.arg)
    elif isinstance(node, FieldIs):
        yield node.field
        for value in flat(node.value):
            if isinstance(value, Reference):
                yield value.field


def has_keyword(node: Condition) -> bool:
    """Whether a condition asks for something in any value of the record."""
    if isinstance(node, (And, Or)):
        return any(map(has_keyword, node.args))
    return has_keyword(node.arg) if isinstance(node, Not) else isinstance(node, Keyword)
