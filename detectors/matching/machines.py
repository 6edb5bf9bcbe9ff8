r"""Regular expressions as tables of states, for texts of ASCII.

A machine goes through a text byte by byte and tells whether RE2 would find a match in it
(https://github.com/google/re2/wiki/Syntax). What is not plainly understood, and what would take too
many states, has none.

A state is a set of places in the expression and what stood before: nothing, a character of a word,
or another one. So `^`, `$`, `\b` and `\B` are told when the next character is known, and whether
there is a match is told one character late, or at the end.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from .regexruns import CLASS, FLAGS, GROUP, NotUnderstoodError, quantifier

ASCII = 128
# States and places, beyond which there is no machine.
MAX_STATES, MAX_PLACES = 300, 1500
# In a table: there is a match.
MATCHED = 0xFFFF

_ALL = frozenset(range(ASCII))
_DIGITS = frozenset(b"0123456789")
_WORD = _DIGITS | frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_BLANK = frozenset(b"\t\n\f\r ")
_NAMED = {"d": _DIGITS, "w": _WORD, "s": _BLANK} | {
    "D": _ALL - _DIGITS,
    "W": _ALL - _WORD,
    "S": _ALL - _BLANK,
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_WIDTHLESS = {"A": "^", "z": "$", "b": "b", "B": "B"}
_BEGIN, _OTHER, _LETTER = range(3)

Set = frozenset[int]


class Machine(NamedTuple):
    """`classes` has for each byte of ASCII the column of the `table`, whose last one is for the end
    of the text; a row of `width` unsigned numbers of two bytes is a state, the first one is where a
    text begins, and the numbers are the states that follow, or `MATCHED`."""

    classes: bytes
    width: int
    table: bytes


@lru_cache(maxsize=4096)
def machine(pattern: str, flags: str) -> Machine | None:
    """What tells whether a text of ASCII holds a match of RE2's `pattern` with these of the flags
    `i`, `m` and `s`; None if it is not understood or takes too much."""
    if not pattern.isascii() or "m" in flags or not set(flags) <= set("is"):
        return None
    reader = _Reader(pattern, _Flags("i" in flags, "s" in flags))
    try:
        first = reader.alternatives(reader.graph.end)
        return _table(reader.graph, first) if reader.place == len(pattern) else None
    except (NotUnderstoodError, RecursionError):
        return None


class _Flags(NamedTuple):
    caseless: bool
    any_is_all: bool


@dataclass(slots=True)
class _Graph:
    """Places by number: at each the sets of bytes that lead on, and where one stands, too, if what
    is asked there holds ("" asks nothing). The first place is the end of a match."""

    steps: list[list[tuple[Set, int]]] = field(default_factory=lambda: [[]])
    free: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])

    end = 0

    def place(self) -> int:
        """A new one."""
        if len(self.steps) >= MAX_PLACES:
            raise NotUnderstoodError
        self.steps.append([])
        self.free.append([])
        return len(self.steps) - 1


class _Element(NamedTuple):
    """A set of characters, what is asked of a place, or a group by where it stands."""

    characters: Set | None = None
    asked: str = ""
    group: tuple[int, _Flags] | None = None


@dataclass(slots=True)
class _Reader:
    """Reads a pattern into a graph, from behind: each part is told to which place it leads."""

    pattern: str
    flags: _Flags
    place: int = 0
    graph: _Graph = field(default_factory=_Graph)

    def alternatives(self, to: int) -> int:
        """`a|b|c` up to the end or a closing bracket: the place where it begins."""
        outer = self.flags
        begin = self.graph.place()
        while True:
            self.graph.free[begin].append(("", self._sequence(to)))
            if self._next() != "|":
                break
            self.place += 1
        self.flags = outer
        return begin

    def _sequence(self, to: int) -> int:
        elements: list[tuple[_Element, int, int]] = []
        while self._next() not in ("", "|", ")"):
            element = self._element()
            if element is not None:
                least, most, self.place = quantifier(self.pattern, self.place)
                elements.append((element, least, most))
        behind = self.place, self.flags
        for element, least, most in reversed(elements):
            to = self._repeated(element, least, most, to)
        self.place, self.flags = behind
        return to

    def _element(self) -> _Element | None:
        """The next one, skipped over; None if it only sets flags."""
        flags = FLAGS.match(self.pattern, self.place)
        if flags is not None:
            self.place = flags.end()
            self.flags = self._set(flags[0])
            return None
        character = self._next()
        if character == "(":
            begin = GROUP.match(self.pattern, self.place)
            assert begin is not None
            outer, inner = self.flags, self._set(begin[0] if begin[0].endswith(":") else "")
            start = self.place = begin.end()
            self.flags = inner
            self._skip()
            self.flags = outer
            return _Element(group=(start, inner))
        if character in "*+?{}]":
            # RE2 takes some of these as they are; seldom enough.
            raise NotUnderstoodError
        if character in "^$":
            self.place += 1
            return _Element(asked=character)
        if character == "\\":
            following = self.pattern[self.place + 1 : self.place + 2]
            if following in _WIDTHLESS and following:
                self.place += 2
                return _Element(asked=_WIDTHLESS[following])
        return _Element(self._characters(character))

    def _characters(self, character: str) -> Set:
        if character == "[":
            match = CLASS.match(self.pattern, self.place)
            if match is None:
                raise NotUnderstoodError
            self.place = match.end()
            return _class(match[0], self.flags.caseless)
        if character == ".":
            self.place += 1
            return _ALL if self.flags.any_is_all else _ALL - {10}
        found, self.place = _one(self.pattern, self.place)
        return _folded(found, self.flags.caseless)

    def _set(self, text: str) -> _Flags:
        on, _, off = text.partition("-")
        if "m" in on or "m" in off:
            raise NotUnderstoodError
        caseless = ("i" in on or self.flags.caseless) and "i" not in off
        return _Flags(caseless, ("s" in on or self.flags.any_is_all) and "s" not in off)

    def _skip(self) -> None:
        """Over a group."""
        while True:
            while self._next() not in ("", "|", ")"):
                if self._element() is not None:
                    _, _, self.place = quantifier(self.pattern, self.place)
            if self._next() == "":
                raise NotUnderstoodError
            self.place += 1
            if self.pattern[self.place - 1] == ")":
                return

    def _repeated(self, element: _Element, least: int, most: int, to: int) -> int:
        if most < 0:
            begin = self.graph.place()
            self.graph.free[begin] += [("", self._once(element, begin)), ("", to)]
            to = begin
        for _ in range(most - least):
            begin = self.graph.place()
            self.graph.free[begin] += [("", self._once(element, to)), ("", to)]
            to = begin
        for _ in range(least):
            to = self._once(element, to)
        return to

    def _once(self, element: _Element, to: int) -> int:
        if element.group is not None:
            self.place, self.flags = element.group
            return self.alternatives(to)
        begin = self.graph.place()
        if element.characters is not None:
            self.graph.steps[begin].append((element.characters, to))
        else:
            self.graph.free[begin].append((element.asked, to))
        return begin

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]


def _one(pattern: str, place: int) -> tuple[Set, int]:
    """The characters that a plain character or an escape is, and where the pattern goes on."""
    character = pattern[place]
    if character != "\\":
        return frozenset([ord(character)]), place + 1
    following = pattern[place + 1 : place + 2]
    if following in _NAMED and following:
        return _NAMED[following], place + 2
    if following in _CONTROLS and following:
        return frozenset([ord(_CONTROLS[following])]), place + 2
    if not following or following.isalnum():
        raise NotUnderstoodError
    return frozenset([ord(following)]), place + 2


def _class(text: str, caseless: bool) -> Set:
    """The characters of a class, brackets and all."""
    place, end = 1, len(text) - 1
    without = text[1] == "^"
    place += without
    found: set[int] = set()
    first = True
    while place < end:
        if text.startswith("[:", place) or (text[place] == "]" and not first):
            raise NotUnderstoodError
        first = False
        one, place = _one(text, place)
        if text[place : place + 1] == "-" and place + 1 < end:
            other, place = _one(text, place + 1)
            if len(one) != 1 or len(other) != 1 or min(one) > min(other):
                raise NotUnderstoodError
            one = frozenset(range(min(one), min(other) + 1))
        found |= one
    folded = _folded(found, caseless)
    return _ALL - folded if without else folded


def _folded(characters: Iterable[int], caseless: bool) -> Set:
    if not caseless:
        return frozenset(characters)
    return frozenset(
        ord(same) for code in characters for same in (chr(code).lower(), chr(code).upper())
    )


def _table(graph: _Graph, first: int) -> Machine:
    classes, members = _classes(graph)
    asks_words = any(asked in ("b", "B") for free in graph.free for asked, _ in free)
    start = (frozenset([first]), _BEGIN)
    numbers = {start: 0}
    table = array("H")
    waiting = [start]
    for state in waiting:
        for byte in (*members, None):
            follows = _follows(graph, state, byte, first, asks_words)
            if follows is None:
                table.append(MATCHED)
                continue
            if follows not in numbers:
                if len(numbers) >= MAX_STATES:
                    raise NotUnderstoodError
                numbers[follows] = len(numbers)
                waiting.append(follows)
            table.append(numbers[follows])
    return Machine(classes, len(members) + 1, table.tobytes())


_State = tuple[frozenset[int], int]


def _follows(
    graph: _Graph, state: _State, byte: int | None, first: int, asks_words: bool
) -> _State | None:
    """The state after a byte, or after the end; None if there is a match before it."""
    places, before = state
    word = byte in _WORD
    at = set(_reached(graph, places, before, word, byte is None))
    if graph.end in at:
        return None
    if byte is None:
        return state
    then = {to for place in at for characters, to in graph.steps[place] if byte in characters}
    return frozenset(then | {first}), _LETTER if word and asks_words else _OTHER


def _reached(
    graph: _Graph, places: frozenset[int], before: int, word: bool, ends: bool
) -> Iterator[int]:
    """The places where one stands without a further character, between what stood before and a
    character of a word, another one or the end."""
    holds = {
        "": True,
        "^": before == _BEGIN,
        "$": ends,
        "b": (before == _LETTER) != word,
        "B": (before == _LETTER) == word,
    }
    seen, waiting = set(places), list(places)
    for place in waiting:
        yield place
        for asked, to in graph.free[place]:
            if holds[asked] and to not in seen:
                seen.add(to)
                waiting.append(to)


def _classes(graph: _Graph) -> tuple[bytes, list[int]]:
    """Bytes that no set and no word tells apart are of one class: the class of each, and a byte of
    each class."""
    sets = {characters for steps in graph.steps for characters, _ in steps} | {_WORD}
    ordered = sorted(sets, key=sorted)
    known: dict[tuple[bool, ...], int] = {}
    classes, members = bytearray(), list[int]()
    for byte in range(ASCII):
        kind = tuple(byte in one for one in ordered)
        if kind not in known:
            known[kind] = len(known)
            members.append(byte)
        classes.append(known[kind])
    return bytes(classes), members


def holds(made: Machine, text: str) -> bool:
    """What the part in C does with it: whether a text of ASCII holds a match."""
    table, state = array("H", made.table), 0
    for byte in text.encode("ascii"):
        state = table[state * made.width + made.classes[byte]]
        if state == MATCHED:
            return True
    return table[state * made.width + made.width - 1] == MATCHED
