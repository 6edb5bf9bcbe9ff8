"""How one store keeps osquery rows, beyond what a `Profile` can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from molehunt.conditions import Wanted
from molehunt.detectors.records import Record
from molehunt.detectors.tying import SOURCES

from ..model import Profile

Query: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a store keeps a field of a sign-in log: its name and its type in the mapping
    (`keyword`, `ip`, `long`, `boolean`, `flattened`). `difference` is a code that reading it always
    carries. `asked(wanted)` is the query of a field that the store takes apart, which no other way
    of asking finds; it raises `Unsayable`."""

    name: str
    type: str = "keyword"
    difference: str = ""
    asked: Callable[[Wanted], dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class SignIns:
    """How a store keeps one sign-in log.

    `fields` has each known field of the log by its name in the taxonomy. `guard` finds the events
    that the reader of the log would read; `account` is the field of the account; `package` the
    integration that must be installed. `properties` is the mapping, `document(record)` an event as
    it stands there. `happened` is the field with the time of the event, "" if that is `@timestamp`;
    `dynamic` are fields that the integration does not map, so that they are there from the first
    event on that has them.
    """

    package: str
    index: str
    account: str
    guard: Query
    fields: Mapping[str, Kept]
    properties: Mapping[str, Any]
    document: Callable[[Record], Mapping[str, Any]]
    happened: str = ""
    dynamic: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Layout:
    """A profile with what compiling and proving need.

    `limit` is the length in UTF-16 units above which the store does not index a text
    (`ignore_above`). `named(names)` is the query for rows of the pack's queries with these names;
    `acted(action)` for rows with an action. `template` is the index template as the store has it,
    `document(record)` a row as it is sent there. `names_ignored` says whether the
    store tells of a text above the limit that it is there (`_ignored`, which Elasticsearch has and
    OpenSearch has not for keywords). `signins` has the sign-in logs that are known there, by the
    name of the source. `dynamic` says that a column is mapped only when a first row has it.
    """

    profile: Profile
    limit: int
    named: Callable[[Sequence[str]], Query]
    acted: Callable[[str], Query]
    template: Callable[[], Mapping[str, Any]]
    document: Callable[[Record], Mapping[str, Any]]
    names_ignored: bool = True
    signins: Mapping[str, SignIns] = field(default_factory=dict)
    dynamic: bool = False

    def kept(self, record: Record) -> Mapping[str, Any] | None:
        """A record as it is sent there; None for a log that the store does not keep."""
        if record.source not in SOURCES:
            return self.document(record)
        one = self.signins.get(record.source)
        return None if one is None else one.document(record)

    def properties(self) -> dict[str, Any]:
        """The mapping of everything that is kept."""
        found: dict[str, Any] = dict(self.template()["template"]["mappings"]["properties"])
        for one in self.signins.values():
            found = _joined(found, one.properties)
        return found


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two mappings as one; objects that are in both have the fields of both."""
    found = dict(one)
    for name, value in other.items():
        mine = found.get(name, {}).get("properties")
        if mine is not None and "properties" in value:
            both = _joined(mine, value["properties"])
            found[name] = {**found[name], **value, "properties": both}
        else:
            found[name] = value
    return found


def logged_names(profile: Profile, names: Sequence[str]) -> list[str]:
    """The names under which queries of the pack are logged, sorted."""
    return sorted({pattern.format(name) for pattern in profile.names for name in names})
