"""Scheduled queries, and which of them a name in a log line means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

MAIN = "main"
"""The pack that osquery makes of `schedule`; its queries are logged under their own name
(getQueryName in osquery/config/config.cpp)."""

FLEET = "Global/team-*"
"""The packs that Fleet makes of its reports: `Global`, and `team-<id>` for each of its teams."""

DELIMITERS = ("_", "/")
"""osquery's default for `--pack_delimiter`, and Fleet's."""

_MAX_DELIMITER = 16


@dataclass(frozen=True, slots=True)
class ScheduledQuery:
    """One query of a schedule. `pack` is None if the file does not say to which pack it belongs.

    `platforms` are in osquery's spelling; empty means that nothing is said. `interval` is in
    seconds. `path` is the file that it stands in. `logged` is false where its results stay in
    Fleet.
    """

    name: str
    pack: str | None
    sql: str
    platforms: frozenset[str] = frozenset()
    snapshot: bool = False
    removed: bool = True
    interval: int = 3600
    path: str = ""
    logged: bool = True


class _Index(NamedTuple):
    exact: dict[str, tuple[ScheduledQuery, ...]]
    fleet: dict[str, tuple[ScheduledQuery, ...]]
    loose: dict[str, tuple[ScheduledQuery, ...]]
    fleet_name: re.Pattern[str]
    own_name: re.Pattern[str] | None


@dataclass(frozen=True)
class Schedule:
    """Queries, the views they may use, and the delimiters between pack and query names.

    The first of `delimiters` is the configured one. With `own`, the queries are those of that pack
    of molehunt's, which is told by its name whatever the delimiter.
    """

    queries: tuple[ScheduledQuery, ...] = ()
    delimiters: tuple[str, ...] = DELIMITERS
    views: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    own: str = ""
    index: _Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _index(self))

    def log_name(self, query: ScheduledQuery) -> str:
        """The name that log lines of this query have, as far as the schedule says."""
        return next(_log_names(query, self.delimiters))


def find(schedule: Schedule, log_name: str) -> tuple[ScheduledQuery, ...]:
    """The queries that a log line of this name can come from; empty if none.

    A name that fits exactly counts before one with an unknown pack in it. `pack_a_b_c` can be
    query `b_c` of pack `a` or `c` of `a_b`: then both are returned.
    """
    index = schedule.index
    if index.own_name is not None:
        match = index.own_name.match(log_name)
        return index.loose.get(match["pack"] or match["fleet"], ()) if match else ()
    if log_name in index.exact:
        return index.exact[log_name]
    match = index.fleet_name.match(log_name)
    if match and match["query"] in index.fleet:
        return index.fleet[match["query"]]
    if not index.loose:
        return ()
    found: dict[ScheduledQuery, None] = {}
    for tail in _tails(log_name, schedule.delimiters):
        found.update(dict.fromkeys(index.loose.get(tail, ())))
    return tuple(found)


def pack_schedule(manifest: Mapping[str, Any]) -> Schedule:
    """The schedule of molehunt's own pack, from `rules/pack.yml` as plain values.

    Retired queries are in it, and those for several systems under their plain name: logs of older
    packs hold them.
    """
    pack = str(manifest["pack"])
    retired = manifest.get("retired") or {}
    entries = {**retired, **manifest["queries"], **dict(pack_queries(manifest))}
    return Schedule(
        tuple(
            ScheduledQuery(
                name=str(name),
                pack=pack,
                sql=str(entry["sql"]),
                platforms=frozenset(entry.get("systems") or ()),
                snapshot=bool(entry.get("snapshot", False)),
                removed=bool(entry.get("removed", True)),
                interval=int(entry.get("interval", 3600)),
                path="pack.yml",
            )
            for name, entry in entries.items()
        ),
        own=pack,
    )


def pack_queries(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The queries that the pack schedules: name and entry, one for each system.

    A query for several systems is there as `<name>_<system>` for each of them, so that the name in
    the log says which system a row is from.
    """
    for name, entry in manifest["queries"].items():
        systems = entry["systems"]
        if len(systems) == 1:
            yield name, entry
            continue
        for system in systems:
            yield f"{name}_{system}", {**entry, "systems": [system]}


def _index(schedule: Schedule) -> _Index:
    exact: dict[str, dict[ScheduledQuery, None]] = {}
    fleet: dict[str, dict[ScheduledQuery, None]] = {}
    loose: dict[str, dict[ScheduledQuery, None]] = {}
    for query in schedule.queries:
        if schedule.own or query.pack is None:
            loose.setdefault(query.name, {})[query] = None
        elif query.pack == FLEET:
            fleet.setdefault(query.name, {})[query] = None
        else:
            for name in _log_names(query, schedule.delimiters):
                exact.setdefault(name, {})[query] = None
    either = "|".join(re.escape(d) for d in schedule.delimiters)
    own = re.escape(schedule.own)
    own_name = (
        rf"pack(?P<delimiter>.{{1,{_MAX_DELIMITER}}}?){own}(?P=delimiter)(?P<pack>.+)\Z"
        rf"|pack(?:/[^/]+/|_[^_]+_){own}_(?P<fleet>.+)\Z"
    )
    return _Index(
        _frozen(exact),
        _frozen(fleet),
        _frozen(loose),
        re.compile(rf"pack(?P<d>{either})(?:Global|team-\d+)(?P=d)(?P<query>.+)\Z", re.DOTALL),
        re.compile(own_name, re.DOTALL) if schedule.own else None,
    )


def _frozen(
    found: Mapping[str, dict[ScheduledQuery, None]],
) -> dict[str, tuple[ScheduledQuery, ...]]:
    return {name: tuple(queries) for name, queries in found.items()}


def _log_names(query: ScheduledQuery, delimiters: tuple[str, ...]) -> Iterator[str]:
    if query.pack is None or query.pack == MAIN:
        yield query.name
    elif query.pack == FLEET:
        yield f"pack/Global/{query.name}"
    else:
        for d in delimiters:
            yield f"pack{d}{query.pack}{d}{query.name}"


def _tails(log_name: str, delimiters: tuple[str, ...]) -> Iterator[str]:
    """What can be the query's own name where the name of the pack is not known."""
    yield log_name
    for d in delimiters:
        start = log_name.find(d, len(f"pack{d}")) if log_name.startswith(f"pack{d}") else -1
        while start >= 0:
            yield log_name[start + len(d) :]
            start = log_name.find(d, start + 1)
