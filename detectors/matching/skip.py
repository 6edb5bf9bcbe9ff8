"""Which lines of a block can matter at all: the raw scan in front of the engine.

A line is looked into if it holds a necessary literal of a rule, if it is of a query whose rules
have no such literal, if it spells characters in a way that literals would miss, if a wrapper may
stand in it (which may hold a log line as text, with every quote escaped), or if it does not look
like one whole JSON object. Everything else cannot match; that it is well-formed inside is
taken on trust (`--stats` reads every line).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from molehunt.ruleset import Rule
from molehunt.taxonomy import Taxonomy

from ..reading import MARKS
from ..reading.inputs import Block
from ..schedule.binding import Binder
from .fields import FieldMap, Place, fields_of, resolve
from .literals import ESCAPES, Cover, cover_of, has_key
from .scan import scanner

# An event line begins with its query's name; other shapes are looked into.
_NAME = re.compile(rb'^\{"name":"([^"\\]*)"', re.MULTILINE)
# Where one document may end and another begin within a line.
_GLUED = re.compile(rb"\}[\x00-\x09\x0b-\x20]*\{")


class Line(NamedTuple):
    """One line: `start` in the block, `number` in the file, `data` without its newline."""

    start: int
    number: int
    data: bytes


class Skipper:
    """Finds the lines to look into. `rules` without a cover are `weak`."""

    def __init__(self, rules: Sequence[Rule], taxonomy: Taxonomy, binder: Binder) -> None:
        self._taxonomy = taxonomy
        self._binder = binder
        literals: set[bytes] = {*ESCAPES, *MARKS}
        weak: list[Rule] = []
        for rule in rules:
            cover = rule_cover(rule, taxonomy)
            if cover is None or has_key(cover):
                weak.append(rule)
            else:
                literals |= cover
        self.weak = tuple(weak)
        self._scan = scanner(literals)
        self._needed: dict[bytes, bool] = {}

    def candidates(self, block: Block) -> Iterator[Line]:
        """The lines of a block that may matter, in order."""
        data = block.data
        starts = {data.rfind(b"\n", 0, end) + 1 for end in self._scan(data)}
        starts |= _odd_lines(data)
        if self.weak:
            starts |= self._weak_lines(data)
        number, counted = block.line, 0
        for start in sorted(starts):
            number += data.count(b"\n", counted, start)
            counted = start
            end = data.find(b"\n", start)
            line = data[start : len(data) if end < 0 else end]
            if line:
                yield Line(start, number, line)

    def _weak_lines(self, data: bytes) -> set[int]:
        """Lines of queries that rules without a cover look at, and lines with no name in front or
        with another one behind it."""
        named = {match.start(): match[1] for match in _NAME.finditer(data)}
        starts = {start for start, name in named.items() if self._needs(name)}
        if len(named) < data.count(b"\n") + (not data.endswith(b"\n")):
            starts |= {start for start in _starts(data) if start not in named}
        starts |= {data.rfind(b"\n", 0, match.start()) + 1 for match in _GLUED.finditer(data)}
        return starts

    def _needs(self, name: bytes) -> bool:
        found = self._needed.get(name)
        if found is None:
            if len(self._needed) > 20_000:
                self._needed.clear()
            found = self._needed[name] = self._may_concern(name.decode(errors="replace"))
        return found

    def _may_concern(self, query: str) -> bool:
        """Whether a weak rule may look at the rows of a query. Without its SQL that depends on the
        columns of each row, so then the answer is yes."""
        bindings = self._binder.by_sql(query)
        if not bindings:
            return True
        return any(
            resolve(rule, binding, self._taxonomy) is not None
            for rule in self.weak
            for binding in bindings
        )


def rule_cover(rule: Rule, taxonomy: Taxonomy) -> Cover | None:
    """A cover that serves for every table and query on which the rule can be matched."""
    found: set[bytes] = set()
    for table_map in taxonomy.maps(rule.category, rule.product, rule.service):
        for condition in rule.conditions:
            places = {}
            for name in (*fields_of(condition), *rule.meta.identity):
                spec = taxonomy.spec(table_map, name)
                default = taxonomy.stores[table_map.store].text
                # The output column may be an alias, so its key cannot be known here.
                places[name] = Place(
                    _kind(name), name, default + (spec.normalisers if spec else ())
                )
            fields = FieldMap(taxonomy.stores[table_map.store], table_map.table, places, (), ())
            cover = cover_of(condition, fields)
            if cover is None or has_key(cover):
                return None
            found |= cover
    return frozenset(found) if found else None


def _kind(name: str) -> str:
    if name.startswith("osquery."):
        return "envelope"
    return "decoration" if name.startswith("decorations.") else "column"


def _odd_lines(data: bytes) -> set[int]:
    """Starts of lines that are not plainly one JSON object in UTF-8."""
    body = data.rstrip(b"\n")
    whole = body[:1] == b"{" and body[-1:] == b"}"
    if whole and body.count(b"}\n{") == body.count(b"\n"):
        odd: set[int] = set()
    else:
        odd = {start for start in _starts(data) if _is_odd(data, start)}
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            odd |= {start for start in _starts(data) if not _is_utf8(data, start)}
    return odd


def _starts(data: bytes) -> Iterator[int]:
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
