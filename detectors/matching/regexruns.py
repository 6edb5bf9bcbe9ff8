"""The texts that every match of a regular expression must hold.

Only what is certain: whatever is not plainly understood ends a run, and makes nothing certain where
it could change the meaning of the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

# Of each set at least one text stands in whatever matches.
Runs = list[frozenset[str]]

CASELESS = re.compile(r"\(\?[msU]*i")
FLAGS = re.compile(r"\(\?[imsU]+(?:-[imsU]+)?\)")
GROUP = re.compile(r"\((?:\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?:))?")
_QUANTIFIER = re.compile(r"[*+?]\??|\{\d*(?:,\d*)?\}\??")
CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]")
# Letters that RE2 takes for the same as a character outside ASCII when case does not count
# (U+017F and U+212A fold to them).
FOLDS_OUT = frozenset("kKsS")
MAX_ALTERNATIVES = 64
# A few characters in brackets that mean nothing there; and how many texts may come of such.
_FEW = re.compile(r"\[(-?(?:[\w %&'+,./:;<=>@#!\"$*?(){}|~]|\\[^\w\s]){0,4})\]", re.ASCII)
_ONE = re.compile(r"\\?(.)")
MAX_TOGETHER = 32
_EMPTY = frozenset([""])
_AT_MOST_ONCE = ((0, 1), (1, 1))
# Where something stands or does not, which takes no character.
_WIDTHLESS = frozenset(("^", "$", r"\b", r"\B", r"\A", r"\z"))


class NotUnderstoodError(Exception):
    """The pattern, or a part of it, means more than is known here."""


def runs_of(pattern: str, flags: str, in_ascii: bool = False) -> Runs:
    """Sets of runs of printable ASCII: of each set, one stands in every text that matches, or with
    `in_ascii` in every such text of ASCII.

    Letter case is not certain unless it counts. Empty if nothing is certain.
    """
    found = _read(pattern, is_caseless(pattern, flags) and not in_ascii)
    return [] if found is None else found.runs


def least_length(pattern: str) -> int:
    """How many characters there are at least in whatever matches."""
    found = _read(pattern, caseless=True)
    return 0 if found is None else found.least


def _read(pattern: str, caseless: bool) -> _Branches | None:
    reader = _Reader(pattern, caseless)
    try:
        found = reader.alternatives()
    except (NotUnderstoodError, RecursionError):
        return None
    return found if reader.place == len(pattern) else None


def is_caseless(pattern: str, flags: str) -> bool:
    """Whether letter case may not count in some part of a regular expression. If it does, so it
    does in what `runs_of` finds."""
    return "i" in flags or CASELESS.search(pattern) is not None


@dataclass(slots=True)
class _Sequence:
    """What is known of the elements read so far: `runs` are those of which one is still growing.
    `whole` says that this is all there is, so that just these texts match; `least` is how many
    characters those have at least."""

    found: Runs = field(default_factory=list)
    runs: frozenset[str] = _EMPTY
    whole: bool = True
    least: int = 0

    def add(self, texts: frozenset[str]) -> None:
        """One of the texts stands there, and nothing else."""
        if len(self.runs) * len(texts) > MAX_TOGETHER:
            self.end()
        self.runs = frozenset(run + text for run in self.runs for text in texts)

    def times(self, texts: frozenset[str], least: int, most: int) -> None:
        """One of the texts stands there so often."""
        if (least, most) in _AT_MOST_ONCE:
            self.add(texts if least else texts | _EMPTY)
            return
        if least:
            self.add(texts)
        self.end()

    def end(self) -> None:
        """Something else stands there, or may."""
        self.whole = False
        self.close()

    def close(self) -> None:
        """It is over."""
        if all(self.runs):
            # What holds another of them says no more than that.
            least = {one for one in self.runs if not any(o in one for o in self.runs - {one})}
            self.found.append(frozenset(least))
        if not self.whole:
            self.runs = _EMPTY


class _Branches(NamedTuple):
    """What is known of alternatives; `exact` are the texts if those are all that match."""

    runs: Runs
    exact: frozenset[str]
    least: int


@dataclass(slots=True)
class _Reader:
    pattern: str
    caseless: bool
    place: int = 0

    def alternatives(self) -> _Branches:
        """`a|b|c` up to the end or a closing bracket."""
        branches = [self._sequence()]
        while self._next() == "|":
            self.place += 1
            branches.append(self._sequence())
        exact = frozenset[str]()
        if all(branch.whole for branch in branches):
            exact = exact.union(*(branch.runs for branch in branches))
        least = min(branch.least for branch in branches)
        if len(branches) == 1:
            return _Branches(branches[0].found, exact, least)
        best = [_longest(branch.found) for branch in branches]
        texts = frozenset(text for one in best if one for text in one)
        certain = all(best) and len(texts) <= MAX_ALTERNATIVES
        return _Branches([texts] if certain else [], exact, least)

    def _sequence(self) -> _Sequence:
        sequence = _Sequence()
        while self._next() not in ("", "|", ")"):
            self._element(sequence)
        sequence.close()
        return sequence

    def _element(self, sequence: _Sequence) -> None:
        character = self._next()
        flags = FLAGS.match(self.pattern, self.place)
        if flags is not None:
            self.place = flags.end()
            return
        if character == "(":
            self._group(sequence)
            return
        start = self.place
        texts = self._single(character)
        width = self.pattern[start : self.place] not in _WIDTHLESS
        least, most = self._quantifier()
        sequence.least += least * width
        if not texts or (self.caseless and not FOLDS_OUT.isdisjoint(texts)):
            sequence.end()
        else:
            sequence.times(texts, least, most)

    def _group(self, sequence: _Sequence) -> None:
        begin = GROUP.match(self.pattern, self.place)
        assert begin is not None
        self.place = begin.end()
        inner, exact, length = self.alternatives()
        if self._next() != ")":
            raise NotUnderstoodError
        self.place += 1
        counts = self._quantifier()
        sequence.least += counts[0] * length
        if exact and counts in _AT_MOST_ONCE:
            sequence.times(exact, *counts)
            return
        sequence.end()
        if counts[0] > 0:
            sequence.found += inner

    def _single(self, character: str) -> frozenset[str]:
        """The characters of which one stands here; none if there are many or others."""
        if character == "\\":
            return self._escape()
        if character == "[":
            match = CLASS.match(self.pattern, self.place)
            if match is None:
                raise NotUnderstoodError
            self.place = match.end()
            few = _FEW.fullmatch(match[0])
            return frozenset(_ONE.findall(few[1]) if few else ())
        if character in "*+?":
            raise NotUnderstoodError
        self.place += 1
        plain = " " <= character <= "~" and character not in ".^$"
        return frozenset([character] if plain else [])

    def _escape(self) -> frozenset[str]:
        following = self.pattern[self.place + 1 : self.place + 2]
        if not following or following in "QEpPxC" or following.isdigit():
            raise NotUnderstoodError
        self.place += 2
        plain = " " <= following <= "~" and not following.isalnum()
        return frozenset([following] if plain else [])

    def _quantifier(self) -> tuple[int, int]:
        least, most, self.place = quantifier(self.pattern, self.place)
        return least, most

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]


def quantifier(pattern: str, place: int) -> tuple[int, int, int]:
    """How often the element before `place` stands, at least and at most (-1: without end), and
    where the pattern goes on."""
    match = _QUANTIFIER.match(pattern, place)
    if match is None:
        return 1, 1, place
    text = match[0]
    if text[0] == "{":
        counts = re.fullmatch(r"\{(\d+)(,?)(\d*)\}\??", text)
        if counts is None:
            raise NotUnderstoodError
        least = int(counts[1])
        return least, least if not counts[2] else int(counts[3] or -1), match.end()
    return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[text[0]] + (match.end(),)


def _longest(branch: Runs) -> frozenset[str]:
    return max(branch, key=lambda texts: min(map(len, texts)), default=frozenset())
