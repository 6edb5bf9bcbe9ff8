"""Rows of a query without SQL: the table that its name and its columns tell.

Most schedules select a table with a column or two of a join beside it. Those that are spelled as a
declared join (`parent_path`) are that join's; of the others nothing is known, and what could be
either's is left without an origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from molehunt.schema import Schema, Table, find_table
from molehunt.taxonomy import Join

from ..records import Binding, Equality, Origin, Shape, TableUse
from .sockets import SOCKETS

Joins = Callable[[str], Mapping[str, Join]]

MAX_NAMED = 5
# So few of the table's own columns, or so few for each of unknown origin, tell nothing.
MIN_OWN, OWN_FOR_ONE_FOREIGN = 2, 2
# A few columns fit many tables; the name decides between some only.
MIN_COLUMNS, MAX_TABLES = 3, 5
# So many that no other table has together tell, beside what somebody named.
MIN_TELLING = 4
# All columns of a table and no other, as `SELECT *` gives them: of so many it is no chance.
MIN_WHOLE = 6
# Tables that take one file apart (https://osquery.io/schema/): nobody has them logged all day, so
# that columns which another table has, too, are the other's.
OF_ONE_FILE = frozenset(
    (
        "device_file",  # those in one image of a disk
        "elf_dynamic",
        "elf_info",
        "elf_sections",
        "elf_segments",
        "elf_symbols",
        "magic",
        "yara_file",
    )
)
# A column that so few tables have speaks for them.
FEW_TABLES = 2
# Columns of `hash`, joined beside whatever has a path; no rule reads them.
HASHES = frozenset(("md5", "sha1", "sha256", "ssdeep"))
_DELIMITER = re.compile(r"[_/:.\-\s]")
_PLURAL = re.compile(r"((?<=ss)es|(?<!s)s)$")
EVENT = "event"
# So many words of a query's name that are a table's name are hardly said of another.
MIN_WORDS = 2
# Tables that schedules join with another of the same things, on a column that both have: their rows
# are about both.
PARTNERS = MappingProxyType({"interface_addresses": ("interface_details", "interface")})
# The column of `users` that is commonly selected under its own name.
USER, USERNAME = "user", "username"


def by_name(query: str, columns: frozenset[str], schema: Schema, joins: Joins) -> Binding | None:
    """The binding to the table that the query is called as, or that what follows a delimiter in its
    name is called as; None if there is none, or if its columns speak against it."""
    for tail in _tails(query):
        table = find_table(schema, tail)
        if table is not None:
            return _called(query, table, columns, schema, joins)
    return None


def by_words(query: str, columns: frozenset[str], schema: Schema, joins: Joins) -> Binding | None:
    """The binding to the table whose name stands in the query's as it is commonly spelled, with
    other delimiters, in the singular or before other words (`linux-interface-addresses`, `Interface
    addresses`, `interface_addresses_snapshot`); of several the one of most words. None if two are,
    or if its columns speak against it."""
    said = _spelled(query)
    found: dict[str, int] = {}
    for name, table in schema.items():
        words = _spelled(name)
        # `process_etw`: what a table of events is of.
        short = words[:-1] if table.evented and words[-1] == EVENT else words
        for spelling in (short, words):
            if len(spelling) >= MIN_WORDS and _within(spelling, said):
                found[name] = len(spelling)
    longest = [name for name, words in found.items() if words == max(found.values())]
    if len(longest) != 1:
        return None
    return _called(query, schema[longest[0]], columns, schema, joins)


def by_columns(query: str, columns: frozenset[str], schema: Schema) -> Binding:
    """The binding to the one table that has all columns; if some have, to the one that the query's
    name speaks of, else to the one that has no others (`SELECT *`). Unbound if that does not
    tell."""
    fits = [table for table in schema.values() if _has_all(table, columns)]
    usual = [table for table in fits if table.name not in OF_ONE_FILE]
    fits = usual if len(usual) == 1 else fits
    if len(fits) == 1 and len(columns) > 1:
        return whole(query, "column shape", fits[0], columns)
    no_sql = "no SQL is known for it, its name names no table that fits, and "
    if not fits:
        return unbound(query, no_sql + "no table has all its columns")
    if len(columns) >= MIN_COLUMNS and len(fits) <= MAX_TABLES:
        spoken = _spoken_of(query, fits)
        if spoken is not None:
            return whole(query, "column shape", spoken, columns)
    if len(columns) >= MIN_WHOLE or (len(columns) >= MIN_COLUMNS and _has_rare(columns, schema)):
        just = [table for table in fits if len(table.columns) == len(columns)]
        if len(just) == 1:
            return whole(query, "column shape", just[0], columns)
    names = ", ".join(sorted(table.name for table in fits)[:MAX_NAMED])
    more = f" and {len(fits) - MAX_NAMED} more" if len(fits) > MAX_NAMED else ""
    if len(fits) == 1:
        return unbound(query, f"{no_sql}one column is too little to tell: {names} has it")
    return unbound(query, f"{no_sql}its columns fit {names}{more}")


def by_joined(query: str, columns: frozenset[str], schema: Schema, joins: Joins) -> Binding | None:
    """Where no table has all columns: the binding to the one that has three or more and whose
    declared joins have the others, as schedules join processes, users and hashes. Of several one
    counts that the query's name says wholly, then the one with the most of its own, then that of
    which the name says most; None if that does not tell."""
    if any(_has_all(table, columns) for table in schema.values()):
        return None
    rest, said = columns - HASHES, _words(query)
    found: list[tuple[tuple[bool, int, int], Table, str]] = []
    for table in schema.values():
        own = {name for name in rest if table.column(name) is not None}
        # Of events the time is selected.
        if len(own) < MIN_COLUMNS or (table.evented and "time" not in columns):
            continue
        declared = joins(table.name)
        foreign = rest - own - _told(declared, schema).keys()
        beside = _covering(foreign, table, declared, schema)
        if beside is not None:
            words = _words(table.name)
            found.append(((words <= said, len(own), len(words & said)), table, beside))
    best = max((rank for rank, _, _ in found), default=None)
    fits = [(table, beside) for rank, table, beside in found if rank == best]
    if len(fits) != 1:
        return None
    ((table, beside),) = fits
    declared = joins(table.name)
    told = _told(declared, schema)
    bound = _joined(query, table, columns, told, declared, beside, schema)
    return replace(bound, how="column shape")


def by_most(query: str, columns: frozenset[str], schema: Schema, joins: Joins) -> Binding | None:
    """Where somebody named columns, such as `last_write` for a time: the binding to the one table
    that alone has the others, if no table has these; or to the one that the query is called as, if
    it has half of them. None if that does not tell."""
    rest, said = columns - HASHES, _spelled(query)
    called = next(filter(None, (find_table(schema, tail) for tail in _tails(query))), None)
    everywhere = {name for table in schema.values() for name in table.columns} - {USER}
    found: list[tuple[tuple[bool, int], Table, frozenset[str]]] = []
    for table in schema.values():
        own = {name for name in rest if table.column(name) is not None}
        if len(own) < MIN_COLUMNS or (table.evented and "time" not in columns):
            continue
        unknown = rest - own - _told(joins(table.name), schema).keys()
        words = _spelled(table.name)
        spelled = len(words) >= MIN_WORDS and _within(words, said)
        wholly = table is called or (called is None and spelled)
        if len(unknown) * (1 if wholly else OWN_FOR_ONE_FOREIGN) > len(own):
            continue
        named = len(own) >= MIN_TELLING and not unknown & everywhere
        if wholly or (named and _is_alone(table, own, schema)):
            found.append(((wholly, len(own)), table, unknown))
    best = max((rank for rank, _, _ in found), default=None)
    fits = [(table, unknown) for rank, table, unknown in found if rank == best]
    if len(fits) != 1:
        return None
    ((table, unknown),) = fits
    declared = joins(table.name)
    bound = _joined(query, table, columns, _told(declared, schema), declared)
    return _without(replace(bound, how="column shape"), table, unknown)


def _is_alone(table: Table, columns: set[str], schema: Schema) -> bool:
    """Whether no other table has all of the columns."""
    return not any(
        one.name != table.name and _has_all(one, frozenset(columns)) for one in schema.values()
    )


def _without(bound: Binding, table: Table, unknown: frozenset[str]) -> Binding:
    """The binding with a note on columns that are not the table's."""
    if not unknown:
        return bound
    names = sorted(unknown)
    listed = ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
    return replace(bound, note=f"{table.name} has no column {listed}: not looked at")


def _has_rare(columns: frozenset[str], schema: Schema) -> bool:
    """Whether one of the columns is one that few tables have."""
    return any(
        sum(table.column(name) is not None for table in schema.values()) <= FEW_TABLES
        for name in columns
    )


def _covering(
    foreign: frozenset[str], table: Table, declared: Mapping[str, Join], schema: Schema
) -> str | None:
    """The role of the one declared join that has all of the columns under their own names; "" if
    there are none; None if no one join has them."""
    if not foreign:
        return ""
    roles = _beside(table, declared).items()
    return next(
        (role for role, join in roles if foreign <= schema[join.table].columns.keys()), None
    )


def unbound(query: str, note: str, sql: str = "") -> Binding:
    """No table; `note` says why."""
    return Binding(query, "unbound", None, frozenset(), note, sql)


def whole(query: str, how: str, table: Table, columns: frozenset[str]) -> Binding:
    """The binding of rows all of whose columns are the table's, under their own names."""
    return Binding(query, how, Shape((_use(table),), _own(table, columns)), table.platforms)


def widest(table: Table, schema: Schema, joins: Joins) -> list[Binding]:
    """The bindings of rows with all columns that `by_name` can tell. Other rows of a table without
    SQL are bound as one of these, with some of its columns."""
    declared = joins(table.name)
    told = _told(declared, schema)
    own = frozenset(table.columns) | told.keys()
    found = [_joined("", table, own, told, declared)]
    for role, join in _beside(table, declared).items():
        columns = own | schema[join.table].columns.keys()
        found.append(_joined("", table, columns, told, declared, role, schema))
    return found


def spelled(schema: Schema, joins: Joins) -> Iterator[tuple[str, str, str]]:
    """Each table and column of a declared join, with a name by which `by_name` takes it."""
    for name, table in schema.items():
        declared = joins(name)
        for spelling, (role, column) in _told(declared, schema).items():
            yield declared[role].table, column, spelling
        for join in _beside(table, declared).values():
            for column in schema[join.table].columns:
                yield join.table, column, column


def _called(
    query: str, table: Table, columns: frozenset[str], schema: Schema, joins: Joins
) -> Binding | None:
    own = {name for name in columns if table.column(name) is not None}
    if len(own) == len(columns):
        return whole(query, "name", table, columns)
    declared = joins(table.name)
    told = _told(declared, schema)
    foreign = columns - own - told.keys()
    roles = [
        role
        for role, join in _beside(table, declared).items()
        if foreign & schema[join.table].columns.keys()
    ]
    unknown = foreign - {name for role in roles for name in schema[declared[role].table].columns}
    together = _with_partner(query, table, columns, unknown, schema)
    if together is not None and len(own) >= MIN_OWN:
        return together
    few = len(own) < MIN_OWN or len(unknown) * OWN_FOR_ONE_FOREIGN > len(own)
    if few or len(roles) > 1:
        return None
    found = _joined(query, table, columns, told, declared, "".join(roles), schema)
    return _without(found, table, unknown)


def _with_partner(
    query: str, table: Table, columns: frozenset[str], unknown: frozenset[str], schema: Schema
) -> Binding | None:
    """The binding to the table and its partner, if that has the columns of which nothing else is
    known; what could be either's has no origin, but for the column that joins them."""
    name, key = PARTNERS.get(table.name, ("", ""))
    if not name or key not in columns or not unknown or not unknown <= schema[name].columns.keys():
        return None
    ours, theirs = _use(table), _use(schema[name])
    origins = dict(_own(table, columns))
    origins |= {each: None for each in origins if each in schema[name].columns and each != key}
    origins |= {each: Origin(theirs.alias, name, each) for each in unknown}
    same = Equality((theirs.alias, key), (ours.alias, key))
    shape = Shape((ours, theirs), origins, (same,))
    return Binding(query, "name", shape, table.platforms & schema[name].platforms)


def _joined(
    query: str,
    table: Table,
    columns: frozenset[str],
    told: Mapping[str, tuple[str, str]],
    joins: Mapping[str, Join],
    beside: str = "",
    schema: Schema = MappingProxyType({}),
) -> Binding:
    """The binding with the table's own columns and those of its declared joins. Of the join
    `beside`, if one is given, columns stand under their own names; what could be either's has no
    origin."""
    ours = _use(table)
    origins = dict(_own(table, columns))
    told = dict(told)
    if beside:
        join = joins[beside]
        theirs = schema[join.table].columns.keys()
        keys = {key for key, _ in join.on}
        for name in theirs & origins.keys() - keys:
            origins[name] = None
        if table.name in SOCKETS and "path" in origins:
            del origins["path"]
            told["path"] = (beside, "path")
        told |= {name: (beside, name) for name in theirs - table.columns.keys()}
    roles: dict[str, None] = {}
    for name in sorted(columns - origins.keys()):
        if name in told:
            role, column = told[name]
            origins[name] = Origin(role, joins[role].table, column)
            roles[role] = None
    uses = tuple(TableUse(role, joins[role].table, optional=True) for role in roles)
    equalities = tuple(
        Equality((role, key), (ours.alias, own)) for role in roles for key, own in joins[role].on
    )
    return Binding(query, "name", Shape((ours, *uses), origins, equalities), table.platforms)


def _told(joins: Mapping[str, Join], schema: Schema) -> dict[str, tuple[str, str]]:
    """Names that tell a column of a declared join, with its role and that column."""
    found = {
        f"{role}_{column}": (role, column)
        for role, join in joins.items()
        for column in schema[join.table].columns
    }
    # `gateway_mac` of a route, as `neighbour_mac`.
    found |= {
        f"{ours}_{column}": (role, column)
        for role, join in joins.items()
        for theirs, ours in join.on
        if theirs != ours
        for column in schema[join.table].columns
    }
    if USER in joins:
        found[USERNAME] = (USER, USERNAME)
    return found


def _beside(table: Table, joins: Mapping[str, Join]) -> dict[str, Join]:
    """The declared joins whose columns can stand under their own names. One over a column that the
    table has itself, but not for this, is to another thing of the same kind (a parent): its columns
    have to be renamed."""
    return {
        role: join
        for role, join in joins.items()
        if join.table != table.name
        and all(theirs == ours or theirs not in table.columns for theirs, ours in join.on)
    }


def _spoken_of(query: str, tables: Sequence[Table]) -> Table | None:
    """The one table of several that the words of a query's name speak of."""
    words = _words(query)
    wholly = [table for table in tables if _words(table.name) <= words]
    among = wholly or [table for table in tables if _words(table.name) & words]
    return among[0] if len(among) == 1 else None


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower().removesuffix("s") for word in _DELIMITER.split(name) if word)


@lru_cache(maxsize=1024)
def _spelled(name: str) -> tuple[str, ...]:
    """The words of a name in their order, in small letters and the singular ("address", too)."""
    return tuple(_PLURAL.sub("", word.lower()) for word in _DELIMITER.split(name) if word)


def _within(words: tuple[str, ...], said: tuple[str, ...]) -> bool:
    """Whether the words stand in those, one behind the other."""
    return any(said[at : at + len(words)] == words for at in range(len(said) - len(words) + 1))


def _tails(query: str) -> Iterator[str]:
    """The name and what follows each of its delimiters, the longest first."""
    yield query
    for match in _DELIMITER.finditer(query):
        yield query[match.end() :]


def _has_all(table: Table, columns: frozenset[str]) -> bool:
    return all(table.column(name) is not None for name in columns)


def _use(table: Table) -> TableUse:
    return TableUse(table.name, table.name)


def _own(table: Table, columns: frozenset[str]) -> Mapping[str, Origin | None]:
    return {
        name: Origin(table.name, table.name, found.name)
        for name in sorted(columns)
        if (found := table.column(name)) is not None
    }
