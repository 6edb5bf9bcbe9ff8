"""One rule as a KQL query over the tables of Microsoft Sentinel."""

from __future__ import annotations

import re
from collections.abc import Mapping

from molehunt.detectors.matching.fields import FieldMap, Place
from molehunt.rule import Rule

from ..asking import Asked, asked
from ..kusto.kqltext import FALSE, TRUE, all_of, any_of, literal
from ..kusto.kqlwhere import Read, Where
from ..model import Artefact, Bound, Compiled, Profile, Refusal, Subject, Unsayable
from ..signins import log_of
from .signins import ARRIVED, LOGS, Log, log_query

_UNKNOWN = "its table has no layout that could be checked here"
_ODD = re.compile("[^0-9A-Za-z]")
LONGEST = 10_000
"""Characters in the query of an analytics rule (Microsoft Sentinel service limits)."""
# Rows arrive late; each run takes what came in since the one before
# (https://learn.microsoft.com/azure/sentinel/ingestion-delay).
_NEW = f"| where {ARRIVED} > ago(1h)\n"


def compile_rule(subject: Subject, profile: Profile) -> Compiled:
    """A rule as one query; `body` has what an analytics rule adds to it."""
    rule = subject.rule
    assert isinstance(rule, Rule)
    differences: set[str] = set()
    try:
        log = log_of(subject, LOGS, _UNKNOWN)
        query, scheduled = _queries(subject, profile, log, differences)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "sentinel", profile.name, why.code, why.reason)
    from .packaging import analytics_rule

    body = analytics_rule(rule, f"{scheduled}\n", log)
    return Artefact(
        rule.id, rule.title, "sentinel", profile.name, "kql",
        query, body, tuple(sorted(differences)),
    )  # fmt: skip


def _queries(
    subject: Subject, profile: Profile, log: Log | None, differences: set[str]
) -> tuple[str, str]:
    """The query over all rows, and as the rule runs it, over those that are new."""
    if log is None:
        query = _osquery(subject, profile, differences)
        table, _, rest = query.partition("\n")
        scheduled = f"{table}\n{_NEW}{rest}\n| extend HostName = HostIdentifier"
    else:
        query = _signins(subject, log, differences)
        scheduled = _signins(subject, log, differences, _NEW)
    if len(query) > LONGEST - 100 or len(scheduled) > LONGEST:
        raise Unsayable("too_long", f"a query may have {LONGEST} characters")
    return query, scheduled


def _signins(subject: Subject, log: Log, differences: set[str], new: str = "") -> str:
    (bound,) = subject.bounds
    read: dict[str, str] = {}
    where = Where(bound.fields, log.reader(read, differences))
    test = any_of([where.condition(one) for one in subject.rule.conditions])  # type: ignore[union-attr]
    differences |= where.differences
    return log_query(log, read, test, new)


def _osquery(subject: Subject, profile: Profile, differences: set[str]) -> str:
    read: dict[str, str] = {}
    grouped: dict[str, list[str]] = {}
    assert isinstance(subject.rule, Rule)
    for bound in subject.bounds:
        found = asked_of(subject.rule, bound.fields, profile)
        collect(read, found.read)
        test = all_of([found.belongs, found.test])
        if test != FALSE:
            differences |= found.differences
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


def asked_of(rule: Rule, fields: FieldMap, profile: Profile) -> Asked:
    """What a rule asks of rows that it reads in one way."""

    def language(read: dict[str, str]) -> Where:
        return Where(fields, lambda place: row_of(place, profile, read))

    return asked(rule, fields, profile, language, any_of)


def collect(read: dict[str, str], more: Mapping[str, str]) -> None:
    """Take more columns under their short names. Raises `Unsayable` where two have one."""
    for name, value in more.items():
        if read.setdefault(name, value) != value:
            raise Unsayable("names", f"two columns would be called {name}")


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
    plain = _ODD.sub("_", place.name)
    name = ("c_" if place.kind == "column" else "d_") + plain
    collect(read, {name: f"tostring({pattern.format(literal(place.name))})"})
    return Read(name)
