"""One rule as an SPL search over osquery's results.

It reads the raw JSON, not extracted fields: search-time extraction stops after some thousand
characters (`limits.conf`, `[kv]` and `[spath]`), and add-ons rename and overwrite fields. Rows of
both shapes are read: one event a row (`columns`), and whole snapshots (`snapshot`, an array).
"""

from __future__ import annotations

from molehunt.detectors.matching.fields import FieldMap, Place
from molehunt.rule import Rule

from ..asking import Asked, asked
from ..model import Artefact, Compiled, Profile, Refusal, Subject, Unsayable
from ..signins import log_of
from .signins import LOGS, Log, SignInWhere, value_of
from .spltext import FALSE, TRUE, string
from .splwhere import Where, joined, names

_UNKNOWN = "its add-ons spell it in ways that were not checked"
ACCOUNT = "molehunt_account"
ENVELOPE = (
    'eval molehunt_name=coalesce(json_extract(_raw, "name"), ""),'
    ' molehunt_action=coalesce(json_extract(_raw, "action"), ""),'
    ' molehunt_host=coalesce(json_extract(_raw, "hostIdentifier"), ""),'
    ' molehunt_row=coalesce(json_extract(_raw, "columns"),'
    ' json_array_to_mv(json_extract(_raw, "snapshot")))'
)


def compile_rule(subject: Subject, profile: Profile) -> Compiled:
    """A rule as one search; `body` has the settings of its stanza in savedsearches.conf."""
    rule = subject.rule
    differences: set[str] = set()
    try:
        log = log_of(subject, LOGS, _UNKNOWN)
        if log is None:
            query = _query(subject, profile, differences)
        else:
            query = _signins(subject, log, differences)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "splunk", profile.name, why.code, why.reason)
    from .packaging import stanza

    assert isinstance(rule, Rule)
    return Artefact(
        rule.id, rule.title, "splunk", profile.name, "spl",
        query, stanza(rule, query, signins=log is not None), tuple(sorted(differences)),
    )  # fmt: skip


def _signins(subject: Subject, log: Log, differences: set[str]) -> str:
    rule, (bound,) = subject.rule, subject.bounds
    assert isinstance(rule, Rule)
    read = {ACCOUNT: value_of([log.account])}
    where = SignInWhere(bound.fields, log.reader(read, differences), log=log)
    test = joined([where.condition(one) for one in rule.conditions], "OR")
    differences |= where.differences
    made = ", ".join(f"{name}={value}" for name, value in sorted(read.items()))
    return f"{log.head()} | eval {made} | where {joined([log.belongs(), test], 'AND')}"


def _query(subject: Subject, profile: Profile, differences: set[str]) -> str:
    rule = subject.rule
    assert isinstance(rule, Rule)
    read: dict[str, str] = {}
    grouped: dict[str, list[str]] = {}
    for bound in subject.bounds:
        found = asked_of(rule, bound.fields, profile)
        read |= found.read
        test = joined([found.belongs, found.test], "AND")
        if test != FALSE:
            differences |= found.differences
            grouped.setdefault(test, []).extend(
                pattern.format(name) for pattern in profile.names for name in bound.queries
            )
    if not grouped:
        raise Unsayable("never", "no query of the pack has the columns that it needs")
    everything = sorted({name for group in grouped.values() for name in group})
    tests = joined(
        [joined([names("molehunt_name", group), test], "AND") for test, group in grouped.items()],
        "OR",
    )
    if not subject.removed:
        tests = joined(['molehunt_action!="removed"', tests], "AND")
    lines = [
        f"{profile.index} (" + " OR ".join(map(string, everything)) + ")",
        ENVELOPE,
        "mvexpand molehunt_row limit=0",
    ]
    if read:
        lines.append("eval " + ", ".join(f"{name}={value}" for name, value in sorted(read.items())))
    if tests != TRUE:
        lines.append(f"where {tests}")
    return " | ".join(lines)


def asked_of(rule: Rule, fields: FieldMap, profile: Profile) -> Asked:
    """What a rule asks of rows that it reads in one way."""

    def language(read: dict[str, str]) -> Where:
        return Where(fields, lambda place: row_of(place, profile, read))

    return asked(rule, fields, profile, language, _any_of)


def _any_of(tests: list[str]) -> str:
    return joined(tests, "OR")


def row_of(place: Place, profile: Profile, read: dict[str, str]) -> str | None:
    """The field that has a value of an osquery row; `read` collects how it is made."""
    if place.kind == "absent":
        return None
    if place.kind == "envelope":
        if place.name != "counter":
            return {"action": profile.action, "name": profile.query, "host": profile.host}[
                place.name
            ]
        read["molehunt_counter"] = 'coalesce(tostring(json_extract(_raw, "counter")), "")'
        return "molehunt_counter"
    if "." in place.name or not place.name.isascii():
        raise Unsayable("no_column", f"json_extract would read a path in {place.name}")
    head, origin = ("c_", "molehunt_row") if place.kind == "column" else ("d_", "_raw")
    path = place.name if place.kind == "column" else f"decorations.{place.name}"
    name = head + place.name
    read[name] = f'coalesce(tostring(json_extract({origin}, {string(path)})), "")'
    return name
