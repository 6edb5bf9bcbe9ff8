"""One entry of a schedule, as osquery judges it: what it keeps, and what it drops without a word.

Source: `Pack::initialize` in osquery/config/packs.cpp, `checkPlatform` in osquery/core/system.cpp,
`valueToSize` and `valueToBool` in osquery/utils/json/json.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import NamedTuple

from molehunt.problems import Problem, Severity

from .queries import ScheduledQuery

PLATFORMS = frozenset({"linux", "darwin", "windows"})
DEFAULT_INTERVAL = 3600
MAX_INTERVAL = 604_800
_RESERVED_STARTS = ("query.", "cache.", "config_views.")
_RESERVED_ENDS = ("epoch", "counter")


class Place(NamedTuple):
    """Where an entry stands: its pack, what that restricts, the file and the line."""

    pack: str | None
    platforms: frozenset[str]
    path: str
    line: int | None


def scheduled(name: str, entry: object, place: Place) -> ScheduledQuery | Problem:
    """The scheduled query of an entry, or why there is none.

    A warning is about an entry that osquery itself leaves out, an error about one that cannot be
    read.
    """

    def problem(what: str, hint: str, severity: Severity = Severity.ERROR) -> Problem:
        return Problem(f"query {name}: {what}", place.path, place.line, None, hint, severity)

    if not isinstance(entry, Mapping):
        return problem("not an object", 'an entry looks like {"query": "SELECT …", "interval": 60}')
    sql = entry.get("query")
    if not isinstance(sql, str) or not sql.strip():
        return problem("no SQL", 'give it a "query"')
    if name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        what = "osquery drops this name"
        reserved = f"start {', '.join(_RESERVED_STARTS)} or end {', '.join(_RESERVED_ENDS)}"
        return problem(what, f"rename it; reserved are names that {reserved}", Severity.WARNING)
    interval = number(entry.get("interval", DEFAULT_INTERVAL))
    if not 1 <= interval <= MAX_INTERVAL:
        what = f"osquery drops its interval {entry.get('interval')!r}"
        return problem(what, f"give 1 to {MAX_INTERVAL} seconds", Severity.WARNING)
    own = platforms_of(entry.get("platform"))
    platforms = None if own is None else both(place.platforms, own)
    if platforms is None:
        what = f"it never runs: platform {entry.get('platform')!r}"
        within = f" in a pack for {', '.join(sorted(place.platforms))}" if place.platforms else ""
        return problem(what + within, "use linux, darwin or windows", Severity.WARNING)
    return ScheduledQuery(
        name=name,
        pack=place.pack,
        sql=sql,
        platforms=platforms,
        snapshot=flag(entry.get("snapshot", False)),
        removed=flag(entry.get("removed", True)),
        interval=interval,
        path=place.path,
    )


def platforms_of(value: object) -> frozenset[str] | None:
    """The platforms that osquery's substring test lets through; empty if nothing is restricted,
    None if it never runs."""
    if not isinstance(value, str) or value in ("", "null"):
        return frozenset()
    if "any" in value or "all" in value:
        return PLATFORMS
    found = {name for name in PLATFORMS if name in value}
    if "ubuntu" in value or "centos" in value:
        found.add("linux")
    if "posix" in value:
        found |= {"linux", "darwin"}
    return frozenset(found) or None


def both(one: frozenset[str], other: frozenset[str]) -> frozenset[str] | None:
    """Where two restrictions both let it run; None if nowhere."""
    if not one or not other:
        return one or other
    return one & other or None


def number(value: object) -> int:
    """A number as osquery takes it, also from a text; 0 for anything else."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or isnan(value):
        return 0
    return int(min(max(value, -1), 1 << 62))


def flag(value: object) -> bool:
    """A truth value as osquery takes it, also from a text or a number."""
    if isinstance(value, str):
        return value.lower() in ("true", "t")
    return isinstance(value, (bool, int)) and bool(value)
