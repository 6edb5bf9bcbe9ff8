"""One rule as a KQL query over Defender's advanced hunting tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from molehunt.conditions import (
    And,
    Condition,
    FieldIs,
    Not,
    Or,
    Reference,
    Regex,
    Text,
    Wanted,
    Wild,
    fields_of,
    flat,
)
from molehunt.correlation import Correlation
from molehunt.detectors.matching.fields import FieldMap, Place
from molehunt.rule import Rule

from ..kusto.kqltext import FALSE, TRUE, any_of, literal
from ..kusto.kqlwhere import Read, Where
from ..model import Artefact, Bound, Compiled, Profile, Refusal, Subject, Unsayable
from .readings import (
    DEVICE_KEYS,
    DEVICE_REPORT,
    PROCESSES,
    REGISTRY,
    UNIX_EVENTS,
    WHOLE_PATH,
    Reading,
    reading,
    words,
)

LONGEST = 10_000
"""Characters in the query of an analytics rule (Microsoft Sentinel service limits)."""


def compile_rule(subject: Subject, profile: Profile) -> Compiled:
    """A rule as one query; `body` has what a custom `detection` and a rule of `analytics` add, and
    in `reads` the table of a rule on one of the tables that are the same event in Defender."""
    rule = subject.rule
    try:
        query, differences = query_of(subject)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "defender", profile.name, why.code, why.reason)
    from .packaging import analytics_rule, detection

    assert isinstance(rule, Rule)
    body: dict[str, Any] = {
        "detection": detection(rule, query),
        "analytics": analytics_rule(rule, query),
    }
    if rule.product == "osquery" and reading(rule.service or "", rule.conditions) is PROCESSES:
        body["reads"] = rule.service
    return Artefact(
        rule.id, rule.title, "defender", profile.name, "kql", query, body, differences
    )  # fmt: skip


def query_of(subject: Subject) -> tuple[str, tuple[str, ...]]:
    """The query of a rule and its differences. Raises Unsayable."""
    rule = subject.rule
    if isinstance(rule, Correlation):
        raise Unsayable("correlation", "windows over states that last are not in one query")
    made: dict[str, set[str]] = {}
    differences: set[str] = set()
    for bound, found in _readable(rule, subject):
        if subject.removed:
            raise Unsayable("envelope", "Defender does not log what went away")
        lines, more = _lines(rule, bound, found)
        made.setdefault(lines, set()).update(_systems(bound))
        differences |= more
        if found.shared and _systems(bound) != {"windows"}:
            differences.add(UNIX_EVENTS)
    if len(made) != 1:
        raise Unsayable("several_ways", "it reads its systems in ways that are not one query")
    ((lines, systems),) = made.items()
    query = lines.replace(GUARD, _guard(systems))
    if "DeviceInfo" in query:
        differences.add(DEVICE_REPORT)
    if len(query) > LONGEST - 100:
        raise Unsayable("too_long", f"a query may have {LONGEST} characters")
    return query, tuple(sorted(differences))


GUARD = "\n| where true"
"""Stands where a query is narrowed to devices of the rule's systems."""

_PLATFORMS = {
    "windows": 'OSPlatform startswith "Windows"',
    "darwin": 'OSPlatform == "macOS"',
    "linux": 'OSPlatform == "Linux"',
}


def _guard(systems: set[str]) -> str:
    """Devices of all systems fill the same tables; DeviceInfo knows which is which.

    https://learn.microsoft.com/defender-xdr/advanced-hunting-deviceinfo-table
    """
    if systems == set(_PLATFORMS):
        return ""
    platforms = " or ".join(_PLATFORMS[one] for one in sorted(systems))
    return f"\n| where DeviceId in ((DeviceInfo | where {platforms} | distinct DeviceId))"


def _readable(rule: Rule, subject: Subject) -> list[tuple[Bound, Reading]]:
    """The ways of reading that Defender has an equal of. Raises Unsayable if there is none."""
    kept = [
        (bound, found)
        for bound in subject.bounds
        if _systems(bound) and (found := reading(bound.fields.table, rule.conditions)) is not None
    ]
    if kept:
        return kept
    if any(not bound.queries for bound in subject.bounds):
        raise Unsayable("other_log", "sign-in logs are a matter of the sentinel target")
    tables = ", ".join(sorted({bound.fields.table for bound in subject.bounds}))
    raise Unsayable("no_table", f"no event of Defender has the meaning of a row of {tables}")


_SYSTEMS = ("windows", "darwin", "linux")
# Tables of one system, whose queries have no system in their name.
_ONLY = {"process_events": "linux", "es_process_events": "darwin"} | dict.fromkeys(
    ("process_etw_events", "drivers", "registry", "dns_lookup_events", "ntfs_journal_events"),
    "windows",
)


def _systems(bound: Bound) -> set[str]:
    """The systems whose rows a bound reads; empty if one of them is not known."""
    if bound.fields.table in _ONLY:
        return {_ONLY[bound.fields.table]}
    found = {name.rpartition("_")[2] for name in bound.queries}
    return found if found <= set(_SYSTEMS) else set()


def _lines(rule: Rule, bound: Bound, found: Reading) -> tuple[str, set[str]]:
    """The query of one way of reading, and its differences."""
    names = {name for condition in rule.conditions for name in fields_of(condition)}
    places = [bound.fields.places[name] for name in sorted(names)]
    if any(place.kind == "envelope" for place in places):
        raise Unsayable("envelope", "Defender logs events and no differences of osquery's rows")
    if found is REGISTRY:
        _check_hives(rule.conditions, bound)
    if found is DEVICE_KEYS and any(map(_about_monitors, rule.conditions)):
        raise Unsayable("no_column", "a monitor is known by its EDID, which no event has")
    differences = set(found.differences)
    differences |= {found.where_asked[p.name] for p in places if p.name in found.where_asked}
    if any("FolderPath" in found.columns.get(place.name, "") for place in places):
        differences.add(WHOLE_PATH)
    read: dict[str, str] = {}
    where = Where(_defenders(bound.fields), lambda place: _value(place, found, read))
    test = any_of([where.condition(one) for one in rule.conditions])
    if test in (TRUE, FALSE):
        raise Unsayable("constant", "the condition is the same for all events")
    lines = [found.table, f"| where ActionType in ({', '.join(map(literal, found.actions))})"]
    if found.shared:
        lines[-1] += GUARD
    if read:
        pairs = ", ".join(f"{name} = {value}" for name, value in sorted(read.items()))
        lines.append(f"| extend {pairs}")
    return "\n".join([*lines, f"| where {test}"]), differences | where.differences


def _defenders(fields: FieldMap) -> FieldMap:
    """The fields without osquery's spelling of bytes, and of hives, which no rule here asks for;
    which events count is in `actions`."""
    places = {
        name: place._replace(
            normalisers=tuple(
                one for one in place.normalisers if one not in ("control_text", "hive")
            )
        )
        for name, place in fields.places.items()
    }
    return fields._replace(places=places, where=())


def _value(place: Place, found: Reading, read: dict[str, str]) -> Read | None:
    """A value of an event, under a short name that `read` collects if it is not a column."""
    if place.kind == "absent":
        return None
    expression = found.columns.get(place.name) if place.kind == "column" else None
    if expression is None:
        kinds = " or ".join(found.actions)
        raise Unsayable("no_column", f"{kinds} has no equal of {place.name}")
    if expression.isidentifier():
        return Read(expression)
    name = f"c_{place.name}"
    read[name] = expression
    return Read(name)


def _check_hives(conditions: Sequence[Condition], bound: Bound) -> None:
    """A user's hive is spelt otherwise there: no key may be asked for from its beginning."""
    for name, value in (pair for one in conditions for pair in _pairs(one)):
        if bound.fields.places[name].name not in ("path", "key"):
            continue
        begins = isinstance(value, Text) and value.parts[:1] != (Wild.ANY,)
        if begins or isinstance(value, (Regex, Reference)) or _HIVE.search(_plain(value)):
            raise Unsayable("hive_spelling", "Defender names the hives of users otherwise")


_HIVE = re.compile(r"(?i)hk(ey_|lm|u|cu|cr|cc)")


def _about_monitors(node: Condition) -> bool:
    """The pack reads the key `Device Parameters` below a monitor, and no other device's."""
    texts = [words(value) for _, value in _pairs(node)]
    return any("enum\\display" in one or "device parameters" in one for one in texts)


def _plain(value: object) -> str:
    parts = value.parts if isinstance(value, Text) else ()
    return "*".join(part for part in parts if isinstance(part, str))


def _pairs(node: Condition) -> Iterator[tuple[str, Wanted]]:
    match node:
        case And() | Or():
            for child in node.args:
                yield from _pairs(child)
        case Not():
            yield from _pairs(node.arg)
        case FieldIs():
            for value in flat(node.value):
                yield node.field, value
