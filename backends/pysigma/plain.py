"""A rule said again in what every pySigma backend reads alike.

A backend decides what a number, null, letter case or a wildcard mean in its store. So the condition
is written anew as Sigma: what the backend is known to say exactly stays (`contains`, ...), all else
is a regular expression that all engines read alike (`portable`). What has no such form raises
`Unsayable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, NamedTuple

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
    Wild,
    flat,
)

from ..kusto.kqlnet import network
from ..model import Unsayable
from ..searching.numbers import beyond, spelt
from ..searching.re2tree import Unsaid
from .portable import SOMETHING, regex, text


class Dialect(NamedTuple):
    """What the queries of a backend are known to say as the rule does.

    `carried` are the shapes of texts that it compares without regard to case: `equal`, `starts`,
    `ends`, `contains`; only such of ASCII are left to it. `unicode` means that it also takes other
    characters for an ASCII letter (U+212A KELVIN SIGN for k). `java` means that its expressions are
    Java's. `form` makes a query of what the backend gives, with `{}` for that. `settings` are
    attributes of the backend's object.
    """

    carried: frozenset[str]
    unicode: bool = False
    java: bool = False
    form: str = "{}"
    settings: tuple[tuple[str, Any], ...] = ()


Selection = list[dict[str, Any]]


def detection(
    conditions: Sequence[Condition], dialect: Dialect, addresses: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], frozenset[str]]:
    """The `detection` of the rule said again, and codes of differences. Raises `Unsayable`.

    `addresses` are fields whose values are normalised as addresses before they are compared.
    """
    writer = _Writer(dialect, addresses)
    said = [writer.condition(one) for one in conditions]
    found = {**writer.selections, "condition": said if len(said) > 1 else said[0]}
    return found, frozenset(writer.differences)


@dataclass(slots=True)
class _Writer:
    dialect: Dialect
    addresses: frozenset[str]
    selections: dict[str, Selection] = field(default_factory=dict)
    differences: set[str] = field(default_factory=set)

    def condition(self, node: Condition) -> str:
        """The node in terms of selections, which are made on the way."""
        whole = self.selection(node)
        if whole is not None:
            name = f"sel{len(self.selections)}"
            self.selections[name] = whole
            return name
        if isinstance(node, Not):
            return f"(not {self.condition(node.arg)})"
        assert isinstance(node, (And, Or))
        word = " and " if isinstance(node, And) else " or "
        return "(" + word.join(map(self.condition, node.args)) + ")"

    def selection(self, node: Condition) -> Selection | None:
        """The node as a list of maps, any of which has to hold as a whole; None if it is not."""
        if isinstance(node, Keyword):
            raise Unsayable("keyword", "a keyword is looked for in every column")
        if isinstance(node, FieldIs):
            return [dict([one]) for one in self.items(node.field, list(flat(node.value)))]
        if isinstance(node, Not):
            return None
        parts = [self.selection(child) for child in node.args]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if isinstance(node, Or):
            return [one for part in known for one in part]
        if any(len(part) > 1 for part in known):
            return None
        items = [item for part in known for item in part[0].items()]
        return [dict(items)] if len(dict(items)) == len(items) else None

    def items(self, name: str, values: Sequence[Wanted]) -> Iterator[tuple[str, Any]]:
        """Keys with values, any of which has to hold."""
        found: dict[str, list[str]] = {}
        for value in values:
            wanted = _as_address(value) if name in self.addresses else value
            modifier, said = self.value(wanted)
            if modifier == "both":
                yield f"{name}|re|all", [said, SOMETHING]
            else:
                found.setdefault(modifier, []).append(said)
        for modifier, words in found.items():
            key = f"{name}|{modifier}" if modifier else name
            yield key, ["|".join(words)] if modifier == "re" else words

    def value(self, value: Wanted) -> tuple[str, str]:
        """The modifier and the text after it; `both`: an expression that also finds nothing."""
        match value:
            case Nothing() | Exists(exists=False) | Text(parts=()):
                return "", ""
            case Exists():
                return "re", SOMETHING
            case Text():
                return self._text(value)
            case Flag(boolean=boolean):
                return self._text(Text(("true" if boolean else "false",)))
            case Regex():
                return self._regex(value)
            case Number(number=number):
                return self._number(spelt(number))
            case Compare(operator=operator, number=number):
                return self._number(beyond(operator, number))
            case Cidr():
                return self._network(value.network)
            case Reference():
                raise Unsayable("reference", "the backend compares two columns with case")
        raise Unsayable("time_part", "parts of times are read from several spellings")

    def _number(self, alternatives: str) -> tuple[str, str]:
        self.differences.add("number_spelling")
        return "re", f"^(?:{alternatives})$"

    def _text(self, value: Text) -> tuple[str, str]:
        for shape, modifier, inner in _shapes(value):
            if inner.isascii() and shape in self.dialect.carried:
                if self.dialect.unicode and _OTHERS & set(inner.lower()):
                    self.differences.add("letter_case")
                return modifier, _escaped(inner)
        return "re", text(value)

    def _regex(self, value: Regex) -> tuple[str, str]:
        try:
            said, assertions = regex(value)
        except Unsaid as error:
            raise Unsayable("regex", str(error)) from error
        if self.dialect.java and assertions & {"m^", "m$"}:
            raise Unsayable("regex", "Java takes other characters for the end of a line")
        if self.dialect.java and assertions & {"b", "B"}:
            self.differences.add("word_edges")
        return ("both" if _finds_nothing(value) else "re"), said

    def _network(self, wanted: str) -> tuple[str, str]:
        said = network(wanted)
        if said is None:
            raise Unsayable("network", f"{wanted} has no exact form over text")
        return "re", regex(Regex(said))[0]


def _shapes(value: Text) -> Iterator[tuple[str, str, str]]:
    """How Sigma says a text with wildcards at its ends only: the shape, modifier, plain text."""
    if value.cased:
        return
    match value.parts:
        case (str(inner),):
            yield "equal", "", inner
        case (str(inner), Wild.ANY):
            yield "starts", "startswith", inner
        case (Wild.ANY, str(inner)):
            yield "ends", "endswith", inner
        case (Wild.ANY, str(inner), Wild.ANY):
            yield "contains", "contains", inner


# Other characters have these as one of their cases: U+0130, U+212A and U+017F.
_OTHERS = frozenset("iks")


def _escaped(inner: str) -> str:
    """Text that means itself in Sigma."""
    return "".join("\\" + c if c in "\\*?" else c for c in inner)


def _as_address(value: Wanted) -> Wanted:
    """What is wanted of a normalised address as what is wanted of its spellings."""
    if isinstance(value, Text) and value.parts:
        # Of several parts, or a single wildcard, ValueError tells too.
        try:
            (inner,) = value.parts
            return Cidr(str(ip_network(str(inner))))
        except ValueError as error:
            raise Unsayable("normaliser", "part of an address is compared") from error
    if not isinstance(value, (Cidr, Exists, Nothing, Text)):
        raise Unsayable("normaliser", "an address is compared as a text")
    return value


def _finds_nothing(value: Regex) -> bool:
    import re2

    flags = f"(?{value.flags})" if value.flags else ""
    return re2.search(flags + value.pattern, "") is not None


DIALECTS: Mapping[str, Dialect] = {
    # The table's collation ignores case; expressions are RE2's there, as in ClickHouse.
    "sqlite": Dialect(frozenset(("equal", "starts", "ends", "contains"))),
    "databricks": Dialect(
        frozenset(("equal", "starts", "ends", "contains")),
        unicode=True,
        java=True,
        form="SELECT * FROM logs WHERE {}",
        # It would join texts to an expression with Java's `$`.
        settings=(("optimize_or_as_regex", False),),
    ),
    # Lists of plain texts become `IN` with LIKE's escapes, which `IN` takes as they stand.
    "clickhouse": Dialect(frozenset(("starts", "ends", "contains")), unicode=True),
    "victorialogs": Dialect(frozenset()),
}
"""By the backend's name. The queries of others are made of the rule as it stands."""


def whole(words: Sequence[str]) -> str:
    """An expression for any of the texts, case and all."""
    return "^(?:" + "|".join(text(Text((word,), True))[1:-1] for word in sorted(words)) + ")$"
