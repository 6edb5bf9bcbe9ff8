r"""RE2's regular expressions as osquery's `regex_match` reads them: `std::regex`, ECMAScript.

Facts (osquery/sql/sqlite_string.cpp): the pattern has at most 256 bytes, letter case counts, bytes
and not characters are looked at. Classes such as `\s` are written out, since the two define them
differently. Python's own parser reads the pattern; what RE2 reads otherwise is refused first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from molehunt.conditions import Regex

from ..model import Unsayable

try:
    from re import _parser as sre  # type: ignore[attr-defined]
except ImportError:  # pragma: no cover - before Python 3.11
    import sre_parse as sre

LONGEST = 256
_OTHERWISE = re.compile(r"\\[pPQECzZA]|\[\[:|\(\?(?![:P]|[is]+\))|\(\?P[^<]|\\[0-9x]")
_WRITTEN = {
    "CATEGORY_DIGIT": "0-9",
    "CATEGORY_SPACE": r"\t\n\f\r ",
    "CATEGORY_WORD": "0-9A-Za-z_",
}
_NEGATED = {
    "CATEGORY_NOT_DIGIT": "CATEGORY_DIGIT",
    "CATEGORY_NOT_SPACE": "CATEGORY_SPACE",
    "CATEGORY_NOT_WORD": "CATEGORY_WORD",
}
_SPECIAL = frozenset(".^$|()[]{}*+?\\/")
_CONTROLS = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\f": r"\f", "\v": r"\v"}


@dataclass(frozen=True, slots=True)
class Translated:
    """`patterns` are alternatives of at most 256 bytes. With `lower`, the text is to be lowered
    first. `differences` are codes of ways in which they answer otherwise."""

    patterns: tuple[str, ...]
    lower: bool
    differences: frozenset[str]


@dataclass(slots=True)
class _Notes:
    lower: bool
    any_character: str
    differences: set[str] = field(default_factory=set)
    # What alternatives are written as, since each split of a long choice writes them again; by
    # identity, with the alternative so that nothing else can come to have it.
    written: dict[int, tuple[Any, str]] = field(default_factory=dict)


@lru_cache(maxsize=1 << 12)
def translate(value: Regex) -> Translated:
    """The patterns for `regex_match`. Raises Unsayable with a code."""
    if _OTHERWISE.search(value.pattern.replace("\\\\", "")):
        raise Unsayable(
            "regex", "the regular expression has something that osquery reads otherwise"
        )
    if "m" in value.flags:
        raise Unsayable("regex_lines", "osquery's regular expressions know no beginning of a line")
    try:
        tree = sre.parse(value.pattern, re.ASCII if value.pattern.isascii() else 0)
    except (re.error, OverflowError, RecursionError):
        raise Unsayable(
            "regex", "the regular expression has something that osquery lacks"
        ) from None
    flags = tree.state.flags
    lower = "i" in value.flags or bool(flags & re.IGNORECASE)
    whole = "s" in value.flags or bool(flags & re.DOTALL)
    notes = _Notes(lower, r"[\s\S]" if whole else r"[^\n]")
    patterns = tuple(_split(list(tree), notes))
    if lower and any(letter in pattern for pattern in patterns for letter in "ks"):
        # RE2 takes U+212A for k and U+017F for s.
        notes.differences.add("regex_folding")
    return Translated(patterns, lower, frozenset(notes.differences))


def _split(items: list[Any], notes: _Notes) -> Iterator[str]:
    """Patterns that together mean the sequence, none longer than osquery takes."""
    text = _sequence(items, notes)
    if len(text.encode()) <= LONGEST:
        yield text
        return
    place, branches = _largest(items)
    if place is None:
        raise Unsayable("regex_long", f"the regular expression is longer than {LONGEST} bytes")
    before, after = items[:place], items[place + 1 :]
    half = max(1, len(branches) // 2)
    for part in (branches[:half], branches[half:]):
        one = list(part[0]) if len(part) == 1 else [(sre.BRANCH, (None, list(part)))]
        yield from _split([*before, *one, *after], notes)


def _largest(items: Sequence[Any]) -> tuple[int | None, list[Any]]:
    """The place of the sequence's longest choice, and what there is to choose from."""
    best: tuple[int | None, list[Any]] = (None, [])
    for place, (op, arg) in enumerate(items):
        while op is sre.SUBPATTERN and len(arg[3]) == 1:
            op, arg = arg[3][0]  # noqa: PLW2901 - a group around a choice is the choice
        if op is sre.BRANCH and len(arg[1]) > len(best[1]):
            best = (place, list(arg[1]))
        elif op is sre.SUBPATTERN:
            inner, branches = _largest(list(arg[3]))
            if inner is not None and len(branches) > len(best[1]):
                group = list(arg[3])
                best = (place, [[*group[:inner], *one, *group[inner + 1 :]] for one in branches])
        elif op is sre.MAX_REPEAT and tuple(arg[:2]) == (0, 1):
            found = _largest(list(arg[2]))[1]
            if len(found) + 1 > len(best[1]):
                best = (place, [list(arg[2]), []])
    return best


def _sequence(items: Sequence[Any], notes: _Notes) -> str:
    return "".join(_item(op, arg, notes) for op, arg in items)


def _item(op: Any, arg: Any, notes: _Notes) -> str:
    if op is sre.LITERAL:
        return _literal(arg, notes)
    if op is sre.NOT_LITERAL:
        return _one(_class([(sre.NEGATE, None), (sre.LITERAL, arg)], notes), notes)
    if op is sre.ANY:
        return _one(notes.any_character, notes)
    if op is sre.IN:
        text = _class(arg, notes)
        return _one(text, notes) if text.startswith("[^") else text
    if op is sre.BRANCH:
        return "(" + "|".join(_alternative(one, notes) for one in arg[1]) + ")"
    if op is sre.SUBPATTERN:
        return _group(arg, notes)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return _repeat(arg, op is sre.MIN_REPEAT, notes)
    if op is sre.AT:
        return _place(arg)
    raise Unsayable("regex", "the regular expression has something that osquery lacks")


def _alternative(items: Any, notes: _Notes) -> str:
    known = notes.written.get(id(items))
    if known is None:
        known = notes.written[id(items)] = (items, _sequence(list(items), notes))
    return known[1]


def _group(arg: Any, notes: _Notes) -> str:
    if arg[1] or arg[2]:
        raise Unsayable("regex", "letter case of a part of a regular expression")
    inner = list(arg[3])
    if len(inner) == 1 and inner[0][0] is sre.BRANCH:
        op, choice = inner[0]
        return _item(op, choice, notes)
    return "(" + _sequence(inner, notes) + ")"


def _place(arg: Any) -> str:
    places = {"AT_BEGINNING": "^", "AT_END": "$", "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}
    found = places.get(str(arg))
    if found is None:
        raise Unsayable("regex", "the regular expression has something that osquery lacks")
    return found


def _one(text: str, notes: _Notes) -> str:
    notes.differences.add("regex_bytes")
    return text


def _literal(code: int, notes: _Notes) -> str:
    character = chr(code)
    if not character.isascii():
        if notes.lower and character.lower() != character.upper():
            raise Unsayable("regex_folding", "letter case beyond ASCII in a regular expression")
        return f"({character})"
    if code == 0:
        raise Unsayable("nul", "a text with a NUL character cannot stand in SQL")
    character = character.lower() if notes.lower else character
    return "\\" + character if character in _SPECIAL else _CONTROLS.get(character, character)


def _class(arg: Sequence[Any], notes: _Notes) -> str:
    """A class of single bytes; with its only member a negated one, that one turned round."""
    negated = bool(arg) and arg[0][0] is sre.NEGATE
    members = list(arg[1:] if negated else arg)
    if len(members) == 1 and str(members[0][1]) in _NEGATED:
        return ("[" if negated else "[^") + _WRITTEN[_NEGATED[str(members[0][1])]] + "]"
    words = {str(value) for op, value in members if op is sre.CATEGORY}
    if any({mine, other} <= words for mine, other in _NEGATED.items()):
        return r"[\s\S]"
    text = "".join(_member(op, value, notes) for op, value in members)
    return ("[^" if negated else "[") + text + "]"


def _member(op: Any, value: Any, notes: _Notes) -> str:
    if op is sre.CATEGORY:
        if str(value) not in _WRITTEN:
            raise Unsayable("regex", "a class of a regular expression that osquery lacks")
        return _WRITTEN[str(value)]
    if op is sre.LITERAL:
        return _in_class(value, notes)
    if op is sre.RANGE:
        low, high = value
        text = f"{_in_class(low, notes, False)}-{_in_class(high, notes, False)}"
        if notes.lower:
            upper = [code for code in range(low, high + 1) if chr(code).isupper()]
            if upper:
                text += f"{chr(upper[0]).lower()}-{chr(upper[-1]).lower()}"
        return text
    raise Unsayable("regex", "a class of a regular expression that osquery lacks")


def _in_class(code: int, notes: _Notes, lowering: bool = True) -> str:
    character = chr(code)
    if not character.isascii() or code == 0:
        raise Unsayable("regex_bytes", "a class of a regular expression beyond ASCII")
    if notes.lower and lowering:
        character = character.lower()
    return "\\" + character if character in "]\\^-[" else _CONTROLS.get(character, character)


def _repeat(arg: Any, lazy: bool, notes: _Notes) -> str:
    low, high, inner = arg
    items = list(inner)
    # Runs of bytes are runs of characters; single ones are not.
    before = set(notes.differences)
    text = _sequence(items, notes)
    unbounded = high is sre.MAXREPEAT
    if (
        unbounded
        and low <= 1
        and len(items) == 1
        and items[0][0] in (sre.ANY, sre.IN, sre.NOT_LITERAL)
    ):
        notes.differences = before
    single = len(items) == 1 and items[0][0] in (
        sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN, sre.SUBPATTERN, sre.BRANCH,
    )  # fmt: skip
    text = text if single else f"({text})"
    if unbounded and low in (0, 1):
        mark = "*" if low == 0 else "+"
    elif (low, high) == (0, 1):
        mark = "?"
    else:
        mark = f"{{{low}}}" if low == high else f"{{{low},{'' if unbounded else high}}}"
    return text + mark + ("?" if lazy else "")
