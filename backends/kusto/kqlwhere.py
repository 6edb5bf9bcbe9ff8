"""A rule's condition as a KQL predicate that is never null.

What is read becomes a string (`tostring` of null is ""), so that a comparison with nothing is false
and its `not` true, as docs/semantics.md wants. Records hold texts; a number is compared only where
the text is a plain decimal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from molehunt.conditions import (
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Keyword,
    Not,
    Nothing,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    Wanted,
    flat,
)
from molehunt.detectors.matching.fields import FieldMap, Place

from ..model import Unsayable
from .kqlnet import network
from .kqlobjects import begins, one_object
from .kqltext import (
    FALSE,
    TRUE,
    all_of,
    any_of,
    literal,
    matches,
    negated,
    plain,
    regex,
    word_edges,
)

_EXACT = 1 << 53
_DECIMAL = r"\A[+-]?[0-9]+(?:\.[0-9]+)?\z"


@dataclass(frozen=True, slots=True)
class Read:
    """Where a field's value is: a string expression, or one of a JSON array's text; with a `key`
    one of the texts that the objects of such an array have under it (`kqlobjects.py`)."""

    expression: str
    listed: bool = False
    key: str = ""

    @property
    def several(self) -> bool:
        """Whether there can be several values."""
        return self.listed or bool(self.key)


@dataclass(slots=True)
class Where:
    """Writes predicates for one way in which a rule reads a log.

    `read(place)` says where a value is; None if nowhere. `differences` collects codes.
    """

    fields: FieldMap
    read: Callable[[Place], Read | None]
    differences: set[str] = field(default_factory=set)

    def condition(self, node: Condition) -> str:
        """The predicate. Raises Unsayable."""
        match node:
            case And():
                return all_of([self.condition(child) for child in node.args])
            case Or():
                return any_of([self.condition(child) for child in node.args])
            case Not():
                return negated(self.condition(node.arg))
            case FieldIs():
                return self._field(node.field, list(flat(node.value)))
            case Keyword():
                raise Unsayable("keyword", "KQL would search the names of the columns too")

    def belongs(self) -> str:
        """The rows of the rule's log source."""
        parts = []
        for column, allowed in self.fields.where:
            found = self.read(Place("column", column))
            if found is None:
                raise Unsayable("no_column", f"the log has no column {column}")
            words = ", ".join(literal(one) for one in allowed)
            parts.append(f"{found.expression} in ({words})")
        return all_of(parts)

    def _field(self, name: str, values: list[Wanted]) -> str:
        place = self.fields.places[name]
        read = self.read(place)
        if read is None:
            nothing = any(self._wants_nothing(value) for value in values)
            return TRUE if nothing else FALSE
        together = [value for value in values if plain(value)] if not read.several else []
        parts = []
        if len(together) > 1:
            words = ", ".join(literal(str(one.parts[0])) for one in together)  # type: ignore[union-attr]
            parts.append(f"{self._text(place, read)} in~ ({words})")
            values = [value for value in values if not plain(value)]
        return any_of(parts + [self._value(place, read, value) for value in values])

    def _wants_nothing(self, value: Wanted) -> bool:
        if isinstance(value, Exists):
            return not value.exists
        if isinstance(value, Text):
            return self.fields.store.empty_is_null and not value.parts
        return isinstance(value, Nothing)

    def _text(self, place: Place, read: Read) -> str:
        """The value as the rule sees it."""
        text = read.expression
        for name in place.normalisers:
            if name == "control_text":
                self.differences.add("escaped_text")
            elif name == "audit_quotes":
                text = f'replace_regex({text}, @"(?s)\\A""(.*)""\\z", @"\\1")'
            elif name == "hive":
                for long, short in _HIVES:
                    letters = "".join(f"[{c}{c.lower()}]" if c != "_" else c for c in long)
                    text = f'replace_regex({text}, @"\\A{letters}(\\\\|\\z)", @"{short}\\1")'
            else:
                raise Unsayable("address_spelling", "addresses are spelt in several ways there")
        return text

    def _value(self, place: Place, read: Read, value: Wanted) -> str:
        if not self.fields.store.empty_is_null:
            self._merged(value)
        if read.several:
            return self._listed(place, read, value)
        if isinstance(value, Exists):
            return f"{'isnotempty' if value.exists else 'isempty'}({read.expression})"
        if isinstance(value, Nothing) or (isinstance(value, Text) and not value.parts):
            return f"isempty({read.expression})"
        match value:
            case Text():
                return matches(self._text(place, read), value)
            case Regex():
                return self._regex(place, read, value)
            case Number():
                return self._number(read, "==", value.number)
            case Compare():
                return self._number(read, value.operator, value.number)
            case Flag():
                return f'{read.expression} =~ "{"true" if value.boolean else "false"}"'
            case Cidr():
                return self._network(read, value)
            case Reference():
                return self._reference(place, read, value)
        raise Unsayable("time_part", f"{type(value).__name__} has no exact form in KQL")

    def _merged(self, value: Wanted) -> None:
        """In a table null, the empty text and what is missing are one."""
        if isinstance(value, Text) and not value.parts:
            raise Unsayable("null_or_empty", "the table does not tell null from the empty text")
        if isinstance(value, (Nothing, Exists)):
            self.differences.add("null_is_missing")

    def _regex(self, place: Place, read: Read, value: Regex) -> str:
        if word_edges(value):
            self.differences.add("word_edges")
        text = self._text(place, read)
        test = f"{text} matches regex {literal(regex(value))}"
        return test if needs_text(value) else all_of([f"isnotempty({text})", test])

    def _number(self, read: Read, operator: str, number: float) -> str:
        if abs(number) >= _EXACT:
            raise Unsayable("large_number", "KQL compares numbers of that size as floating point")
        text = read.expression
        plain_number = f"{text} matches regex {literal(_DECIMAL)} and strlen({text}) <= 300"
        return f"({plain_number} and toreal({text}) {operator} {_real(number)})"

    def _network(self, read: Read, value: Cidr) -> str:
        pattern = network(value.network)
        if pattern is None:
            raise Unsayable("network", f"{value.network} has no exact form over text")
        return f"{read.expression} matches regex {literal(pattern)}"

    def _reference(self, place: Place, read: Read, value: Reference) -> str:
        other_place = self.fields.places[value.field]
        other = self.read(other_place)
        if other is None:
            return FALSE
        if other.several or (read.key and (value.starts or value.ends)):
            raise Unsayable("listed", "a comparison with a list")
        self.differences.add("reference_case")
        if read.key:
            self.differences.add("json_text")
            same = f"strcat({literal(begins(read.key))}, {other.expression}, {literal(chr(34))})"
            tests = [f"isnotempty({other.expression})", f"{read.expression} contains {same}"]
            return all_of(tests)
        mine, theirs = self._text(place, read), self._text(other_place, other)
        word = {
            (False, False): "=~",
            (True, False): "startswith",
            (False, True): "endswith",
            (True, True): "contains",
        }[value.starts, value.ends]
        tests = [f"isnotempty({mine})", f"isnotempty({theirs})", f"{mine} {word} {theirs}"]
        return all_of(tests)

    def _listed(self, place: Place, read: Read, value: Wanted) -> str:
        """One of a list: found in the list's text between its quotes."""
        if isinstance(value, Reference):
            return self._reference(place, read, value)
        if read.key:
            return one_object(read.expression, read.key, value)
        if isinstance(value, Exists):
            some = f'{read.expression} contains_cs "\\""'
            return some if value.exists else negated(some)
        if isinstance(value, Text) and plain(value):
            text = str(value.parts[0])
            if re.fullmatch(r"[0-9A-Za-z_.-]+", text):
                return f'{read.expression} contains "\\"{text}\\""'
        raise Unsayable("listed", "the table keeps that list as a text")


_HIVES = (
    ("HKEY_LOCAL_MACHINE", "HKLM"),
    ("HKEY_USERS", "HKU"),
    ("HKEY_CURRENT_USER", "HKCU"),
    ("HKEY_CLASSES_ROOT", "HKCR"),
    ("HKEY_CURRENT_CONFIG", "HKCC"),
)


def _real(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))


def needs_text(value: Regex) -> bool:
    """Whether the expression does not match the empty text."""
    import re2

    flags = f"(?{value.flags})" if value.flags else ""
    return re2.search(flags + value.pattern, "") is None
