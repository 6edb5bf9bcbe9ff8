"""osquery's tables and columns of every release from 4.0.2, as plain values.

The facts are in `rules/data/osquery_schema.json`, derived from the osquery table specifications
(https://github.com/osquery/osquery/tree/master/specs) and the published schema of each release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import NamedTuple

from .data import read_bytes

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "cb_info": "carbon_black_info",
        "configurations": "augeas",
        "hosts": "etc_hosts",
        "packages": "package_receipts",
        "programs_and_features": "programs",
        "syslog": "syslog_events",
    }
)
"""Second names of tables: `table_name(…, aliases=…)` in the specs. Only those that never were a
table of their own."""


class Column(NamedTuple):
    """One column. Empty `platforms` means all platforms of the table.

    `since` and `removed_in` name releases; `collate` is `nocase`, `version`, … or empty.
    """

    name: str
    type: str
    platforms: frozenset[str] = frozenset()
    hidden: bool = False
    required: bool = False
    since: str = ""
    removed_in: str | None = None
    collate: str = ""


class Table(NamedTuple):
    """One table with the columns of all releases, hidden ones included.

    `user_data` tables return only the current user's rows unless joined on `uid`.
    """

    name: str
    platforms: frozenset[str]
    evented: bool
    user_data: bool
    since: str
    removed_in: str | None
    columns: Mapping[str, Column]

    def column(self, name: str) -> Column | None:
        """The column of that name, in any letter case as in SQL; None if there is none."""
        exact = self.columns.get(name) or self.columns.get(name.lower())
        if exact is not None:
            return exact
        folded = name.lower()
        return next((c for c in self.columns.values() if c.name.lower() == folded), None)


Schema = Mapping[str, Table]


@cache
def tables() -> Schema:
    """Every table by name."""
    return _Tables()


class _Tables(Mapping[str, Table]):
    """Tables made when first asked for, which few of many are; the file is read for the first."""

    def __init__(self) -> None:
        self._made: dict[str, Table] = {}

    @cached_property
    def _entries(self) -> Mapping[str, Mapping[str, object]]:
        import orjson

        found: Mapping[str, Mapping[str, object]] = orjson.loads(
            read_bytes("data/osquery_schema.json")
        )["tables"]
        return found

    def __getitem__(self, name: str) -> Table:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = _table(name, self._entries[name])
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def find_table(schema: Schema, name: str) -> Table | None:
    """The table that SQL calls `name`, in any letter case, by its own name or an alias."""
    folded = name.lower()
    return schema.get(folded) or schema.get(ALIASES.get(folded, ""))


def table(name: str) -> Table | None:
    """The table that SQL calls `name` in the schema shipped with molehunt, or None."""
    return find_table(tables(), name)


def _table(name: str, entry: Mapping[str, object]) -> Table:
    columns = entry["columns"]
    assert isinstance(columns, dict)
    return Table(
        name=name,
        platforms=_names(entry, "platforms"),
        evented=bool(entry.get("evented")),
        user_data=bool(entry.get("user_data")),
        since=str(entry.get("since", "")),
        removed_in=_text(entry, "removed_in"),
        columns=MappingProxyType({key: _column(key, value) for key, value in columns.items()}),
    )


def _column(name: str, entry: Mapping[str, object]) -> Column:
    return Column(
        name=name,
        type=str(entry["type"]),
        platforms=_names(entry, "platforms"),
        hidden=bool(entry.get("hidden")),
        required=bool(entry.get("required")),
        since=str(entry.get("since", "")),
        removed_in=_text(entry, "removed_in"),
        collate=str(entry.get("collate", "")),
    )


def _text(entry: Mapping[str, object], key: str) -> str | None:
    value = entry.get(key)
    return None if value is None else str(value)


def _names(entry: Mapping[str, object], key: str) -> frozenset[str]:
    value = entry.get(key)
    return frozenset(str(item) for item in value) if isinstance(value, list) else frozenset()
