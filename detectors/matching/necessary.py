r"""Necessary literals: bytes that a raw line must hold if a rule is to match a row in it.

A rule becomes a list of *clauses*. Of each clause at least one literal stands in every line that
holds a match, letter case aside. One clause is scanned for; the others are asked of the lines that
have it.

Why this loses nothing (each point has a test):
- Only printable ASCII is used. Folding never turns another character into ASCII.
- A JSON writer may spell such a character otherwise only as `\/` or `\u00XX`; a line that holds
  `ESCAPES` is looked at in full.
- Quote and backslash are written `\"` and `\\`, so the literals are too. An unescaped quote stands
  only at the ends of a JSON string, so it can anchor a value that must be a string.
- A text that could be a part of a JSON number is not used, since numbers can be spelled in many
  ways; a whole integer has one spelling, between quotes or bare.
- A normaliser hands back only the part of a run that the logged value must hold as well, and values
  are anchored only where no normaliser changes their ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from molehunt.conditions import (
    And,
    Condition,
    Exists,
    FieldIs,
    Keyword,
    Not,
    Nothing,
    Or,
    Reference,
    Regex,
    Text,
    Wanted,
    Wild,
    flat,
)
from molehunt.normalise import NORMALISERS
from molehunt.rule import Rule
from molehunt.taxonomy import ENRICHED_FIELDS, PSEUDO_FIELDS, TableMap, Taxonomy

from ..values import fold
from .fields import ABSENT, FieldMap, Place, possible
from .regexruns import runs_of

# Spellings of printable ASCII that a literal would not find.
ESCAPES: tuple[bytes, ...] = (b"\\/", *(b"\\u00%d" % digit for digit in range(2, 8)))
MIN_LENGTH = 2
MAX_FOREIGN = 4
# From here on no character has another case (Unicode 16; a test looks).
NO_CASE = 0x20000
MAX_LITERALS = 4000
_PRINTABLE = re.compile(r"[ -~]+")
# Any run of a number's text, which may be logged in another spelling.
_MAYBE_NUMBER = re.compile(r"[0-9+\-.eE]*\Z")
# With a letter other than these a text cannot come from a bare JSON number, true or false; nor can
# it if it is no part of one.
_BARE = frozenset("0123456789+-.einfatrusl")
_WORDS = ("true", "false", "-infinity", "nan")
_INTEGER = re.compile(r"-?[1-9][0-9]*\Z")
_AFTER_NUMBER = (b",", b"}", b"]", b" ", b"\t", b"\r")
# Normalisers that leave printable ASCII at the ends of a value where it was.
_KEEPS_ENDS = frozenset(("control_text",))


Outputs = Mapping[tuple[str, str], frozenset[str]]


class Clause(NamedTuple):
    """Literals of which one must be there. `key`: one is a column's key, as common as its query."""

    literals: frozenset[bytes]
    key: bool = False


# The share of lines that a clause holds in, as far as it is known.
Price = Callable[[Clause], float]


class Needs(NamedTuple):
    """Finds clauses on the queries behind `fields`.

    `columns` are the output columns that a field may be logged under; of alternatives those with
    the least `price` are taken.
    """

    fields: FieldMap
    columns: Mapping[str, frozenset[str]]
    price: Price

    def clauses(self, node: Condition) -> list[Clause] | None:
        """The clauses of a condition; None if it can never hold on these queries.

        AND: those of all children; OR: see `any_of`; NOT: none.
        """
        match node:
            case And():
                parts = [self.clauses(child) for child in node.args]
                if any(part is None for part in parts):
                    return None
                return [clause for part in parts if part for clause in part]
            case Or():
                return any_of([self.clauses(child) for child in node.args], self.price)
            case Not():
                return []
            case FieldIs():
                return self._field(node)
            case Keyword():
                found = [self._keyword(value) for value in flat(node.value)]
                return _of_alternatives(found, self.price)

    def _field(self, node: FieldIs) -> list[Clause] | None:
        place = self.fields.places[node.field]
        if place.kind == "absent":
            return [] if possible(node, self.fields.places, self.fields.store).true else None
        values = list(flat(node.value))
        found = _of_alternatives([self._value(value, place) for value in values], self.price)
        if any(
            isinstance(value, Nothing)
            or (isinstance(value, Exists) and not value.exists)
            or (isinstance(value, Text) and not value.parts)
            for value in values
        ):
            return found
        fields = [node.field, *(v.field for v in values if isinstance(v, Reference))]
        return found + [key for field in fields if (key := self._key(field)) is not None]

    def _key(self, field: str) -> Clause | None:
        """Whatever the value, the column's key must be there: the weakest literal."""
        literals = key_clause(self.fields.places[field], self.columns[field])
        return None if literals is None else Clause(literals, key=True)

    def _value(self, value: Wanted, place: Place) -> list[Clause]:
        if place.kind not in ("column", "decoration"):
            return []
        return list(value_clauses(value, place.normalisers))

    def _keyword(self, value: Wanted) -> list[Clause]:
        # A keyword may stand in what the organisation's inputs add.
        if not isinstance(value, Text) or self.fields.store.address:
            return []
        runs = _text_runs(value, self.fields.store.text, anchored=False)
        return [Clause(frozenset([run])) for run in runs]


def key_clause(place: Place, columns: frozenset[str]) -> frozenset[bytes] | None:
    """The keys of which one stands in a line that has a place, if that is certain."""
    if place.kind not in ("column", "decoration"):
        return None
    # Only the end of a name: a dotted one may stand for nested objects or for a dotted key.
    names = {name.rpartition(".")[2] for name in columns}
    if not names or not all(_PRINTABLE.fullmatch(name) for name in names):
        return None
    return frozenset(b'"' + _as_json(name) + b'"' for name in names)


@lru_cache(maxsize=1 << 16, typed=True)
def value_clauses(value: Wanted, normalisers: tuple[str, ...]) -> tuple[Clause, ...]:
    """What must stand in a line that holds such a value in a column or decoration."""
    if isinstance(value, Text):
        whole = _integer(value, normalisers)
        if whole is not None:
            return (whole,)
        anchored = _KEEPS_ENDS.issuperset(normalisers)
        runs = _text_runs(value, normalisers, anchored)
        return (*(Clause(frozenset([run])) for run in runs), *_foreign(value, normalisers))
    if isinstance(value, Regex):
        sets = [
            [_raw(run, normalisers) for run in runs] for runs in runs_of(value.pattern, value.flags)
        ]
        return tuple(
            Clause(frozenset(run for run in runs if run is not None))
            for runs in sets
            if all(run is not None for run in runs)
        )
    return ()


def _integer(value: Text, normalisers: tuple[str, ...]) -> Clause | None:
    """A whole integer: between quotes, or bare and ended by what can follow a JSON number."""
    text = value.parts[0] if len(value.parts) == 1 else ""
    if isinstance(text, Wild) or not _KEEPS_ENDS.issuperset(normalisers):
        return None
    if _INTEGER.match(text):
        digits = text.encode("ascii")
        return Clause(frozenset([b'"' + digits + b'"', *(digits + e for e in _AFTER_NUMBER)]))
    if text.isascii() and text.isdigit() and text[0] == "0" and len(text) > 1:
        return Clause(frozenset([b'"' + text.encode("ascii") + b'"']))
    return None


def _of_alternatives(found: list[list[Clause]], cost: Price) -> list[Clause]:
    """The clauses of one value, or the best of each of several together."""
    if len(found) == 1:
        return found[0]
    return _together([[min(clauses, key=cost, default=None) for clauses in found]])


def any_of(parts: Sequence[list[Clause] | None], cost: Price) -> list[Clause] | None:
    """The clauses of alternatives: the best of each together, and what all of them share.

    None stands for an alternative that never holds.
    """
    there = [part for part in parts if part is not None]
    if not there:
        return None
    shared = [clause for clause in there[0] if all(clause in part for part in there[1:])]
    if all(len(part) == len(shared) for part in there):
        return shared
    best = _together([[min(part, key=cost, default=None) for part in there]])
    return [*dict.fromkeys((*best, *shared))]


def price(clause: Clause) -> float:
    """The share of lines that a clause may hold in, guessed without data."""
    if clause.key:
        return 0.05 + 0.01 / min(map(len, clause.literals))
    return sum(max(_BY_LETTER ** (1 - len(literal)), 1e-7) for literal in clause.literals)


# Each further letter makes a text about so many times rarer.
_BY_LETTER = 5.0


def _together(alternatives: Iterable[Sequence[Clause | None]]) -> list[Clause]:
    """One clause for each set of alternatives, if each alternative has one."""
    found: list[Clause] = []
    for clauses in alternatives:
        there = [clause for clause in clauses if clause is not None]
        literals = frozenset(literal for clause in there for literal in clause.literals)
        if len(there) == len(clauses) and 0 < len(literals) <= MAX_LITERALS:
            found.append(Clause(literals, any(clause.key for clause in there)))
    return found


def _text_runs(value: Text, normalisers: tuple[str, ...], anchored: bool) -> Iterator[bytes]:
    """The runs of a text's plain parts; with `anchored`, quotes where a value begins or ends."""
    last = len(value.parts) - 1
    for index, part in enumerate(value.parts):
        if isinstance(part, Wild):
            continue
        quotable = anchored and not (_BARE.issuperset(part.lower()) and _may_be_bare(part))
        for match in _PRINTABLE.finditer(part):
            run = _raw(match[0], normalisers)
            if run is None and not quotable:
                continue
            found = _as_json(match[0]) if run is None else run
            if quotable and index == 0 and match.start() == 0:
                found = b'"' + found
            if quotable and index == last and match.end() == len(part):
                found = found + b'"'
            if len(found) >= MIN_LENGTH and (run is not None or _anchors(found)):
                yield found


def _may_be_bare(part: str) -> bool:
    low = part.lower()
    return bool(_MAYBE_NUMBER.match(low)) or any(low in word for word in _WORDS)


def _foreign(value: Text, normalisers: tuple[str, ...]) -> list[Clause]:
    """Clauses for characters outside ASCII, in every spelling that a log may have for them."""
    if not _KEEPS_ENDS.issuperset(normalisers):
        return []
    characters = {
        character
        for part in value.parts
        if isinstance(part, str) and not part.isascii()
        for character in part
        # Broken text becomes U+FFFD only when it is read.
        if not character.isascii() and character != "\ufffd"
    }
    return [
        Clause(
            frozenset(
                spelling
                for same in ([character] if value.cased else _same_letters(fold(character)))
                for spelling in _spellings(same, "control_text" in normalisers)
            )
        )
        for character in sorted(characters)[:MAX_FOREIGN]
    ]


def _spellings(character: str, escaped: bool) -> Iterator[bytes]:
    data = character.encode()
    yield data
    units = character.encode("utf-16-be").hex()
    yield "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)).encode()
    if escaped:
        yield "".join(f"\\\\x{byte:02x}" for byte in data).encode()


def _same_letters(folded: str) -> tuple[str, ...]:
    return _by_fold().get(folded, (folded,))


@cache
def _by_fold() -> dict[str, tuple[str, ...]]:
    """Characters outside ASCII that fold to another, by what they fold to, that one included."""
    found: dict[str, list[str]] = {}
    for code in range(0x80, NO_CASE):
        character = chr(code)
        if character != character.lower() and fold(character) != character:
            found.setdefault(fold(character), [fold(character)]).append(character)
    return {folded: tuple(characters) for folded, characters in found.items()}


def _anchors(literal: bytes) -> bool:
    return literal.startswith(b'"') or literal.endswith(b'"')


def _raw(run: str, normalisers: tuple[str, ...]) -> bytes | None:
    for name in reversed(normalisers):
        run = NORMALISERS[name].raw_run(run)
    if len(run) < MIN_LENGTH or _MAYBE_NUMBER.match(run):
        return None
    return _as_json(run)


def _as_json(run: str) -> bytes:
    return run.lower().replace("\\", "\\\\").replace('"', '\\"').encode("ascii")


def rule_clauses(
    rule: Rule, taxonomy: Taxonomy, outputs: Outputs, cost: Price = price
) -> list[Clause] | None:
    """Clauses that serve for every table and query on which a rule can be matched.

    None if it can match on none. Of alternatives, those with the least `cost` are chosen.
    `outputs` gives the output columns of a table's column in the queries whose SQL is known; where
    it is not, a column has its own name.
    """
    parts = []
    for fields, columns in field_maps(rule, taxonomy, outputs):
        needs = Needs(fields, columns, cost)
        found = [needs.clauses(condition) for condition in rule.conditions]
        parts.append(any_of(found, cost))
    return any_of(parts, cost)


def field_maps(
    rule: Rule, taxonomy: Taxonomy, outputs: Outputs
) -> Iterator[tuple[FieldMap, dict[str, frozenset[str]]]]:
    """Where a rule's fields are on each table that it can be matched on, before any query is known,
    and the columns that each may be logged under."""
    done: list[tuple[object, object]] = []
    for table_map in taxonomy.maps(rule.category, rule.product, rule.service):
        placed = {name: _placed(name, table_map, taxonomy, outputs) for name in rule.fields}
        if (table_map.store, placed) in done:
            continue
        done.append((table_map.store, placed))
        store = taxonomy.stores[table_map.store]
        places = {name: place for name, (place, _) in placed.items()}
        columns = {name: names for name, (_, names) in placed.items()}
        yield FieldMap(store, table_map.table, places, (), ()), columns


def _placed(
    name: str, table_map: TableMap, taxonomy: Taxonomy, outputs: Outputs
) -> tuple[Place, frozenset[str]]:
    """The place of a field before any query is known, and the columns it may be logged under."""
    if name in ENRICHED_FIELDS and table_map.store != "osquery":
        # No byte of the line says what the organisation's inputs will add.
        return Place("enriched", name), frozenset()
    if name in PSEUDO_FIELDS:
        return Place("envelope", name.partition(".")[2]), frozenset()
    if name.startswith("decorations."):
        own = name.partition(".")[2]
        return Place("decoration", own), frozenset([own])
    spec = taxonomy.spec(table_map, name)
    if spec is None:
        return ABSENT, frozenset()
    default = taxonomy.stores[table_map.store].text
    place = Place("column", spec.column, default + spec.normalisers)
    if table_map.store != "osquery":
        return place, frozenset([spec.column])
    if not spec.join:
        return place, outputs.get((table_map.table, spec.column), frozenset()) | {spec.column}
    join = taxonomy.joins(table_map.table).get(spec.join)
    names = outputs.get((join.table, spec.column)) if join is not None else None
    return (place, names) if names else (ABSENT, frozenset())
