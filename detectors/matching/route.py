"""Which lines can matter, and to which rules: the raw scan in front of the engine.

A line is looked into for a rule if it holds the rule's literals and its query can be of the rule's
log source; for every rule if it spells characters in a way that literals would miss, if a wrapper
may stand in it (which may hold a log line as text, with every quote escaped), or if it does not
look like one whole JSON object. Everything else cannot match; that it is well-formed inside is
taken on trust (`--stats` reads every line).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from ..reading import MARKS
from ..reading.inputs import Block
from .choose import Choice
from .gates import Gates
from .necessary import ESCAPES
from .scan import Scanned, scanner

EVERY_RULE = -1
MAX_NAMES = 20_000
MAX_SHAPES = 20_000
# An event line begins with its query's name; lines of other shapes may be of any query.
_FRONT = b'{"name":"'
_KEY = b'"name"'
_COLUMNS = b'"columns":{'

# The rules (as a mask) that may look at the rows of a query, and its gates.
Told = tuple[int, Gates | None]
# What a name alone cannot tell.
UNTOLD: Told = (EVERY_RULE, None)


class Queries(Protocol):
    """Knows which rules look at which queries."""

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
        data = block.data
        found, odd = self._hit_lines(data)
        for start in odd:
            found[start] = EVERY_RULE
        always, size = self._always, len(data)
        number, counted = block.line, 0
        for start in starts_of(data) if always else sorted(found):
            end = data.find(b"\n", start)
            end = size if end < 0 else end
            rules = found.get(start, 0)
            if rules != EVERY_RULE:
                rules = self._narrowed(data, start, end, rules | always)
            if rules and end > start:
                number += data.count(b"\n", counted, start)
                counted = start
                yield Line(start, number, data[start:end], rules)

    def share(self, data: bytes) -> float:
        """The share of lines that have something of what is searched."""
        return len(self._hit_lines(data)[0]) / max(1, data.count(b"\n"))

    def _narrowed(self, data: bytes, start: int, end: int, rules: int) -> int:
        """Of the rules (a mask), those that may match in the line by its query and columns."""
        if data.startswith(_FRONT, start):
            begin = start + len(_FRONT)
            name = data[begin : data.find(b'"', begin, end)]
            told = self._names.get(name) or self._new(name)
            if not rules & told[0] and _named_once(data, start, end):
                return 0
            rules = self._by_columns(data[start:end], name, told, rules)
        return self._asked(rules, data[start:end].lower()) if rules else 0

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

    def _hit_lines(self, data: bytes) -> tuple[dict[int, int], set[int]]:
        """Starts of lines with a literal, with the rules that it may be a sign of; starts of lines
        that are not plainly one JSON object."""
        found: dict[int, int] = {}
        masks, size = self._masks, len(data)
        start, stop, rules = 0, -1, 0
        scanned = self._scan(data)
        for index, end in scanned.hits:
            # Mostly in the order of the text, which Hyperscan does not promise.
            if not start <= end < stop:
                if rules:
                    found[start] = found.get(start, 0) | rules
                start = data.rfind(b"\n", 0, end) + 1
                stop = data.find(b"\n", end)
                stop = size if stop < 0 else stop
                rules = 0
            rules |= masks[index]
        if rules:
            found[start] = found.get(start, 0) | rules
        return found, odd_lines(data, scanned)

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


def searched(choice: Choice) -> tuple[list[bytes], list[bytes]]:
    """The literals and the expressions that are searched for: what rules need, and what says that a
    line is to be looked into in any case."""
    always = _always()
    return [*sorted(choice.masks.keys() - set(always)), *always], list(choice.patterns)


def _always() -> list[bytes]:
    """What has a line looked into for every rule."""
    return [*ESCAPES, *sorted(MARKS)]


def _named_once(data: bytes, start: int, end: int) -> bool:
    """Whether the name in front is the only one of the envelope: of two the last would count."""
    second = data.find(_KEY, start + len(_FRONT), end)
    if second < 0:
        return True
    if data.find(_KEY, second + 1, end) >= 0:
        return False
    # It is a column if it stands in the columns' object, before any closing brace.
    columns = data.find(_COLUMNS, start, second)
    return columns >= 0 and data.find(b"}", columns, second) < 0


def odd_lines(data: bytes, scanned: Scanned) -> set[int]:
    """Starts of lines that are not plainly one JSON object in UTF-8."""
    starts = {0, data.rfind(b"\n", 0, max(len(data) - 1, 0)) + 1}
    for newline in scanned.breaks:
        starts.add(data.rfind(b"\n", 0, newline) + 1)
        starts.add(newline + 1)
    odd = {start for start in starts if _is_odd(data, start)}
    odd.update(data.rfind(b"\n", 0, newline) + 1 for newline in scanned.cuts)
    if data and not data.endswith(b"\n"):
        # The end of the file, where a line may be still being written.
        odd.add(data.rfind(b"\n") + 1)
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            odd |= {start for start in starts_of(data) if not _is_utf8(data, start)}
    return odd


def starts_of(data: bytes) -> Iterator[int]:
    """The offsets at which lines begin."""
    start = 0
    while start < len(data):
        yield start
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1


def _is_odd(data: bytes, start: int) -> bool:
    end = data.find(b"\n", start)
    line = data[start : len(data) if end < 0 else end].strip(b" \t\r")
    return bool(line) and not (line[:1] == b"{" and line[-1:] == b"}")


def _is_utf8(data: bytes, start: int) -> bool:
    end = data.find(b"\n", start)
    try:
        data[start : len(data) if end < 0 else end].decode()
    except UnicodeDecodeError:
        return False
    return True
