r"""Regular expressions over decoded text, as expressions over the raw line that holds it.

Whatever the first finds in a JSON string, the second finds in the line that spells it; it may find
more. So it is a sign to look, like a literal, and is searched for together with the literals.

What is relied on: printable ASCII is spelled as itself but for `\"` and `\\` (lines with
`necessary.ESCAPES` are looked into anyway), everything else as one of `OTHER`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .regexruns import (
    CASELESS,
    CLASS,
    FLAGS,
    FOLDS_OUT,
    GROUP,
    NotUnderstoodError,
    quantifier,
)

# What is not printable ASCII: its bytes, JSON's escapes, osquery's escapes inside JSON.
OTHER = rb"[\x00-\x09\x0b-\x1f\x7f-\xff]|\\u[0-9a-f]{4}|\\[bfnrt]|\\\\x[0-9a-f]{2}"
_OTHER_BYTES = rb"\x00-\x09\x0b-\x1f\x7f-\xff"
_OTHER_ENDS = b"0-9a-fnrt"
# Bytes of a character in UTF-8, halves of a pair of surrogates.
_UNITS = 4
# More repetitions than this are not counted; less than this many bytes are no sign.
MAX_COUNTED = 8
MIN_BYTES = 3
# Without so many plain bytes together, an open repetition near the beginning costs too much.
MIN_RUN = 3
MAX_PATTERN = 4000
# The end of the text, or one of a set of characters, as the last thing in a pattern.
_SET = rf"\\[dDwWsS]|{CLASS.pattern}"
_LAST = re.compile(rf"\$\Z|\((?:\?:)?(?:\$\||(?={_SET}\|\$))({_SET})(?:\|\$)?\)\Z")
_PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
_ZERO_WIDTH = frozenset("bBAz")
_CONTROLS = frozenset("ntrfva")


class Raw(NamedTuple):
    """An expression over bytes, the least number of bytes that it takes, and how many plain bytes
    are sure to stand together in it. A set of characters has the sets of bytes with which they can
    begin and end."""

    text: bytes
    least: int
    run: int = 0
    first: bytes = b""
    last: bytes = b""


def raw_regex(pattern: str, flags: str) -> bytes | None:
    """An expression for Hyperscan (letter case aside), without open repetitions, that finds
    something in every line in which a JSON string holds a match of RE2's `pattern`; None if none is
    known or worth it."""
    writer = _Writer(pattern, "i" in flags or CASELESS.search(pattern) is not None)
    try:
        found = writer.alternatives()
    except (NotUnderstoodError, RecursionError):
        return None
    whole = writer.place == len(pattern) and len(found.text) <= MAX_PATTERN
    return found.text if whole and found.least >= MIN_BYTES and not gaps_of(found.text) else None


def raw_parts(pattern: str, flags: str) -> list[bytes]:
    """Expressions that each find something wherever the pattern does: stretches of the pattern
    without an open repetition, and such with one. The pattern may have any number of them. Of
    alternatives each gives its best stretch to one expression."""
    ways = _ways(pattern, flags)
    found: dict[bytes, None] = {}
    for gaps in (0, 1):
        if len(ways) == 1:
            found.update(dict.fromkeys(text for text, _ in _long_enough(ways[0], gaps)))
        elif (best := _best(ways, gaps)) is not None:
            found[best] = None
    return [text for text in found if len(text) <= MAX_PATTERN]


def raw_best(pattern: str, flags: str) -> bytes | None:
    """The most telling of those without an open repetition; None if there is none."""
    found = _best(_ways(pattern, flags), 0)
    return found if found is not None and len(found) <= MAX_PATTERN else None


def _best(ways: list[list[_Part]], gaps: int) -> bytes | None:
    stretches = [list(_long_enough(parts, gaps)) for parts in ways]
    if not stretches or not all(stretches):
        return None
    best = [max(there, key=lambda one: one[1])[0] for there in stretches]
    return b"|".join(dict.fromkeys(best))


def _ways(pattern: str, flags: str) -> list[list[_Part]]:
    """The elements of each alternative; none if not all of the pattern is understood."""
    writer = _Writer(pattern, "i" in flags or CASELESS.search(pattern) is not None)
    try:
        ways = [writer.elements()]
        while pattern[writer.place : writer.place + 1] == "|":
            writer.place += 1
            ways.append(writer.elements())
    except (NotUnderstoodError, RecursionError):
        return []
    return ways if writer.place == len(pattern) else []


def _long_enough(parts: list[_Part], gaps: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Stretches as expressions, with how telling they are."""
    for stretch in _stretches(parts, gaps):
        raws = _without_ends([_repeated(*part) for part in stretch])
        least, run = sum(raw.least for raw in raws), _longest_run(raws)
        if least >= MIN_BYTES and (not gaps or (run >= MIN_RUN and not _has_short_side(raws))):
            yield b"".join(raw.text for raw in raws), (run, least)


def _has_short_side(raws: list[Raw]) -> bool:
    """Whether only one or two plain bytes stand before or behind an open repetition: Hyperscan 5.4
    loses some of these, if a literal of two bytes is searched for too."""
    return any(
        sum(raw.least for raw in side) < MIN_RUN and all(raw.run == raw.least for raw in side)
        for place, gap in enumerate(raws)
        if gaps_of(gap.text)
        for side in (raws[:place], raws[place + 1 :])
    )


def gaps_of(expression: bytes) -> int:
    """How many open repetitions an expression has (literals in it are hexadecimal)."""
    return expression.count(b"*") + expression.count(b"+") + expression.count(b",}")


# An element, and how often it stands there at least and at most.
_Part = tuple[Raw, int, int]


def _stretches(parts: list[_Part], gaps: int) -> Iterator[list[_Part]]:
    """The longest stretches of elements with no or one open repetition, without what need not be
    there at their ends. Of an open repetition beside it a stretch has what stands next to it."""
    opened = [gaps_of(_repeated(*part).text) for part in parts]
    bounds = [-1, *(place for place, count in enumerate(opened) if count), len(parts)]
    for first, middle, last in zip(bounds, bounds[1:], bounds[1 + gaps :], strict=False):
        # Of a repetition inside an element it is not known what stands beside it.
        if gaps and gaps_of(parts[middle][0].text):
            continue
        before = [_next_to(parts[first])] if first >= 0 else []
        after = [_next_to(parts[last])] if last < len(parts) else []
        yield _trimmed([*before, *parts[first + 1 : last], *after])


def _next_to(part: _Part) -> _Part:
    once, least, _ = part
    sure = 0 if gaps_of(once.text) else min(least, 1)
    return once, sure, sure


@dataclass(slots=True)
class _Writer:
    pattern: str
    caseless: bool
    place: int = 0

    def alternatives(self, inner: bool = False) -> Raw:
        """`a|b|c` up to the end or a closing bracket."""
        branches = [self._sequence(inner)]
        while self._next() == "|":
            self.place += 1
            branches.append(self._sequence(inner))
        if len(branches) == 1:
            return branches[0]
        texts = b"|".join(dict.fromkeys(branch.text for branch in branches))
        least = min(branch.least for branch in branches)
        return Raw(b"(?:" + texts + b")", least, min(branch.run for branch in branches))

    def elements(self, inner: bool = False) -> list[_Part]:
        """What stands one after another up to an alternative, a closing bracket or the end."""
        parts: list[_Part] = []
        while self._next() not in ("", "|", ")"):
            flags = FLAGS.match(self.pattern, self.place)
            if flags is not None:
                self.place = flags.end()
                continue
            end = None if inner else _LAST.match(self.pattern, self.place)
            if end is not None:
                self.place = end.end()
                parts.append((_last(end[1], self.caseless), 1, 1))
                continue
            once = self._once()
            least, most, self.place = quantifier(self.pattern, self.place)
            parts.append((once, least, most))
        return parts

    def _sequence(self, inner: bool) -> Raw:
        parts = self.elements(inner)
        if not inner:
            parts = _trimmed(parts)
        found = [_repeated(*part) for part in parts]
        if not inner:
            found = _without_ends(found)
        text = b"".join(raw.text for raw in found)
        return Raw(text, sum(raw.least for raw in found), _longest_run(found))

    def _once(self) -> Raw:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            match = CLASS.match(self.pattern, self.place)
            if match is None:
                raise NotUnderstoodError
            self.place = match.end()
            return _class(match[0], self.caseless)
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise NotUnderstoodError
        self.place += 1
        if character in "^$":
            return Raw(b"", 0)
        return _class(".", False) if character == "." else _character(character, self.caseless)

    def _group(self) -> Raw:
        begin = GROUP.match(self.pattern, self.place)
        assert begin is not None
        self.place = begin.end()
        inner = self.alternatives(inner=True)
        if self._next() != ")":
            raise NotUnderstoodError
        self.place += 1
        return inner._replace(text=b"(?:" + inner.text + b")") if inner.text else inner

    def _escape(self) -> Raw:
        following = self.pattern[self.place + 1 : self.place + 2]
        self.place += 2
        if following in _ZERO_WIDTH and following:
            return Raw(b"", 0)
        if following and following in "dDwWsS":
            return _class("\\" + following, self.caseless)
        if following in _CONTROLS and following:
            return _any_other()
        if not following or following.isalnum() or not " " <= following <= "~":
            raise NotUnderstoodError
        return _character(following, self.caseless)

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]


def _trimmed(parts: list[_Part]) -> list[_Part]:
    """The elements without what need not be there at either end."""
    there = [index for index, (_, least, _) in enumerate(parts) if least]
    if not there:
        return []
    kept = parts[there[0] : there[-1] + 1]
    for end in (0, -1):
        once, least, _ = kept[end]
        kept[end] = (once, least, least)
    return kept


def _without_ends(parts: list[Raw]) -> list[Raw]:
    """Sets at the ends by one byte: what stands before the first and behind the last of them."""
    found = list(parts)
    if found and found[0].last:
        found[0] = Raw(b"[" + found[0].last + b"]", 1)
    if len(found) > 1 and found[-1].first:
        found[-1] = Raw(b"[" + found[-1].first + b"]", 1)
    return found


def _longest_run(parts: list[Raw]) -> int:
    """Of elements one after another: plain characters have a run of 1 and take one byte."""
    longest = run = 0
    for part in parts:
        run = run + 1 if part.run == part.least == 1 else 0
        longest = max(longest, run, part.run)
    return longest


def _repeated(once: Raw, least: int, most: int) -> Raw:
    if (least, most) == (1, 1) or not once.text:
        return once
    # What may be empty may be so each time.
    least = min(least, MAX_COUNTED) if once.least else 0
    if 0 <= most <= MAX_COUNTED:
        run = once.run if least else 0
        return Raw(b"(?:" + once.text + b"){%d,%d}" % (least, most), once.least * least, run)
    count = b"{%d,}" % least if least > 1 else (b"+" if least else b"*")
    # One state instead of many: whatever can stand inside a JSON string.
    text = rb'[^"\\\n]|\\[^\n]' if OTHER in once.text else once.text
    run = once.run if least and text is once.text else 0
    return Raw(b"(?:" + text + b")" + count, once.least * least, run)


def _character(character: str, caseless: bool) -> Raw:
    if not " " <= character <= "~":
        return _any_other()
    text = _byte(character)
    if caseless and character in FOLDS_OUT:
        foreign = "\u212a" if character in "kK" else "\u017f"
        forms = [foreign.encode(), b"\\\\u%04x" % ord(foreign)]
        forms.append(b"".join(b"\\\\\\\\x%02x" % byte for byte in foreign.encode()))
        return Raw(b"(?:" + b"|".join([text, *forms]) + b")", 1)
    return Raw(text, 1, 1)


def _any_other() -> Raw:
    """One character outside of printable ASCII."""
    return Raw(b"(?:" + OTHER + b"){1,%d}" % _UNITS, 1)


def _byte(character: str) -> bytes:
    if character in '"\\':
        return b"\\\\" + (b'"' if character == '"' else b"\\\\")
    return character.encode() if character.isalnum() else b"\\x%02x" % ord(character)


@lru_cache(maxsize=1024)
def _class(text: str, caseless: bool) -> Raw:
    """A set of characters, as RE2 reads it. Characters outside ASCII are taken to be in it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not caseless
    matches = re2.compile(text, options).fullmatch
    inside = [character for character in _PRINTABLE if matches(character)]
    plain = b"".join(_byte(one) for one in inside if one not in '"\\')
    ends = [_byte(one) for one in '"\\' if one in inside]
    parts = [b"[" + plain + b"]"] if plain else []
    parts += ends
    first = plain + (b"\\\\" if ends else b"")
    last = plain + b"".join(b'"' if one.endswith(b'"') else b"\\\\" for one in ends)
    if not _is_ascii(text, caseless, inside):
        parts.append(b"(?:" + OTHER + b"){1,%d}" % _UNITS)
        first += _OTHER_BYTES + b"\\\\"
        last += _OTHER_BYTES + _OTHER_ENDS
    if not parts:
        raise NotUnderstoodError
    return Raw(b"(?:" + b"|".join(parts) + b")", 1, 0, first, last)


def _last(characters: str | None, caseless: bool) -> Raw:
    """The byte behind a value, whatever a normaliser took away there, or one of a set. A number
    ends without a quote."""
    first = _class(characters, caseless).first if characters else b""
    ends = b'"\\\\\\x20\\x2c\\x5d\\x7d' + _OTHER_BYTES
    text = b"[" + first + ends + b"]"
    return Raw(text, 1, 0, first + ends, first + ends)


def _is_ascii(text: str, caseless: bool, inside: list[str]) -> bool:
    """Whether a set surely has nothing outside of printable ASCII."""
    if text in ("\\d", "\\w"):
        return text == "\\d" or not caseless
    plain = text.startswith("[") and text[1:2] != "^" and text.isascii() and text.isprintable()
    simple = plain and all(
        text[place + 1 : place + 2] in "dw" or not text[place + 1 : place + 2].isalnum()
        for place, character in enumerate(text)
        if character == "\\"
    )
    return simple and "[:" not in text and not (caseless and FOLDS_OUT.intersection(inside))
