"""Rules on the rows of one query as the judge in C takes them: see `judge` and `native/judge.h`.

A condition becomes a tree of atoms, that tree a row of numbers. What is not told by the columns
alone counts as perhaps.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from molehunt.conditions import (
    And,
    Cidr,
    Condition,
    FieldIs,
    Flag,
    Keyword,
    Not,
    Number,
    Or,
    Reference,
    Regex,
    Text,
    Wanted,
    flat,
)
from molehunt.rule import Rule

from .atoms import Atoms
from .fields import FieldMap, Place, holds_on_nothing
from .later import put_off
from .machines import Machine, machine

# The operators of `native/rules.h`.
_IS, _ALL, _SOME, _NOT, _FALSE, _TRUE, _UNKNOWN = range(7)
# An atom, or an operator with its parts; what it is in any case is below zero.
FALSE, TRUE, UNKNOWN = -_FALSE, -_TRUE, -_UNKNOWN
Tree: TypeAlias = "int | tuple[int, tuple[Tree, ...]]"
# How a column is asked about: by its name, or only for words, which no whole number holds.
NAMED, WORDS = 1, 2
_ALONE = (Text, Number, Flag, Regex, Cidr)
# An expression that is asked in one of so many rows, or less, has no table; and the cells that the
# tables of one query may have.
SELDOM, MAX_TABLE = 500, 1 << 16
# Of so many texts that an expression may match, it is asked for one at least.
NEARLY = 4
NEVER: Mapping[int, int] = MappingProxyType({})


class Reader(NamedTuple):
    """A rule by its number, and how it reads the rows."""

    number: int
    rule: Rule
    fields: FieldMap


class Program(NamedTuple):
    """What the judge is told of the rows of a query. `off` says of each atom whether it is looked
    for only where a rule asks. `asks` has, for an atom that it may not be sure of, the column and
    the leaf that tells (a rule's number and the leaf's)."""

    asked: bytes
    sets: bytes
    least: bytes
    off: bytes
    columns: list[list[bytes]]
    patterns: bytes
    globs: bytes
    classes: bytes
    table: bytes
    machines: bytes
    code: bytes
    rules: bytes
    free: bytes
    gate_starts: bytes
    gates: bytes
    asks: dict[int, tuple[int, int]]


class Draft(NamedTuple):
    """The rules that read rows with exactly these columns, each by its number as a tree."""

    columns: Sequence[str]
    atoms: Atoms
    trees: list[tuple[int, Tree]]


def draft(columns: Sequence[str], readers: Iterable[Reader]) -> Draft:
    """What is to be told of rows with these columns."""
    atoms = Atoms()
    trees = [(reader.number, _Maker(reader, columns, atoms).rule()) for reader in readers]
    return Draft(columns, atoms, [(number, tree) for number, tree in trees if tree != FALSE])


def program(
    made: Draft, rows: int = 0, met: Sequence[int] = (), asked: Mapping[int, int] = NEVER
) -> Program:
    """A draft as the judge takes it. Rules are looked at for atoms that are rare: in so many `rows`
    each was `met` so often, if that is known. Expressions that were `asked` for often have a
    table."""
    columns, atoms, trees = made
    prices: Sequence[float] = atoms.prices
    if rows:
        prices = [(count + few) / (rows + 1) for count, few in zip(met, prices, strict=True)]
    code, rules, free = array("i"), array("I"), array("I")
    found = [_gate(tree, prices) for _, tree in trees]
    off = frozenset[int]()
    if rows:
        off = put_off(atoms.searched, atoms.needing, _asked_by(trees), found, prices)
    gates: dict[int, list[int]] = {}
    for place, ((number, tree), gate) in enumerate(zip(trees, found, strict=True)):
        start = len(code)
        _write(_late(tree, off), code)
        rules.extend((number, start, len(code) - start))
        if gate is None:
            free.append(place)
        for atom in gate or ():
            gates.setdefault(atom, []).append(place)
    starts, flattened = array("I", [0]), array("I")
    for atom in range(len(atoms.prices)):
        flattened.extend(gates.get(atom, ()))
        starts.append(len(flattened))
    looked_at = [atoms.columns.get(name) for name in columns]
    return Program(
        bytes(0 if one is None else WORDS if one.words else NAMED for one in looked_at),
        bytes(atoms.sets),
        atoms.least.tobytes(),
        bytes(atom in off for atom in range(len(atoms.prices))),
        [one.packed() for one in looked_at if one is not None],
        bytes(atoms.patterns),
        atoms.globs.tobytes(),
        *_machines(atoms, rows, met, asked),
        code.tobytes(),
        rules.tobytes(),
        free.tobytes(),
        starts.tobytes(),
        flattened.tobytes(),
        atoms.asks,
    )


def _machines(
    atoms: Atoms, rows: int, met: Sequence[int], asked: Mapping[int, int]
) -> tuple[bytes, bytes, bytes]:
    """Tables for the expressions that were asked for often in so many rows; those that were asked
    for nearly wherever they might match are gone through at once."""
    classes, table, machines = bytearray(), array("H"), array("I")
    placed: dict[Machine, tuple[int, int]] = {}
    for atom, regex in atoms.regexes.items():
        if asked.get(atom, 0) * SELDOM <= rows or len(table) > MAX_TABLE:
            continue
        made = machine(regex.pattern, regex.flags)
        if made is None:
            continue
        cells = array("H", made.table)
        if made not in placed:
            placed[made] = len(classes), len(table)
            classes += made.classes
            table += cells
        at_once = asked[atom] * NEARLY > met[atom]
        machines.extend((atom, *placed[made], len(cells) // made.width, made.width, at_once))
    return bytes(classes), table.tobytes(), machines.tobytes()


def leaves(rule: Rule) -> Iterator[tuple[FieldIs | Keyword, Wanted]]:
    """What a rule wants, one by one, in the order in which they are numbered."""
    for condition in rule.conditions:
        yield from _leaves(condition)


def _leaves(node: Condition) -> Iterator[tuple[FieldIs | Keyword, Wanted]]:
    if isinstance(node, (And, Or)):
        for child in node.args:
            yield from _leaves(child)
    elif isinstance(node, Not):
        yield from _leaves(node.arg)
    else:
        for value in flat(node.value):
            yield node, value


class _Maker:
    """Makes the tree of one rule."""

    def __init__(self, reader: Reader, columns: Sequence[str], atoms: Atoms) -> None:
        self._number, self._rule, self._fields = reader
        self._columns = columns
        self._atoms = atoms
        self._leaf = -1

    def rule(self) -> Tree:
        """The rule's tree; the leaves are numbered as by `leaves`."""
        where = [self._allowed(column, values) for column, values in self._fields.where]
        conditions = [self._tree(condition) for condition in self._rule.conditions]
        return _joined(_ALL, [*where, _joined(_SOME, conditions)])

    def _allowed(self, column: str, values: Sequence[str]) -> Tree:
        if column not in self._columns or not all(map(str.isascii, values)):
            return UNKNOWN
        wanted = [Text((value,) if value else (), cased=True) for value in values]
        leaf = (self._number, -1)
        return _joined(_SOME, [self._atoms.of(column, (), value, leaf) for value in wanted])

    def _tree(self, node: Condition) -> Tree:
        match node:
            case And(args=args):
                return _joined(_ALL, [self._tree(child) for child in args])
            case Or(args=args):
                return _joined(_SOME, [self._tree(child) for child in args])
            case Not(arg=arg):
                return _negated(self._tree(arg))
            case FieldIs(field=name, value=value):
                place = self._fields.places[name]
                return _joined(_SOME, [self._wanted(place, item) for item in flat(value)])
            case Keyword(value=value):
                return _joined(_SOME, [self._word(item) for item in flat(value)])

    def _wanted(self, place: Place, value: Wanted) -> Tree:
        self._leaf += 1
        if place.kind == "absent":
            return TRUE if holds_on_nothing(value, self._fields.store) else FALSE
        known = place.kind == "column" and place.name in self._columns
        if not known or isinstance(value, Reference) or not self._fields.store.empty_is_null:
            return UNKNOWN
        leaf = (self._number, self._leaf)
        return self._atoms.of(place.name, place.normalisers, value, leaf)

    def _word(self, value: Wanted) -> Tree:
        self._leaf += 1
        if not isinstance(value, _ALONE) or not self._fields.store.empty_is_null:
            return UNKNOWN
        leaf = (self._number, self._leaf)
        text = self._fields.store.text
        parts = [self._atoms.of(name, text, value, leaf, True) for name in self._columns]
        return _joined(_SOME, parts)


def _joined(operator: int, parts: Iterable[Tree]) -> Tree:
    """All or some of the parts, without those that change nothing."""
    settles, idle = (FALSE, TRUE) if operator == _ALL else (TRUE, FALSE)
    left: list[Tree] = []
    for part in parts:
        if part == settles:
            return settles
        if isinstance(part, tuple) and part[0] == operator:
            left += part[1]
        elif part != idle:
            left.append(part)
    if not left:
        return idle
    return left[0] if len(left) == 1 else (operator, tuple(left))


def _negated(part: Tree) -> Tree:
    if isinstance(part, tuple) and part[0] == _NOT:
        return part[1][0]
    return {FALSE: TRUE, TRUE: FALSE, UNKNOWN: UNKNOWN}.get(part, (_NOT, (part,)))  # type: ignore[arg-type]


def _write(tree: Tree, code: array[int]) -> None:
    if isinstance(tree, int):
        code.extend((_IS, tree) if tree >= 0 else (-tree,))
        return
    start = len(code)
    code.extend((tree[0], 0))
    for part in tree[1]:
        _write(part, code)
    code[start + 1] = len(code) - start


def _asked_by(trees: Sequence[tuple[int, Tree]]) -> dict[int, set[int]]:
    """By atom the places of the rules that ask for it."""
    found: dict[int, set[int]] = {}
    for place, (_, tree) in enumerate(trees):
        for atom in _atoms_of(tree):
            found.setdefault(atom, set()).add(place)
    return found


def _atoms_of(tree: Tree) -> Iterator[int]:
    if isinstance(tree, int):
        if tree >= 0:
            yield tree
        return
    for part in tree[1]:
        yield from _atoms_of(part)


def _late(tree: Tree, off: frozenset[int]) -> Tree:
    """The same tree, with what is put off behind the rest."""
    if isinstance(tree, int) or not off:
        return tree
    parts = [_late(part, off) for part in tree[1]]
    return tree[0], tuple(sorted(parts, key=lambda part: not off.isdisjoint(_atoms_of(part))))


def _gate(tree: Tree, prices: Sequence[float], wanted: bool = True) -> frozenset[int] | None:
    """Atoms of which one is true (or perhaps true) wherever the tree is; None if nothing is
    certain. `wanted`: whether it is to be true, or false."""
    if isinstance(tree, int):
        return frozenset([tree]) if tree >= 0 and wanted else None
    operator, parts = tree
    if operator == _NOT:
        return _gate(parts[0], prices, not wanted)
    found = [_gate(part, prices, wanted) for part in parts]
    if (operator == _ALL) == wanted:
        there = [gate for gate in found if gate is not None]
        return min(there, key=lambda gate: sum(prices[a] for a in gate), default=None)
    if any(gate is None for gate in found):
        return None
    return frozenset[int]().union(*(gate for gate in found if gate is not None))


def plain(made: Program) -> list[Any]:
    """A program as JSON can hold it, bytes as texts of one byte each."""
    return [
        [[part.decode("latin-1") for part in column] for column in made.columns],
        [part.decode("latin-1") for part in made if isinstance(part, bytes)],
        [[atom, *leaf] for atom, leaf in made.asks.items()],
    ]


def restored(found: Any) -> Program:
    """The program behind `plain`. Raises ValueError, TypeError or AttributeError for others."""
    columns, parts, asks = found
    asked, sets, least, off, *others = (one.encode("latin-1") for one in parts)
    patterns, globs, classes, table, machines, code, rules, free, starts, gates = others
    return Program(
        asked,
        sets,
        least,
        off,
        [[part.encode("latin-1") for part in column] for column in columns],
        patterns,
        globs,
        classes,
        table,
        machines,
        code,
        rules,
        free,
        starts,
        gates,
        {int(atom): (int(rule), int(leaf)) for atom, rule, leaf in asks},
    )
