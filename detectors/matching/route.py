"""Which lines can matter, and to which rules: the raw scan in front of the engine.

A line is looked into for a rule if it holds the rule's literals and its query can be of the rule's
log source; for every rule if it spells characters in a way that literals would miss, if a wrapper
may stand in it (which may hold a log line as text, with every quote escaped), or if it does not
look like one whole JSON object. Everything else cannot match; that it is well-formed inside is
taken on trust (`--stats` reads every line).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import orjson

from ..reading import MARKS
from ..reading.inputs import Block, ends_of
from .choose import Choice
from .gates import Gates
from .judge import Kept
from .necessary import ESCAPES
from .scan import scanner

EVERY_RULE = -1
MAX_NAMES = 20_000
MAX_SHAPES = 20_000
# An event line begins with its query's name; lines of other shapes may be of any query.
_FRONT = b'{"name":"'
_KEY = b'"name"'
_COLUMNS = b'"columns":{'
_COLUMNS_KEY = b'"columns"'
# How osqueryd ends the lines of its log.
_TAILS = tuple(
    b'%s,"action":"%s"}\n' % ending
    for ending in ((b"}", b"added"), (b"}", b"removed"), (b"}", b"snapshot"), (b"]", b"snapshot"))
)
_SEAM = max(map(len, _TAILS))
# The same from the closing brace of the columns on.
_ENDS = frozenset(tail[:-1] for tail in _TAILS)
_OBJECTS = (b'"columns":', b'"decorations":')
_NEWLINE, _COMMA = b"\n,"

# The rules (as a mask) that may look at the rows of a query, and its gates.
Told = tuple[int, Gates | None]
# What a name alone cannot tell.
UNTOLD: Told = (EVERY_RULE, None)


class Queries(Protocol):
    """Knows which rules look at which queries. `untold` are the gates for those of which nothing
    is told by name."""

    untold: Gates

    def by_name(self, query: str) -> Told:
        """The rules for rows of a query; `UNTOLD` if that depends on their columns."""

    def by_columns(self, query: str, columns: tuple[str, ...]) -> Told:
        """The rules for rows of a query with these columns."""


class Line(NamedTuple):
    """One line: `start` in the block, `number` in the file, `data` without its newline, and the
    rules that may match in it, as a mask."""

    start: int
    number: int
    data: bytes
    rules: int = EVERY_RULE


def all_lines(block: Block) -> Iterator[Line]:
    """Every line of a block that is not empty."""
    start, number, data = 0, block.line, block.data
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end > start:
            yield Line(start, number, data[start:end])
        start, number = end + 1, number + 1


class Router:
    """Finds the lines to look into, and for which rules.

    `queries` tells which rules a query concerns; `database` is that of what is
    `searched`, if it is there already.
    """

    def __init__(
        self, choice: Choice, queries: Queries, fast: bool = True, database: Any = None
    ) -> None:
        self._others = choice.others
        self._always = choice.always
        self._queries = queries
        literals, patterns = searched(choice)
        own = len(literals) - len(_always())
        self._masks = [choice.masks[literal] for literal in literals[:own]]
        self._masks += [EVERY_RULE] * (len(literals) - own)
        self._masks += choice.patterns.values()
        self._scan = scanner(literals, fast, patterns, database)
        self._names: dict[bytes, Told] = {}
        self._shapes: dict[tuple[str, ...], Told] = {}

    def lines(self, block: Block) -> Iterator[Line]:
        """The lines of a block that may matter, in order."""
        ends = block.line_ends()
        for index, line, rules in self._found(block.data, ends):
            yield Line(ends[index - 1] if index else 0, block.line + index, line, rules)

    def left(self, block: Block, kept: Sequence[Kept]) -> Iterator[Line]:
        """Those of them that are among the lines that the judge kept."""
        data = block.data
        unjudged = [one for one in kept if one.rules is None]
        ends = list(accumulate([one.end - one.start for one in unjudged]))
        whole = bool(ends) and ends[-1] == len(data)
        rest = data if whole else b"".join([data[one.start : one.end] for one in unjudged])
        found = {index: (line, rules) for index, line, rules in self._found(rest, ends)}
        place = -1
        for one in kept:
            if one.rules is not None:
                yield judged(block, one)
                continue
            place += 1
            if place in found:
                yield Line(one.start, block.line + one.before, *found[place])

    def _found(self, data: bytes, ends: Sequence[int]) -> Iterator[tuple[int, bytes, int]]:
        """By their places the lines that may matter, and the rules (a mask) that they may matter
        to."""
        if not ends:
            return
        always = self._always
        found = self._hit_lines(data, ends)
        for index in odd_lines(data, ends):
            found[index] = EVERY_RULE
        for index in range(len(ends)) if always else sorted(found):
            start, end = ends[index - 1] if index else 0, ends[index]
            line = data[start : end - 1 if data[end - 1] == _NEWLINE else end]
            rules = found.get(index, 0)
            if rules != EVERY_RULE:
                rules = self._narrowed(line, rules | always)
            if rules and line:
                yield index, line, rules

    def share(self, data: bytes) -> float:
        """The share of lines that have something of what is searched."""
        ends = ends_of(data)
        return len(self._hit_lines(data, ends)) / max(1, len(ends))

    def _narrowed(self, line: bytes, rules: int) -> int:
        """Of the rules (a mask), those that may match in the line by its query and columns."""
        if not line.startswith(_FRONT):
            return self._asked(rules, line.lower())
        name = line[len(_FRONT) : line.find(b'"', len(_FRONT))]
        told = self._names.get(name) or self._new(name)
        left = rules & told[0]
        begin = columns_of(line)
        alone = False
        if begin:
            stop = line.find(b"}", begin)
            nested = line.find(b"{", begin, stop)
            if nested >= 0:
                stop = nested
            elif line[stop:] in _ENDS:
                # Nothing else can be in a line that ends right behind flat columns.
                alone = line.find(_KEY, len(_FRONT), begin) < 0
            gates = told[1] if told is not UNTOLD else self._queries.untold
            if left and gates is not None:
                left = gates.raw(line, begin, stop, left)
        if left != rules and (alone or is_plain(line, begin)):
            rules = left
        if rules:
            rules = self._asked(rules, line.lower())
        return self._by_columns(line, name, told, rules) if rules else 0

    def _by_columns(self, line: bytes, name: bytes, told: Told, rules: int) -> int:
        """Those that may match in a line whose first key says that it is of a query."""
        try:
            document = orjson.loads(line)
        except ValueError:
            return rules
        query, columns = document["name"], document.get("columns")
        if type(columns) is not dict or type(query) is not str or query.encode() != name:
            return rules
        if told is UNTOLD:
            told = self._laid_out(query, columns)
        rules &= told[0]
        return told[1].passing(columns, rules) if rules and told[1] is not None else rules

    def _hit_lines(self, data: bytes, ends: Sequence[int]) -> dict[int, int]:
        """The lines, by their place in the block, with a literal; with the rules that it may be a
        sign of."""
        found: dict[int, int] = {}
        masks = self._masks
        line = start = stop = rules = 0
        for index, end in self._scan(data):
            # Mostly in the order of the text, which Hyperscan does not promise.
            if not start <= end < stop:
                if rules:
                    found[line] = found.get(line, 0) | rules
                line = bisect_right(ends, end)
                start, stop = ends[line - 1] if line else 0, ends[line]
                rules = 0
            rules |= masks[index]
        if rules:
            found[line] = found.get(line, 0) | rules
        return found

    def _new(self, name: bytes) -> Told:
        """What a name tells of the rules that may look at it, and its gates."""
        if b"\\" in name:
            return EVERY_RULE, None
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        found = self._names[name] = self._queries.by_name(name.decode(errors="replace"))
        return found

    def _laid_out(self, name: str, columns: Mapping[str, Any]) -> Told:
        """The same for a query of unknown SQL, by the columns that the line has."""
        key = (name, *columns)
        told = self._shapes.get(key)
        if told is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            told = self._shapes[key] = self._queries.by_columns(name, key[1:])
        return told

    def _asked(self, rules: int, line: bytes) -> int:
        """The rules of which the line holds the further literals too."""
        left, others = 0, self._others
        while rules:
            bit = rules & -rules
            rules ^= bit
            for clause in others[bit.bit_length() - 1]:
                for literal in clause:
                    if literal in line:
                        break
                else:
                    break
            else:
                left |= bit
        return left


def judged(block: Block, one: Kept) -> Line:
    """A line of which the judge said what may match in it."""
    assert one.rules is not None
    line = block.data[one.start : one.end]
    return Line(one.start, block.line + one.before, line, one.rules)


def searched(choice: Choice) -> tuple[list[bytes], list[bytes]]:
    """The literals and the expressions that are searched for: what rules need, and what says that a
    line is to be looked into in any case."""
    always = _always()
    return [*sorted(choice.masks.keys() - set(always)), *always], list(choice.patterns)


def _always() -> list[bytes]:
    """What has a line looked into for every rule."""
    return [*ESCAPES, *sorted(MARKS)]


def columns_of(line: bytes) -> int:
    """Where the columns begin in a line that begins with a name: behind the brace of their object;
    0 if they are not there."""
    # The first braces are mostly theirs and that of the decorations, and one byte is found faster.
    brace = line.find(b"{", len(_FRONT))
    for _ in range(2):
        if line.endswith(_COLUMNS, 0, brace + 1):
            return brace + 1
        brace = line.find(b"{", brace + 1)
        if brace < 0:
            return 0
    columns = line.find(_COLUMNS, len(_FRONT))
    return columns + len(_COLUMNS) if columns >= 0 else 0


def is_plain(line: bytes, begin: int) -> bool:
    """Whether a line that begins with a name, and its columns at `begin` (0 without any), has one
    envelope only, so that neither the name nor the columns count again further on: of two the last
    would, and a broken line can hold another."""
    columns = begin - len(_COLUMNS)
    if begin and line.find(_COLUMNS_KEY, begin) >= 0:
        return False
    second = line.find(_KEY, len(_FRONT))
    if second < 0:
        return True
    if line.find(_KEY, second + 1) >= 0:
        return False
    # It is a column if it stands in the columns' object, before any closing brace.
    apart = second == begin or line[second - 1] == _COMMA
    return 0 <= columns < second and apart and line.find(b"}", columns, second) < 0


def odd_lines(data: bytes, ends: Sequence[int]) -> set[int]:
    """The lines, by their place, that are not plainly one JSON object in UTF-8: without its braces,
    cut behind the columns or decorations so that it looks whole, or perhaps not written to its end.
    """
    if not ends:
        return set()
    # Mostly all lines begin and end alike: few ends are different.
    seams = {data[end - _SEAM : end + 1] for end in ends if end >= _SEAM}
    alike = ends[0] >= _SEAM and all(_is_usual(seam, _SEAM) for seam in seams)
    doubtful = () if alike else [i for i, end in enumerate(ends) if not _is_usual(data, end)]
    odd = {
        index
        for index in {0, *doubtful, *(index + 1 for index in doubtful if index + 1 < len(ends))}
        if _is_odd(data, ends[index - 1] if index else 0, ends[index])
    }
    if not data.endswith(b"\n"):
        # The end of the file, where a line may be still being written.
        odd.add(len(ends) - 1)
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            starts = (0, *ends)
            odd |= {i for i, end in enumerate(ends) if not _is_utf8(data[starts[i] : end])}
    return odd


def _is_usual(data: bytes, end: int) -> bool:
    return data.endswith(_TAILS, 0, end) and data[end : end + 1] in (b"{", b"")


def _is_odd(data: bytes, start: int, end: int) -> bool:
    line = data[start:end].strip(b" \t\r\n")
    if line[:1] != b"{" or line[-1:] != b"}":
        return bool(line)
    # Cut behind an object that is not the last value of its line.
    brace = line.rfind(b"{")
    return line.endswith(_OBJECTS, 0, brace) and line.find(b"}", brace) == len(line) - 1


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
