"""One rule as a KQL query over the tables of Microsoft Sentinel."""

from __future__ import annotations

from molehunt.detectors.matching.fields import Place
from molehunt.rule import Rule

from ..model import Artefact, Bound, Compiled, Profile, Refusal, Subject, Unsayable
from .kqltext import FALSE, TRUE, all_of, any_of, literal
from .kqlwhere import Read, Where

# Columns of the table, from Microsoft's reference of SigninLogs; what comes after a dot is inside.
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs
SIGNIN_TEXT = frozenset(
    "AppDisplayName AppId ClientAppUsed ConditionalAccessStatus IPAddress Identity Location"
    " ResultDescription ResultSignature ResultType RiskDetail RiskLevelAggregated"
    " RiskLevelDuringSignIn RiskState UserAgent UserDisplayName UserId UserPrincipalName".split()
)
SIGNIN_OBJECTS = frozenset(
    "AuthenticationAppDeviceDetails DeviceDetail LocationDetails MfaDetail Status".split()
)
SIGNIN_LISTS = frozenset(["RiskEventTypes", "RiskEventTypes_V2"])
LONGEST = 10_000
"""Characters in the query of an analytics rule (Microsoft Sentinel service limits)."""


def compile_rule(subject: Subject, profile: Profile) -> Compiled:
    """A rule as one query; `body` has what an analytics rule adds to it."""
    rule = subject.rule
    assert isinstance(rule, Rule)
    try:
        differences: set[str] = set()
        query = _query(subject, profile, differences)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "sentinel", profile.name, why.code, why.reason)
    from .packaging import analytics_rule

    body = analytics_rule(rule, query)
    return Artefact(
        rule.id, rule.title, "sentinel", profile.name, "kql",
        query, body, tuple(sorted(differences)),
    )  # fmt: skip


def _query(subject: Subject, profile: Profile, differences: set[str]) -> str:
    query = _single(subject, profile, differences)
    if len(query) > LONGEST - 100:
        raise Unsayable("too_long", f"a query may have {LONGEST} characters")
    return query


def _single(subject: Subject, profile: Profile, differences: set[str]) -> str:
    stores = {bound.fields.store.name for bound in subject.bounds}
    if stores == {"osquery"}:
        return _osquery(subject, profile, differences)
    if stores == {"azure"}:
        (bound,) = subject.bounds
        where = Where(bound.fields, _signin)
        test = any_of([where.condition(one) for one in subject.rule.conditions])  # type: ignore[union-attr]
        differences |= where.differences
        return f"SigninLogs\n| where {test}"
    raise Unsayable("connector", "its connector's table has no layout that could be checked here")


def _osquery(subject: Subject, profile: Profile, differences: set[str]) -> str:
    read: dict[str, str] = {}

    def reader(place: Place) -> Read | None:
        return row_of(place, profile, read)

    grouped: dict[str, list[str]] = {}
    for bound in subject.bounds:
        where = Where(bound.fields, reader)
        test = any_of([where.condition(one) for one in subject.rule.conditions])  # type: ignore[union-attr]
        test = all_of([where.belongs(), test])
        if test != FALSE:
            differences |= where.differences
            grouped.setdefault(test, []).extend(names_of(bound, profile))
    if not grouped:
        raise Unsayable("never", "no query of the pack has the columns that it needs")
    lines = [profile.index]
    everything = [name for names in grouped.values() for name in names]
    lines.append(f"| where {one_of(profile.query, everything)}")
    if not subject.removed:
        lines.append(f'| where {profile.action} != "removed"')
    if read:
        lines.append(
            "| extend " + ", ".join(f"{name} = {value}" for name, value in sorted(read.items()))
        )
    if len(grouped) == 1:
        (test,) = grouped
        tests = test
    else:
        tests = any_of([all_of([one_of(profile.query, n), test]) for test, n in grouped.items()])
    if tests != TRUE:
        lines.append(f"| where {tests}")
    return "\n".join(lines)


def names_of(bound: Bound, profile: Profile) -> list[str]:
    """The names under which the queries of a bound are logged."""
    return [pattern.format(name) for pattern in profile.names for name in bound.queries]


def one_of(column: str, names: list[str]) -> str:
    """That a column is one of several names."""
    return f"{column} in ({', '.join(literal(name) for name in sorted(set(names)))})"


def row_of(place: Place, profile: Profile, read: dict[str, str]) -> Read | None:
    """A value of an osquery row, under a short name that `read` collects."""
    if place.kind == "absent":
        return None
    if place.kind == "envelope":
        column = {
            "action": profile.action,
            "name": profile.query,
            "host": profile.host,
            "counter": profile.counter,
        }[place.name]
        return Read(f"tostring({column})")
    pattern = profile.column if place.kind == "column" else profile.decoration
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in place.name)
    name = ("c_" if place.kind == "column" else "d_") + plain
    value = f"tostring({pattern.format(literal(place.name))})"
    if read.setdefault(name, value) != value:
        raise Unsayable("names", f"two columns would be called {name}")
    return Read(name)


def _signin(place: Place) -> Read | None:
    head, _, rest = place.name.partition(".")
    if place.kind == "column" and head in SIGNIN_LISTS and not rest:
        return Read(f"tostring({head})", listed=True)
    if place.kind == "column" and head in SIGNIN_OBJECTS and rest:
        inside = "".join(f"[{literal(part)}]" for part in rest.split("."))
        return Read(f"tostring(parse_json(tostring({head})){inside})")
    if place.kind == "column" and head in SIGNIN_TEXT and not rest:
        return Read(f"tostring({head})")
    raise Unsayable("no_column", f"SigninLogs has no column for {place.name}")
