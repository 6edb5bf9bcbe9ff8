"""A rule's condition as an SQL expression over the columns of one query.

Every test gives 1, 0 or NULL, and NULL counts as 0; so does a `not` (docs/semantics.md). Columns
stand behind a unary plus: SQLite then does not hand the test to the table, which would look for a
file or a registry key of literally that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.conditions import (
    And,
    AnyOf,
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
from molehunt.detectors.matching.evaluate import regex, value_matches
from molehunt.detectors.matching.fields import FieldMap, Place

from ..model import Unsayable
from .sqlregex import translate
from .sqltext import exact, network_test, quoted, text_test

TRUE, FALSE = "1", "0"
_WIDEST = 50
_INTEGERS = frozenset(("integer", "bigint", "unsigned_bigint"))
_HIVES = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_CURRENT_CONFIG": "HKCC",
}


@dataclass(frozen=True, slots=True)
class Column:
    """What stands behind an output column: `alias.column` and its declared type."""

    sql: str
    type: str


@dataclass(slots=True)
class Where:
    """Writes conditions for one query. `differences` collects codes while it does.

    `columns` are all output columns of the query by name (None: computed), `names` what the query
    is called in logs.
    """

    fields: FieldMap
    columns: Mapping[str, Column | None]
    names: tuple[str, ...]
    differences: set[str] = field(default_factory=set)

    def belongs(self) -> str:
        """The rows of the rule's log source."""
        tests = []
        for name, allowed in self.fields.where:
            text = self._text(self._column(name), ())
            tests.append(f"{text} COLLATE BINARY IN ({', '.join(map(quoted, allowed))})")
        return _both(tests)

    def condition(self, node: Condition) -> str:
        """One condition. Raises Unsayable."""
        match node:
            case And():
                return _both([self.condition(one) for one in node.args])
            case Or():
                return either([self.condition(one) for one in _gathered(node.args)])
            case Not():
                return _opposite(self.condition(node.arg))
            case Keyword():
                return self._keyword(node.value)
            case FieldIs():
                return self._field(node)

    def _field(self, node: FieldIs) -> str:
        place = self.fields.places[node.field]
        if place.kind == "absent":
            return either([_on_nothing(one) for one in flat(node.value)])
        if place.kind == "envelope" and place.name == "name":
            held = any(_of_name(one, name) for one in flat(node.value) for name in self.names)
            return TRUE if held else FALSE
        if place.kind != "column":
            raise Unsayable(
                place.kind, f"a query on the host does not know {node.field}, only a log does"
            )
        column = self._column(place.name)
        return self._any(list(flat(node.value)), column, place)

    def _any(self, values: Sequence[Wanted], column: Column, place: Place) -> str:
        """Whether one of the values is met; plain texts together, in one list."""
        plain: list[str] = []
        tests: list[str] = []
        for value in values:
            text = exact(value) if isinstance(value, Text) and value.parts else None
            if text is None:
                tests.append(self._one(value, column, place))
            else:
                plain.append(text)
        if plain:
            text = self._text(column, place.normalisers)
            if len(plain) == 1:
                tests.insert(0, f"{text} = {quoted(plain[0])} COLLATE NOCASE")
            else:
                listed = ", ".join(map(quoted, dict.fromkeys(plain)))
                tests.insert(0, f"{text} COLLATE NOCASE IN ({listed})")
        return either(tests)

    def _one(self, value: Wanted, column: Column, place: Place) -> str:
        there = _asks_presence(value)
        if there is not None:
            return _opposite(_empty(column)) if there else _empty(column)
        match value:
            case Text():
                return text_test(value, self._text(column, place.normalisers))
            case Flag(boolean=boolean):
                return text_test(Text((str(boolean).lower(),)), self._text(column, ()))
            case Number(number=number):
                return self._number("=", number, column, place)
            case Compare(operator=operator, number=number):
                return self._number("<>" if operator == "!=" else operator, number, column, place)
            case Cidr(network=network):
                self.differences.add("ip_spelling")
                normalisers = (*(n for n in place.normalisers if n != "ip"), "ip")
                return network_test(network, self._text(column, normalisers))
            case Regex():
                return self._regex(value, column, place)
            case Reference():
                return self._reference(value, column, place)
            case AnyOf(values=values):
                return self._any(list(values), column, place)
            case _:
                raise Unsayable("time_part", "parts of times as text are not read in SQL")

    def _number(self, operator: str, number: int | float, column: Column, place: Place) -> str:
        if column.type in _INTEGERS or column.type == "double":
            return f"+{column.sql} {operator} {number}"
        text = self._text(column, place.normalisers)
        # The unsigned part; GLOB has no "optional".
        digits = (
            f"CASE WHEN substr({text}, 1, 1) IN ('+', '-') THEN substr({text}, 2) ELSE {text} END"
        )
        decimal = " AND ".join(
            (
                f"({digits}) GLOB '[0-9]*'",
                f"({digits}) GLOB '*[0-9]'",
                f"({digits}) NOT GLOB '*[^0-9.]*'",
                f"({digits}) NOT GLOB '*.*.*'",
                f"length({text}) <= 300",
            )
        )
        return f"CASE WHEN {decimal} THEN CAST({text} AS NUMERIC) {operator} {number} ELSE 0 END"

    def _regex(self, value: Regex, column: Column, place: Place) -> str:
        made = translate(value)
        self.differences |= made.differences
        text = self._text(column, place.normalisers)
        text = f"lower({text})" if made.lower else text
        tests = [f"regex_match({text}, {quoted(one)}, 0) IS NOT NULL" for one in made.patterns]
        if regex(value).search("") is None:
            return either(tests)
        return _both([_opposite(_empty(column)), either(tests)])

    def _reference(self, value: Reference, column: Column, place: Place) -> str:
        other = self.fields.places[value.field]
        if other.kind == "absent":
            return FALSE
        if other.kind != "column":
            raise Unsayable(other.kind, f"a query on the host does not know {value.field}")
        self.differences.add("fieldref_letters")
        theirs = self._column(other.name)
        left = self._text(column, place.normalisers)
        right = self._text(theirs, other.normalisers)
        if value.starts and value.ends:
            test = f"instr(lower({left}), lower({right})) > 0"
        elif value.starts:
            test = f"substr({left}, 1, length({right})) = {right} COLLATE NOCASE"
        elif value.ends:
            test = f"substr({left}, -length({right})) = {right} COLLATE NOCASE"
        else:
            test = f"{left} = {right} COLLATE NOCASE"
        return _both([_opposite(_empty(column)), _opposite(_empty(theirs)), test])

    def _keyword(self, value: Wanted) -> str:
        """Something in any column: the same for each of them."""
        place = Place("column", "", self.fields.store.text)
        columns = [self._column(name) for name in self.columns]
        tests = []
        for one in flat(value):
            inner = _inside(one)
            tests += [self._one(inner, column, place) for column in columns]
        return either(tests)

    def _column(self, name: str) -> Column:
        column = self.columns.get(name)
        if column is None:
            raise Unsayable("computed", f"column {name} is computed by the query of the pack")
        return column

    def _text(self, column: Column, normalisers: Sequence[str]) -> str:
        """The value as text, respelled as the taxonomy wants it."""
        if column.type == "double":
            raise Unsayable("double", "a floating-point column as text")
        text = f"+{column.sql}" if column.type == "text" else f"CAST({column.sql} AS TEXT)"
        for name in normalisers:
            text = self._respelled(text, name)
        return text

    def _respelled(self, text: str, normaliser: str) -> str:
        match normaliser:
            case "control_text":
                # Only the log has it: on the host there are the characters themselves.
                return text
            case "audit_quotes":
                return (
                    f"CASE WHEN length({text}) > 1 AND substr({text}, 1, 1) = '\"'"
                    f" AND substr({text}, -1) = '\"'"
                    f" THEN substr({text}, 2, length({text}) - 2) ELSE {text} END"
                ).join("()")
            case "hive":
                cases = " ".join(
                    f"WHEN upper(substr({text} || '\\', 1, {len(head) + 1})) = '{head}\\'"
                    f" THEN '{short}' || substr({text}, {len(head) + 1})"
                    for head, short in _HIVES.items()
                )
                return f"(CASE {cases} ELSE {text} END)"
            case "ip":
                self.differences.add("ip_spelling")
                return (
                    f"(CASE WHEN {text} LIKE '::ffff:%.%.%.%' THEN substr({text}, 8)"
                    f" WHEN instr({text}, '%') THEN substr({text}, 1, instr({text}, '%') - 1)"
                    f" ELSE {text} END)"
                )
            case _:
                raise Unsayable("normaliser", f"SQL has no counterpart of {normaliser}")


def _gathered(nodes: Sequence[Condition]) -> Iterator[Condition]:
    """Alternatives, those about one field together as one."""
    fields: dict[str, list[Wanted]] = {}
    for node in nodes:
        if isinstance(node, FieldIs):
            fields.setdefault(node.field, []).append(node.value)
    for node in nodes:
        if not isinstance(node, FieldIs):
            yield node
        elif node.field in fields:
            yield FieldIs(node.field, AnyOf(tuple(fields.pop(node.field))))


def _asks_presence(value: Wanted) -> bool | None:
    """Whether a value asks that there is something (True) or nothing; None if for more."""
    if isinstance(value, Nothing):
        return False
    if isinstance(value, Exists):
        return value.exists
    if isinstance(value, Text) and all(part is Wild.ANY for part in value.parts):
        return bool(value.parts)
    return None


def _inside(value: Wanted) -> Wanted:
    """What a keyword asks of each value: texts stand anywhere in it."""
    match value:
        case Text(parts=parts, cased=cased):
            return Text((Wild.ANY, *parts, Wild.ANY), cased)
        case Number(number=number):
            return Text((Wild.ANY, str(number), Wild.ANY))
        case Flag(boolean=boolean):
            return Text((Wild.ANY, str(boolean).lower(), Wild.ANY))
        case Regex() | Cidr() | Compare():
            return value
        case _:
            raise Unsayable("keyword", "a keyword that is no text")


def _of_name(value: Wanted, name: str) -> bool:
    if isinstance(value, Exists):
        return value.exists
    if isinstance(value, Reference):
        raise Unsayable("envelope", "a field compared with the name of the query")
    if isinstance(value, Nothing) or (isinstance(value, Text) and not value.parts):
        return False
    return value_matches(value, name)


def _on_nothing(value: Wanted) -> str:
    if isinstance(value, Exists):
        return FALSE if value.exists else TRUE
    if isinstance(value, Text):
        return FALSE if value.parts else TRUE
    return TRUE if isinstance(value, Nothing) else FALSE


def _empty(column: Column) -> str:
    if column.type in _INTEGERS or column.type == "double":
        return f"{column.sql} IS NULL"
    return f"COALESCE({column.sql}, '') = ''"


def _opposite(test: str) -> str:
    if test in (TRUE, FALSE):
        return FALSE if test == TRUE else TRUE
    if test.endswith(" IS NULL") and " " not in test.removesuffix(" IS NULL"):
        return test.removesuffix("NULL") + "NOT NULL"
    if test.startswith("COALESCE(") and test.endswith(", '') = ''") and test.count("(") == 1:
        return test.removesuffix("= ''") + "<> ''"
    return f"NOT COALESCE({test}, 0)"


def _both(tests: Sequence[str]) -> str:
    kept = [test for test in tests if test != TRUE]
    if FALSE in kept:
        return FALSE
    return _joined(kept, " AND ") if kept else TRUE


def either(tests: Sequence[str]) -> str:
    """Tests of which one is to hold, as one."""
    kept = [test for test in dict.fromkeys(tests) if test != FALSE]
    if TRUE in kept:
        return TRUE
    return _joined(kept, " OR ") if kept else FALSE


def _joined(tests: Sequence[str], link: str) -> str:
    """In brackets; many of them as a balanced tree, since SQLite refuses more than 1,000 levels."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) <= _WIDEST:
        return "(" + link.join(tests) + ")"
    return "(" + link.join(_joined(part, link) for part in _parts(tests)) + ")"


def _parts(tests: Sequence[str]) -> Iterator[Sequence[str]]:
    size = max(_WIDEST, -(-len(tests) // _WIDEST))
    for start in range(0, len(tests), size):
        yield tests[start : start + size]
