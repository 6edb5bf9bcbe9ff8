"""What rules ask of single columns, as the judge in C tests it: see `judge` and `native/atoms.h`.

An atom is one thing wanted of one column's text. What the judge cannot tell for certain it asks of
the caller, for texts that hold a literal without which the answer is no.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_network
from typing import NamedTuple

from molehunt.conditions import (
    Cidr,
    Compare,
    Exists,
    Flag,
    Nothing,
    Number,
    Regex,
    Text,
    Wanted,
    Wild,
)
from molehunt.normalise import NORMALISERS

from ..values import fold
from .regexruns import is_caseless, least_length, runs_of

AT_START, AT_END, CASED, TO_MATCH, UNSURE, SET_BITS = 1, 2, 4, 8, 16, 8
WITHIN, OUTSIDE, IPV4, IPV6 = range(4)
# Sets of literals of which each must have one in a text.
MAX_SETS = 4
# Shorter ones are found too often to be asked for besides others, unless these may be common: then
# sets of so few.
LONG = 4
COMMON, FEW = 1e-4, 4
# The only characters that say something alone.
_RARE = frozenset("\"#$%&'()*+,;<>?@[]^`{|}~")
# Characters that most command lines and paths have.
_EVERYWHERE = frozenset(" -./\\:=eatinors")
# How a pattern has its wildcards; a text with one of these characters is none.
ANY, ONE = "\0", "\1"
MAX_LITERAL = 4096
# Longer texts are not judged.
MAX_LEAST = 1 << 15
MAX_INTEGER = 2**53
_LEAST, _MOST = -(2**63), 2**63 - 1

Parts = tuple[str | Wild, ...]


class Cut(NamedTuple):
    """A text with wildcards as what is searched for: a plain part of it, how it is anchored, and
    the whole pattern where that part is not all."""

    literal: str
    kind: int
    pattern: str


@dataclass(slots=True)
class Column:
    """What is asked of one column, as the judge takes it."""

    words: bool = True
    text: bytearray = field(default_factory=bytearray)
    literals: array[int] = field(default_factory=lambda: array("I"))
    hard: array[int] = field(default_factory=lambda: array("I"))
    wide: array[int] = field(default_factory=lambda: array("I"))
    empty: array[int] = field(default_factory=lambda: array("I"))
    filled: array[int] = field(default_factory=lambda: array("I"))
    numbers: array[int] = field(default_factory=lambda: array("q"))

    def literal(self, atom: int, text: str, kind: int) -> None:
        """Have a literal say something of an atom."""
        data = text.encode()
        self.literals.extend((len(self.text), len(data), atom, kind))
        self.text += data

    def packed(self) -> list[bytes]:
        """As `native/shapes.h` reads it."""
        parts = (self.literals, self.hard, self.wide, self.empty, self.filled, self.numbers)
        return [bytes(self.text), *(part.tobytes() for part in parts)]


class Atoms:
    """Atoms by number, and the columns that they ask of. `asks` has, for those of which the judge
    may not be sure, the leaf of a rule that tells: the rule's number and the leaf's."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.globs = array("I")
        self.patterns = bytearray()
        self.asks: dict[int, tuple[int, int]] = {}
        self.prices: list[float] = []
        self.sets = bytearray()
        # Those that are true where a literal of theirs stands, and those that may be.
        self.searched: set[int] = set()
        self.needing: set[int] = set()
        # Of atoms that are asked for because they are expressions.
        self.regexes: dict[int, Regex] = {}
        self.least = array("I")
        self._known: dict[tuple[object, ...], int] = {}

    def of(
        self,
        name: str,
        normalisers: tuple[str, ...],
        value: Wanted,
        leaf: tuple[int, int],
        anywhere: bool = False,
    ) -> int:
        """The atom for a value wanted of a column; `anywhere`: in any part of it, as for keywords.
        Nothing and the empty text are one."""
        # 1 and 1.0 are equal, and so are tuples whatever their class.
        same = repr(value) if isinstance(value, Number | Compare) else value
        key = (name, normalisers, anywhere, type(value), same)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.prices)
            column = self.columns.setdefault(name, Column())
            self.prices.append(1.0)
            self.sets.append(0)
            self.least.append(_least(value, normalisers))
            if not anywhere or not _no_number(value):
                column.words = False
            self._take(column, found, normalisers, value, leaf, anywhere)
        return found

    def _take(
        self,
        column: Column,
        atom: int,
        normalisers: tuple[str, ...],
        value: Wanted,
        leaf: tuple[int, int],
        anywhere: bool,
    ) -> None:
        if isinstance(value, Flag):
            value = Text(("true" if value.boolean else "false",))
        elif anywhere and isinstance(value, Number):
            value = Text((fold(str(value.number)),))
        whole = _whole(column, value, anywhere)
        if whole is not None:
            whole.append(atom)
            return
        if isinstance(value, Text) and _AS_LOGGED.issuperset(normalisers):
            parts = (Wild.ANY, *value.parts, Wild.ANY) if anywhere else value.parts
            cut = cut_text(parts, value.cased)
            if cut is not None:
                self._search(column, atom, cut, value.cased, leaf)
                return
        self.asks[atom] = leaf
        if isinstance(value, Regex) and _AS_LOGGED.issuperset(normalisers):
            self.regexes[atom] = value
        limits = _limits(value, normalisers)
        if limits is not None:
            column.numbers.extend((atom, *limits))
            self.prices[atom] = 0.01
        elif isinstance(value, Text) and any(map(_is_wide, value.parts)):
            # No fold makes such a character of an ASCII one.
            column.wide.append(atom)
            self.prices[atom] = 0.1
        else:
            self._need(column, atom, value, normalisers)

    def _need(self, column: Column, atom: int, value: Wanted, normalisers: Sequence[str]) -> None:
        """Have it asked only of texts that hold what is certain to be there, if anything is."""
        needed = _needed(value, normalisers)
        if not needed:
            column.hard.append(atom)
            return
        self.needing.add(atom)
        cased = isinstance(value, Regex) and not is_caseless(value.pattern, value.flags)
        if isinstance(value, Regex) and not cased:
            # Letters outside ASCII can be the same as some of it.
            column.wide.append(atom)
        for number, texts in enumerate(needed):
            self.sets[atom] |= 1 << number
            for text in texts:
                kind = UNSURE | number << SET_BITS
                column.literal(atom, text if cased else text.lower(), kind | CASED * cased)
        self.prices[atom] = min(sum(map(price, texts)) for texts in needed)

    def _search(
        self, column: Column, atom: int, cut: Cut, cased: bool, leaf: tuple[int, int]
    ) -> None:
        kind = cut.kind | (CASED if cased else 0)
        self.searched.add(atom)
        self.prices[atom] = price(cut.literal)
        column.literal(atom, cut.literal, kind)
        if kind & TO_MATCH:
            data = cut.pattern.encode()
            self.globs.extend((atom, len(self.patterns), len(data), int(cased)))
            self.patterns += data
            self.asks[atom] = leaf


def price(literal: str) -> float:
    """The share of texts that a literal may stand in, guessed."""
    if len(literal) == 1:
        return 0.1 if literal in _RARE else 1.0
    return max(0.4 ** (len(literal) - 1), 1e-7)


def cut_text(parts: Parts, cased: bool) -> Cut | None:
    """What is searched for to find a text with wildcards; None if it has no plain part, or one that
    a search of bytes would not find in every spelling."""
    plain = [(index, part) for index, part in enumerate(parts) if isinstance(part, str)]
    if not plain or not all(_is_bytes(part, cased) for _, part in plain):
        return None
    folded = [part if cased or isinstance(part, Wild) else fold(part) for part in parts]
    index, _ = max(plain, key=lambda one: _rarity(one[1]))
    literal = folded[index]
    assert isinstance(literal, str)
    if len(literal) > MAX_LITERAL:
        return None
    kind = (AT_START if index == 0 else 0) | (AT_END if index == len(parts) - 1 else 0)
    others = [part for place, part in enumerate(parts) if place != index]
    if len(others) <= 2 and all(part is Wild.ANY for part in others):
        at_ends = all(place in (0, len(parts) - 1) for place in range(len(parts)) if place != index)
        if at_ends:
            return Cut(literal, kind, "")
    signs = {Wild.ANY: ANY, Wild.ONE: ONE}
    pattern = "".join(signs[part] if isinstance(part, Wild) else part for part in folded)
    return Cut(literal, kind | TO_MATCH, pattern)


def _rarity(part: str) -> float:
    return len(part) + 0.5 * sum(character not in _EVERYWHERE for character in part)


@cache
def _is_bytes(part: str, cased: bool) -> bool:
    """Whether the text is found by its bytes: outside ASCII only characters of one case."""
    if ANY in part or ONE in part:
        return False
    if part.isascii():
        return True
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return cased or all(c.isascii() or _has_no_case(c) for c in part)


def _has_no_case(character: str) -> bool:
    sign = unicodedata.category(character)[0] in "PS"
    return sign and character.lower() == character == character.upper()


def _is_wide(part: str | Wild) -> bool:
    return isinstance(part, str) and not part.isascii()


def _no_number(value: Wanted) -> bool:
    """Whether a word surely does not stand in a whole number."""
    if not isinstance(value, Text) or any(isinstance(part, Wild) for part in value.parts):
        return False
    return any(not ("0" <= character <= "9") for part in value.parts for character in str(part))


def _whole(column: Column, value: Wanted, anywhere: bool) -> array[int] | None:
    """Which of a column's lists is for such a value: those that hold for the empty text, or for
    every other; None if it depends on the text."""
    if isinstance(value, Exists):
        return column.filled if value.exists else column.empty
    if isinstance(value, Text) and set(value.parts) <= {Wild.ANY}:
        return column.filled if value.parts or anywhere else column.empty
    return column.empty if isinstance(value, Nothing) else None


def _limits(value: Wanted, normalisers: Sequence[str]) -> tuple[int, int, int] | None:
    """The whole numbers that are as wanted, from the least to the most, or the others; the same of
    addresses."""
    if isinstance(value, Cidr):
        return _network(value) if _KEEPS_ADDRESSES.issuperset(normalisers) else None
    if not _AS_LOGGED.issuperset(normalisers):
        return None
    if not isinstance(value, Number | Compare):
        return None
    number = value.number
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > MAX_INTEGER:
        return None
    if isinstance(value, Number):
        return number, number, WITHIN
    return {
        "<": (_LEAST, number - 1, WITHIN),
        "<=": (_LEAST, number, WITHIN),
        ">": (number + 1, _MOST, WITHIN),
        ">=": (number, _MOST, WITHIN),
        "!=": (number, number, OUTSIDE),
    }[value.operator]


_AS_LOGGED = frozenset(("control_text",))
_KEEPS_ADDRESSES = frozenset(("control_text", "ip"))


def _network(value: Cidr) -> tuple[int, int, int]:
    network = ip_network(value.network)
    if network.version == 6:
        return 0, 0, IPV6
    return int(network.network_address), int(network.broadcast_address), IPV4


def _least(value: Wanted, normalisers: Sequence[str]) -> int:
    """How many bytes a text has at least that is as wanted."""
    if isinstance(value, Regex) and _AS_LOGGED.issuperset(normalisers):
        return min(least_length(value.pattern), MAX_LEAST)
    return 0


def _needed(value: Wanted, normalisers: Sequence[str]) -> list[list[str]]:
    """Sets of texts, of each of which one stands, letter case aside, in whatever is as wanted; none
    if nothing is certain."""
    if isinstance(value, Regex):
        found = [list(runs) for runs in runs_of(value.pattern, value.flags, in_ascii=True)]
    elif isinstance(value, Text):
        found = [[run] for part in value.parts if isinstance(part, str) for run in _runs(part)]
    else:
        return []
    sets = [[_raw(run, normalisers) for run in runs] for runs in found]
    sets = [runs for runs in sets if runs and all(map(_says_something, runs))]
    sets.sort(key=lambda runs: sum(map(price, runs)))
    least = [min(map(len, runs)) for runs in sets]
    if least and least[0] < LONG:
        return sets[:2]
    long = [runs for runs, size in zip(sets, least, strict=True) if size >= LONG]
    if long and min(sum(map(price, runs)) for runs in long) > COMMON:
        long += [
            runs
            for runs, size in zip(sets, least, strict=True)
            if 1 < size < LONG and len(runs) <= FEW and not any(map(str.isdigit, runs))
        ]
    return long[:MAX_SETS]


def _says_something(run: str) -> bool:
    return len(run) > 1 or run in _RARE


def _runs(part: str) -> Iterator[str]:
    run = ""
    for character in part:
        if " " <= character <= "~":
            run += character
        elif run:
            yield run
            run = ""
    if run:
        yield run


def _raw(run: str, normalisers: Sequence[str]) -> str:
    for name in reversed(normalisers):
        run = NORMALISERS[name].raw_run(run)
    return run[:MAX_LITERAL]
