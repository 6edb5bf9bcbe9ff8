"""The texts that every match of a regular expression must hold.

Only what is certain: whatever is not plainly understood ends a run, and makes nothing certain where
it could change the meaning of the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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


class NotUnderstoodError(Exception):
    """The pattern, or a part of it, means more than is known here."""


def runs_of(pattern: str, flags: str) -> Runs:
    """Sets of runs of printable ASCII: of each set, one stands in every text that matches.

    Letter case is not certain. Empty if nothing is certain.
    """
    reader = _Reader(pattern, "i" in flags or CASELESS.search(pattern) is not None)
    try:
        found = reader.alternatives()
    except (NotUnderstoodError, RecursionError):
        return []
    return found if reader.place == len(pattern) else []


@dataclass(slots=True)
class _Sequence:
    """What is known of the elements read so far; `run` is the run still growing."""

    found: Runs = field(default_factory=list)
    run: str = ""

    def end(self) -> None:
        if self.run:
            self.found.append(frozenset([self.run]))
        self.run = ""


@dataclass(slots=True)
class _Reader:
    pattern: str
    caseless: bool
    place: int = 0

    def alternatives(self) -> Runs:
        """`a|b|c` up to the end or a closing bracket."""
        branches = [self._sequence()]
        while self._next() == "|":
            self.place += 1
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        best = [_longest(branch) for branch in branches]
        texts = frozenset(text for one in best if one for text in one)
        return [texts] if all(best) and len(texts) <= MAX_ALTERNATIVES else []

    def _sequence(self) -> Runs:
        sequence = _Sequence()
        while self._next() not in ("", "|", ")"):
            self._element(sequence)
        sequence.end()
        return sequence.found

    def _element(self, sequence: _Sequence) -> None:
        character = self._next()
        flags = FLAGS.match(self.pattern, self.place)
        if flags is not None:
            self.place = flags.end()
            return
        if character == "(":
            self._group(sequence)
            return
        text = self._single(character)
        least, most = self._quantifier()
        if text == "" or least == 0 or (self.caseless and text in FOLDS_OUT):
            sequence.end()
            return
        sequence.run += text
        if (least, most) != (1, 1):
            sequence.end()

    def _group(self, sequence: _Sequence) -> None:
        begin = GROUP.match(self.pattern, self.place)
        assert begin is not None
        self.place = begin.end()
        inner = self.alternatives()
        if self._next() != ")":
            raise NotUnderstoodError
        self.place += 1
        sequence.end()
        if self._quantifier()[0] > 0:
            sequence.found += inner

    def _single(self, character: str) -> str:
        """One character, as text if it stands for itself, "" if it is one of several."""
        if character == "\\":
            return self._escape()
        if character == "[":
            match = CLASS.match(self.pattern, self.place)
            if match is None:
                raise NotUnderstoodError
            self.place = match.end()
            return ""
        if character in "*+?":
            raise NotUnderstoodError
        self.place += 1
        return character if " " <= character <= "~" and character not in ".^$" else ""

    def _escape(self) -> str:
        following = self.pattern[self.place + 1 : self.place + 2]
        if not following or following in "QEpPxC" or following.isdigit():
            raise NotUnderstoodError
        self.place += 2
        return following if " " <= following <= "~" and not following.isalnum() else ""

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
