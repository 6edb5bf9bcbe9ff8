"""What to search for in raw lines for rules whose literals are common: expressions for whole
comparisons, and pairs of them.

Each alternative (branch) of a rule's condition becomes a few leaves, all of which hold in a line
that matches by this branch. A leaf says what its comparison leaves behind in the raw line:
literals, an expression, or at least the key of the column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from itertools import product
from typing import NamedTuple

from molehunt.conditions import (
    And,
    Cidr,
    Condition,
    Exists,
    FieldIs,
    Nothing,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    Wanted,
    Wild,
    flat,
)
from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from .fields import FieldMap, Place, possible
from .necessary import Outputs, field_maps, key_clause, value_clauses
from .rawregex import raw_best, raw_parts, raw_regex

MAX_BRANCHES = 24
MAX_WORDS = 64
# Regular expressions of one field that become branches of their own.
MAX_PARTED = 4
# Below this a group of an IPv6 address can be written with fewer digits.
_FOUR_DIGITS = 0x1000
_MAX_STARTS = 64
# Hyperscan 5.4 loses matches of caseless expressions with a short text between two gaps:
# `"cwd".*"z.*/usr/bin/sh"` does not find `"cwd": "xx", "pid": "Z/usr/bin/sh"`. So there is one gap.
MAX_RUNS = 2
# Of texts of two bytes on either side of a gap it loses some, too: `(?:abcdefgh|ij)[^\n]*qz` beside
# `qz[^\n]*(?:abcdefgh|ij)`, if some forty bytes lie between.
MIN_RUN = 3
_SPACE = rb"[ \t\r]*"
# Whole numbers below it are told apart as doubles.
_EXACT = 10**15
# These change only the ends of a text, or what is not printable ASCII.
_KEEP_INSIDE = frozenset(("control_text", "audit_quotes"))
_KEEP_NUMBER = frozenset(("control_text",))
_KEEP_ADDRESS = frozenset(("control_text", "ip"))


class Leaf(NamedTuple):
    """`pattern` finds something in every line in which the comparison holds, letter case aside:
    inside the texts of `columns`, with their quotes and keys at most. `words`: the literals it is
    made of, if it is no more than that."""

    columns: frozenset[str]
    pattern: bytes
    words: frozenset[bytes] = frozenset()


Branch = tuple[Leaf, ...]


def as_pattern(literal: bytes) -> bytes:
    """The literal as a regex: every byte that is not a letter or digit in hexadecimal."""
    return b"".join(bytes([byte]) if chr(byte).isalnum() else b"\\x%02x" % byte for byte in literal)


def leaf_of_words(columns: frozenset[str], words: frozenset[bytes]) -> Leaf:
    """A leaf of literals, one of which must be there."""
    return Leaf(columns, b"|".join(map(as_pattern, sorted(words))), words)


def branches(rule: Rule, taxonomy: Taxonomy, outputs: Outputs) -> list[Branch]:
    """Of these branches one holds in every line in which the rule matches: all its leaves do.

    An empty branch says that nothing is certain.
    """
    found: dict[Branch, None] = {}
    for fields, columns in field_maps(rule, taxonomy, outputs):
        reader = Reader(fields, columns)
        for condition in rule.conditions:
            found.update(dict.fromkeys(reader.branches(condition)))
    return list(found)


class Reader(NamedTuple):
    """Reads conditions over the queries behind `fields`; `columns` are the output columns that a
    field may be logged under."""

    fields: FieldMap
    columns: Mapping[str, frozenset[str]]

    def branches(self, node: Condition) -> list[Branch]:
        """The branches of a condition; none if it can never hold."""
        match node:
            case And(args=args):
                return self._all(args)
            case Or(args=args):
                return self._any(args)
            case FieldIs() if self.fields.places[node.field].kind == "absent":
                can = possible(node, self.fields.places, self.fields.store).true
                return [()] if can else []
            case FieldIs():
                return self._compared(node.field, list(flat(node.value)))
            case _:
                return [()]

    def _all(self, args: tuple[Condition, ...]) -> list[Branch]:
        found: list[Branch] = [()]
        for branches in sorted((self.branches(child) for child in args), key=len):
            if not branches:
                return []
            # Too many: what this part asks is left out.
            if len(found) * len(branches) <= MAX_BRANCHES:
                found = [(*one, *other) for one, other in product(found, branches)]
        return found

    def _any(self, args: tuple[Condition, ...]) -> list[Branch]:
        by_field: dict[str, list[Wanted]] = {}
        others: list[Condition] = []
        for child in args:
            if isinstance(child, FieldIs) and self.fields.places[child.field].kind != "absent":
                by_field.setdefault(child.field, []).extend(flat(child.value))
            else:
                others.append(child)
        found: list[Branch] = []
        for name, values in by_field.items():
            found += self._compared(name, values)
        for child in others:
            found += self.branches(child)
        return _merged(list(dict.fromkeys(found)))

    def _compared(self, field: str, values: list[Wanted]) -> list[Branch]:
        """A field with values of which one is enough. A few long regular expressions are branches
        of their own, with a leaf for each of their parts."""
        parted: list[Branch] = []
        others: list[Wanted] = []
        regexes = sum(isinstance(value, Regex) for value in values)
        for value in values:
            parts = self._parts(field, value) if regexes <= MAX_PARTED else ()
            if parts:
                parted.append(parts)
            else:
                others.append(value)
        if not others:
            return parted
        leaf = self._leaf(field, others)
        return [*parted, () if leaf is None else (leaf,)]

    def _parts(self, field: str, value: Wanted) -> Branch:
        """The leaves of a regular expression: itself, if it can be searched for, and its parts."""
        place, columns = self.fields.places[field], self.columns[field]
        searchable = place.kind in ("column", "decoration")
        if not isinstance(value, Regex) or not searchable:
            return ()
        if not _KEEP_INSIDE.issuperset(place.normalisers):
            return ()
        whole = self._value(value, place, field)
        known = [whole] if isinstance(whole, bytes) else []
        parts = dict.fromkeys([*known, *raw_parts(value.pattern, value.flags)])
        return tuple(Leaf(columns, part) for part in parts) if len(parts) > 1 else ()

    def _leaf(self, field: str, values: list[Wanted]) -> Leaf | None:
        place, columns = self.fields.places[field], self.columns[field]
        if place.kind not in ("column", "decoration"):
            return None
        parts = [self._value(value, place, field) for value in values]
        if all(isinstance(part, frozenset) for part in parts):
            words = frozenset().union(*(p for p in parts if isinstance(p, frozenset)))
            if len(words) <= MAX_WORDS:
                return leaf_of_words(columns, words)
        if None in parts or len(parts) > MAX_WORDS:
            return self._key(field, values)
        patterns = [
            b"|".join(map(as_pattern, sorted(part))) if isinstance(part, frozenset) else part or b""
            for part in parts
        ]
        return Leaf(columns, b"|".join(dict.fromkeys(patterns)))

    def _value(self, value: Wanted, place: Place, field: str) -> frozenset[bytes] | bytes | None:
        """Literals, an expression, or None for nothing."""
        kept = _KEEP_INSIDE.issuperset(place.normalisers)
        match value:
            case Text(parts=parts):
                holes = kept and Wild.ONE in parts and raw_best(*_as_regex(parts))
                return holes or _text(value, place.normalisers)
            case Regex(pattern=pattern, flags=flags):
                return (raw_regex(pattern, flags) or raw_best(pattern, flags)) if kept else None
            case Number(number=number) if _KEEP_NUMBER.issuperset(place.normalisers):
                keys = key_clause(place, self.columns[field])
                return None if keys is None else _number(number, keys)
            case Cidr(network=network) if _KEEP_ADDRESS.issuperset(place.normalisers):
                return _network(network)
            case _:
                return None

    def _key(self, field: str, values: list[Wanted]) -> Leaf | None:
        if any(
            isinstance(value, (Nothing, Reference))
            or (isinstance(value, Exists) and not value.exists)
            or (isinstance(value, Text) and not value.parts)
            for value in values
        ):
            return None
        columns = self.columns[field]
        keys = key_clause(self.fields.places[field], columns)
        return None if keys is None else leaf_of_words(columns, keys)


def _as_regex(parts: tuple[str | Wild, ...]) -> tuple[str, str]:
    """A text with holes of one character, as a regular expression and its flags: literals say
    nothing of what stands on either side of a hole."""
    ways = {Wild.ONE: ".", Wild.ANY: ".*"}
    return "".join(ways[p] if isinstance(p, Wild) else re.escape(p) for p in parts) + "$", "is"


def _merged(found: list[Branch]) -> list[Branch]:
    """Branches of one leaf each put together."""
    if len(found) < 2 or any(len(branch) != 1 for branch in found):
        return found if len(found) <= MAX_BRANCHES else [()]
    leaves = [branch[0] for branch in found]
    columns = frozenset().union(*(leaf.columns for leaf in leaves))
    words = frozenset().union(*(leaf.words for leaf in leaves))
    if all(leaf.words for leaf in leaves) and len(words) <= MAX_WORDS:
        return [(leaf_of_words(columns, words),)]
    return [(Leaf(columns, b"|".join(leaf.pattern for leaf in leaves)),)]


def _text(value: Text, normalisers: tuple[str, ...]) -> frozenset[bytes] | bytes | None:
    clauses = value_clauses(value, normalisers)
    runs = [next(iter(one.literals)) for one in clauses if len(one.literals) == 1]
    if len(runs) == 1 or (runs and Wild.ONE in value.parts):
        return frozenset([max(runs, key=len)])
    if runs:
        # In the order of the text; what is foreign comes last and is in no order.
        ordered = [run for run in runs if run.isascii() and len(run) >= MIN_RUN]
        if len(ordered) > MAX_RUNS:
            longest = sorted(range(len(ordered)), key=lambda i: (-len(ordered[i]), i))[:MAX_RUNS]
            ordered = [ordered[i] for i in sorted(longest)]
        if len(ordered) < 2:
            return frozenset(ordered or [max(runs, key=len)])
        return rb"[^\n]*".join(map(as_pattern, ordered))
    return min((one.literals for one in clauses), key=len, default=None)


def _number(number: int | float, keys: frozenset[bytes]) -> bytes | None:
    """A column's key with the number behind it: as text, as a JSON number, or in a list.

    Decimals are not looked at, since they may round to it, from below too.
    """
    if isinstance(number, float) or not 0 <= number < _EXACT:
        return None
    digits = b"%d" % number
    value = rb'"[+-]?0*' + digits + rb'(?:\.[0-9]*)?"|-?' + digits + rb"(?:\.[0-9]*)?[^0-9.]"
    value += rb'|"?[+-]?[0-9]+\.9|[-0-9.]+e|\['
    either = b"|".join(map(as_pattern, sorted(keys)))
    return b"(?:" + either + b")" + _SPACE + b":" + _SPACE + b"(?:" + value + b")"


def _network(text: str) -> frozenset[bytes] | None:
    """How addresses of a network begin. An IPv4 address may be written as an IPv6 one, in decimals
    or as two groups of hexadecimal digits."""
    network = ip_network(text)
    if isinstance(network, IPv4Network):
        starts = list(_ipv4(network))
        octet = network.network_address.packed[0]
        if not starts or not octet:
            return None
        mapped = [b":ffff:" + start for start in (*starts, b"%x" % octet, b"%02x" % octet)]
        if octet >= 0x10 and network.prefixlen >= 16:
            groups = b"%02x%02x:" % tuple(network.network_address.packed[:2])
            mapped[-2:] = [b":ffff:" + groups]
        return frozenset([*(b'"' + start for start in starts), *mapped])
    first = int(network.network_address) >> 112
    last = int(network.broadcast_address) >> 112
    if first < _FOUR_DIGITS or last - first >= _MAX_STARTS:
        return None
    return frozenset(b'"%04x:' % group for group in range(first, last + 1))


def _ipv4(network: IPv4Network) -> Iterator[bytes]:
    """Beginnings in decimals; none if they are too many."""
    whole, bits = divmod(network.prefixlen, 8)
    octets = network.network_address.packed
    start = b"".join(b"%d." % octet for octet in octets[:whole])
    if not bits:
        yield from [start.removesuffix(b".") if whole == 4 else start] if whole else []
    elif 1 << (8 - bits) <= _MAX_STARTS:
        for octet in range(octets[whole], octets[whole] + (1 << (8 - bits))):
            yield start + b"%d" % octet + (b"." if whole < 3 else b"")


def pattern_of(branch: Branch) -> tuple[bytes, ...]:
    """Expressions of which one is found in every line that has all leaves of a branch (one or two),
    in whatever order."""
    if len(branch) == 1:
        return (branch[0].pattern,)
    one, other = branch
    left, right = (b"(?:" + leaf.pattern + b")" for leaf in branch)
    ways = [left + rb"[^\n]*" + right, right + rb"[^\n]*" + left]
    if not one.columns.isdisjoint(other.columns):
        shared = {text for a in one.words for b in other.words for text in _shared(a, b)}
        ways += [as_pattern(text) for text in sorted(shared)]
    return tuple(ways)


def can_pair(one: Leaf, other: Leaf) -> bool:
    """Whether two leaves are looked for together: literals, for which it is known how they can
    stand in one line, and of which Hyperscan loses none. An expression that begins with something
    common costs a pair too much."""
    words = one.words | other.words
    return bool(one.words and other.words) and min(map(len, words)) >= MIN_RUN


def _shared(one: bytes, other: bytes) -> Iterator[bytes]:
    """The texts in which two literals overlap."""
    for a, b in ((one, other), (other, one)):
        if a in b:
            yield b
        for size in range(1, min(len(a), len(b))):
            if a.endswith(b[:size]):
                yield a + b[size:]
