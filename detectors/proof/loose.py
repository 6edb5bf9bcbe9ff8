"""Rules read more loosely: what a careless author could have written instead.

They judge near misses. A record is near if it would match had the rule been written with one
condition less or one condition looser; a record that none of these takes in is merely elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from molehunt.conditions import (
    And,
    AnyOf,
    Condition,
    FieldIs,
    Keyword,
    Not,
    Or,
    Text,
    Wanted,
    Wild,
    fields_of,
    flat,
)

# What stands around a name in paths, domains and options.
_EDGES = " /\\.:-_=*\"'"


def loosened(conditions: tuple[Condition, ...]) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    """For each field: its texts as bare words anywhere in the record; and its condition ignored.

    Names and conditions.
    """
    for field in dict.fromkeys(name for node in conditions for name in fields_of(node)):
        yield (
            f"{field}: bare words, in any field",
            tuple(_mapped(c, field, _anywhere) for c in conditions),
        )
        yield f"{field}: ignored", tuple(_mapped(c, field, _always) for c in conditions)


def _mapped(node: Condition, field: str, change: Callable[[FieldIs], Condition]) -> Condition:
    match node:
        case And():
            return And(tuple(_mapped(child, field, change) for child in node.args))
        case Or():
            return Or(tuple(_mapped(child, field, change) for child in node.args))
        case FieldIs() if node.field == field:
            return change(node)
        case _:
            # A filter is not loosened by making it wider; the mutants take filters out.
            return node


def _always(node: FieldIs) -> Condition:
    return Or((node, Not(node)))


def _anywhere(node: FieldIs) -> Condition:
    words = [word for value in flat(node.value) if (word := _bare(value)) is not None]
    return Keyword(AnyOf(tuple(words))) if words else node


def _bare(value: Wanted) -> Text | None:
    if not isinstance(value, Text):
        return None
    texts = [part.strip(_EDGES) for part in value.parts if isinstance(part, str)]
    texts = [text for text in texts if text]
    if not texts:
        return None
    parts: list[str | Wild] = [Wild.ANY]
    for text in texts:
        parts += [text, Wild.ANY]
    return Text(tuple(parts))
