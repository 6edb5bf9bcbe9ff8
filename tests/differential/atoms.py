"""One detection item, its values that match, and a second opinion on every other value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from sigma.modifiers import modifier_mapping

from .cells import Field, Logged, Seen, make_cell
from .texts import as_text, edits, filler, no_case, swap_case

Truth = bool | None
Cells = dict[Field, Logged]


class Site(NamedTuple):
    """What an item is made for: its random numbers, its store, the fields there are.

    `spare` is a column that no other item uses; keywords are put there.
    """

    rng: Random
    store: str
    fields: Sequence[Field]
    spare: Field


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A detection item. `key` and `value` are its YAML (`key` is "" for bare keywords).

    `holds` says whether it is true of a record, None where that is not known; `good` makes cells
    that make it true, `near` edits one cell.
    """

    construct: str
    key: str
    value: Any
    fields: tuple[Field, ...]
    holds: Callable[[Seen], Truth]
    good: Callable[[Random], Cells]
    near: Callable[[Random, Cells], Cells] | None = None


def supported(key: str) -> bool:
    """Whether the installed pySigma knows every modifier of an item's key."""
    return all(modifier in modifier_mapping for modifier in key.split("|")[1:])


# --- Strings -------------------------------------------------------------------------------------

STAR, ONE = object(), object()
Pattern = list[Any]


def as_yaml(rng: Random, parts: Pattern) -> str:
    """A pattern as a Sigma value, everything special in its texts escaped.

    The specification, "Escape Character": a backslash needs escaping only before `*`, `?` or another
    backslash.
    """
    written = ""
    for number, part in enumerate(parts):
        if part is STAR or part is ONE:
            written += "*" if part is STAR else "?"
            continue
        last = number + 1 == len(parts)
        for place, char in enumerate(part):
            following = part[place + 1 : place + 2]
            bare = following not in ("*", "?", "\\") and (following or last) and rng.random() < 0.5
            written += "\\" + char if char in "*?" or (char == "\\" and not bare) else char
    return written


def oracle(patterns: Sequence[Pattern], cased: bool) -> Callable[[Any], bool]:
    """Whether any pattern matches a scalar, by Python's own regular expressions."""
    compiled = [
        re.compile(
            "".join(
                "[\\s\\S]*" if part is STAR else "[\\s\\S]" if part is ONE
                else re.escape(part if cased else no_case(part))
                for part in pattern
            )
        )
        for pattern in patterns
    ]  # fmt: skip

    def matches(value: Any) -> bool:
        text = as_text(value) if cased else no_case(as_text(value))
        return any(regex.fullmatch(text) for regex in compiled)

    return matches


def realised(rng: Random, pattern: Pattern, cased: bool) -> str:
    """A text that a pattern matches."""
    text = ""
    for part in pattern:
        if part is STAR:
            text += rng.choice([filler(rng), filler(rng), "", "\n" if rng.random() < 0.2 else " "])
        elif part is ONE:
            text += rng.choice("aZ7 .\u00e4\U0001f600\u0301\n")
        else:
            text += part if cased else swap_case(rng, part)
    return text


def any_value(field: Field, test: Callable[[Any], Truth]) -> Callable[[Seen], Truth]:
    """An item that holds if any value of a field passes a test."""

    def holds(seen: Seen) -> Truth:
        values = seen.values(field)
        if values is None:
            return None
        outcomes = [test(value) for value in values]
        if any(outcomes):
            return True
        return None if None in outcomes else False

    return holds


def negated(holds: Callable[[Seen], Truth]) -> Callable[[Seen], Truth]:
    """The opposite."""

    def opposite(seen: Seen) -> Truth:
        found = holds(seen)
        return None if found is None else not found

    return opposite


def one_value(site: Site, field: Field, values: Callable[[Random], Any]) -> Callable[[Random], Cells]:
    """Cells for an item of one field; in Okta, often one of several values."""

    def good(rng: Random) -> Cells:
        value = values(rng)
        if site.store != "osquery" and rng.random() < 0.3 and not isinstance(value, tuple):
            others: list[Any] = [filler(rng), None, 17, True]
            items = [value, *rng.sample(others, rng.randint(0, 3))]
            rng.shuffle(items)
            value = tuple(items) if len(items) > 1 else value
        return {field: make_cell(rng, field, value, site.store)}

    return good


def field_near(site: Site, field: Field) -> Callable[[Random, Cells], Cells]:
    """One edit of the value in a field."""

    def near(rng: Random, cells: Cells) -> Cells:
        value = cells[field].meant(False) if field in cells else ""
        return {field: make_cell(rng, field, next(edits(rng, value)), site.store)}

    return near


def string_atom(
    site: Site,
    construct: str,
    field: Field,
    modifiers: str,
    values: Sequence[str],
    patterns: Sequence[Pattern],
) -> Atom:
    """An item of strings linked by OR; `patterns` say what each of its values means."""
    cased = "cased" in modifiers
    rng = site.rng

    def value_of(rng: Random) -> Any:
        text = realised(rng, rng.choice(patterns), cased)
        return int(text) if text.isdecimal() and str(int(text)) == text and rng.random() < 0.4 else text

    return Atom(
        construct,
        field.name + modifiers,
        list(values) if len(values) > 1 or rng.random() < 0.2 else values[0],
        (field,),
        any_value(field, oracle(patterns, cased)),
        one_value(site, field, value_of),
        field_near(site, field),
    )


def around(modifier: str, parts: Pattern) -> Pattern:
    """What `contains`, `startswith` and `endswith` make of a pattern."""
    before = [STAR] if modifier in ("contains", "endswith") and parts[:1] != [STAR] else []
    after = [STAR] if modifier in ("contains", "startswith") and parts[-1:] != [STAR] else []
    return [*before, *parts, *after] if parts or modifier == "" else [STAR]
