"""A rule's condition as an SPL expression for `where` that is never null."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from molehunt.conditions import (
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldIs,
    Flag,
    Not,
    Nothing,
    Number,
    Or,
    Regex,
    Text,
    Wanted,
    Wild,
    flat,
)
from molehunt.detectors.matching.fields import FieldMap, Place

from ..kusto import kqlnet
from ..kusto.kqlwhere import needs_text
from ..model import Unsayable
from .spltext import END, FALSE, TRUE, any_text, found, network, regex, string

_EXACT = 1 << 53
_DECIMAL = "^[+-]?[0-9]+([.][0-9]+)?" + END


@dataclass(slots=True)
class Where:
    """Writes expressions for one way in which a rule reads osquery's rows.

    `read(place)` gives a field that is a string and never null; None if there is none.
    """

    fields: FieldMap
    read: Callable[[Place], str | None]
    differences: set[str] = field(default_factory=set)

    def condition(self, node: Condition) -> str:
        """The expression. Raises Unsayable."""
        match node:
            case And():
                return joined([self.condition(child) for child in node.args], "AND")
            case Or():
                return joined([self.condition(child) for child in node.args], "OR")
            case Not():
                inner = self.condition(node.arg)
                return {TRUE: FALSE, FALSE: TRUE}.get(inner, f"NOT ({inner})")
            case FieldIs():
                return self.of_field(node.field, list(flat(node.value)))
        raise Unsayable("keyword", "a search of the raw event finds names of columns too")

    def belongs(self) -> str:
        """The rows of the rule's log source."""
        tests = []
        for column, allowed in self.fields.where:
            name = self.read(Place("column", column))
            assert name is not None
            wanted = [Text((one,), cased=True) for one in allowed]
            tests.append(any_text(name, wanted))
        return joined(tests, "AND")

    def of_field(self, name: str, values: list[Wanted]) -> str:
        """That a field has one of several values."""
        place = self.fields.places[name]
        read = self.read(place)
        if read is None:
            return TRUE if any(map(_wants_nothing, values)) else FALSE
        if set(place.normalisers) - {"control_text", "ip"} or (
            "ip" in place.normalisers and not all(isinstance(one, Cidr) for one in values)
        ):
            raise Unsayable("spelling", "SPL compares the value as osquery spells it")
        if "control_text" in place.normalisers and not all(
            isinstance(one, (Number, Compare, Cidr, Exists, Nothing)) for one in values
        ):
            self.differences.add("escaped_text")
        texts = [one for one in values if isinstance(one, Text) and one.parts]
        tests = []
        for cased, group in groupby(sorted(texts, key=_cased), _cased):
            together = list(group)
            if not cased:
                self.differences.add("case_beyond_ascii")
            if any(Wild.ONE in one.parts for one in together):
                self.differences.add("one_byte")
            tests.append(any_text(read, together))
        others = [one for one in values if not (isinstance(one, Text) and one.parts)]
        return joined(tests + [self._value(read, one) for one in others], "OR")

    def _value(self, read: str, value: Wanted) -> str:
        if _wants_nothing(value):
            return f"len({read})=0"
        if isinstance(value, Exists):
            return f"len({read})>0"
        match value:
            case Regex():
                self.differences.add("pcre")
                test = found(read, regex(value))
                return test if needs_text(value) else f"(len({read})>0 AND {test})"
            case Number():
                return _number(read, "=", value.number)
            case Compare():
                return _number(read, value.operator, value.number)
            case Flag():
                wanted = "true" if value.boolean else "false"
                return found(read, f"(?i)^{wanted}{END}")
            case Cidr():
                pattern = kqlnet.network(value.network)
                if pattern is not None:
                    return found(read, network(pattern))
        raise Unsayable("value", f"{type(value).__name__} has no exact form in SPL")


def joined(parts: list[str], word: str) -> str:
    """AND or OR of expressions."""
    neutral, decisive = (TRUE, FALSE) if word == "AND" else (FALSE, TRUE)
    kept = list(dict.fromkeys(part for part in parts if part != neutral))
    if decisive in kept:
        return decisive
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else "(" + f" {word} ".join(kept) + ")"


def names(column: str, wanted: list[str]) -> str:
    """That a field is one of several names."""
    return f"in({column}, {', '.join(string(one) for one in sorted(set(wanted)))})"


def _cased(value: Text) -> bool:
    return value.cased


def _wants_nothing(value: Wanted) -> bool:
    if isinstance(value, Exists):
        return not value.exists
    return isinstance(value, Nothing) or (isinstance(value, Text) and not value.parts)


def _number(read: str, operator: str, number: float) -> str:
    if abs(number) >= _EXACT:
        raise Unsayable("large_number", "SPL compares numbers of that size as floating point")
    wanted = str(int(number)) if number == int(number) else repr(float(number))
    decimal = found(read, _DECIMAL)
    return f"({decimal} AND len({read})<=300 AND coalesce(tonumber({read}), 0){operator}{wanted})"
