"""Findings as OCSF 1.6.0 events of the class Detection Finding, one JSON object a line.

Names, numbers and types are those of the schema (https://schema.ocsf.io/1.6.0/classes/
detection_finding). docs/findings.md says what stands where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from molehunt import __version__
from molehunt.levels import Level

from ..findings.model import Finding, Technique
from . import attack
from .hosts import Host, hosts_of, is_hostname
from .machine import dumped, plain, to_json_dict
from .order import in_order
from .times import milliseconds
from .words import sentence

OCSF_VERSION = "1.6.0"

_SEVERITY = {
    Level.INFORMATIONAL: 1,
    Level.LOW: 2,
    Level.MEDIUM: 3,
    Level.HIGH: 4,
    Level.CRITICAL: 5,
}
# What the Sigma specification says of a status: how far the rule has been tried.
_CONFIDENCE = {"stable": (3, "High"), "test": (2, "Medium"), "experimental": (1, "Low")}
_STATE = {"stable": (1, "Active"), "test": (1, "Active"), "experimental": (3, "Experimental")}
_RULE = {"type_id": 1, "type": "Rule"}
# Types of observables: a host name, a resource's identifier, a resource's name.
_HOSTNAME, _RESOURCE_UID, _RESOURCE_NAME = 1, 10, 38


def write_ocsf(findings: Iterable[Finding], stream: TextIO) -> None:
    """Write one event a line, in report order; nothing at all if there are none."""
    stream.writelines(dumped(to_ocsf(finding)) + "\n" for finding in in_order(findings))


def to_ocsf(finding: Finding) -> dict[str, Any]:
    """A finding as one event of plain JSON values.

    Times are milliseconds since 1970 UTC. `time` is the time last seen: the earliest at which this
    finding could be made. It is left out if no record has a time, since OCSF has no way to say that
    a time is unknown.
    """
    known = to_json_dict(finding)
    first, last = milliseconds(finding.first_seen), milliseconds(finding.last_seen)
    confidence, confidence_word = _CONFIDENCE.get(finding.status, (0, "Unknown"))
    event: dict[str, Any] = {
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200401,
        "type_name": "Detection Finding: Create",
        "severity_id": _SEVERITY[finding.level],
        "severity": str(finding.level).capitalize(),
        "status_id": 1,
        "status": "New",
        "confidence_id": confidence,
        "confidence": confidence_word,
        "is_alert": finding.level >= Level.HIGH,
        "time": last if last is not None else first,
        "start_time": first,
        "end_time": last,
        "count": finding.count,
        "message": f"{known['title']} on {_named(finding)}",
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "molehunt", "vendor_name": "molehunt", "version": __version__},
        },
        "finding_info": _finding_info(finding, known, first, last),
        "device": _device(hosts_of(finding)[0]),
        "resources": _resources(finding),
        "evidences": [
            {"name": item["query"], "uid": plain(str(kept.where)), "data": item}
            for item, kept in zip(known["evidence"], finding.evidence, strict=True)
        ],
        "remediation": {"desc": "\n".join(map(sentence, known["next_steps"]))},
        "observables": _observables(finding),
        "unmapped": {
            "molehunt": {
                key: known[key]
                for key in (
                    *("format", "rule", "identity", "missing_filters", "raised_by"),
                    *("false_positives", "references"),
                )
            }
        },
    }
    if not finding.next_steps:
        del event["remediation"]
    return _filled(event)


def _finding_info(
    finding: Finding, known: Mapping[str, Any], first: int | None, last: int | None
) -> dict[str, Any]:
    state, state_word = _STATE.get(finding.status, (None, None))
    tactics = (attack.tactic(slug).name for item in finding.techniques for slug in item.tactics)
    return _filled(
        {
            "uid": known["id"],
            "title": known["title"],
            "desc": known["description"],
            "types": plain(list(dict.fromkeys(tactics))),
            "first_seen_time": first,
            "last_seen_time": last,
            "data_sources": plain(list(dict.fromkeys(item.query for item in finding.evidence))),
            "analytic": _filled(
                {
                    **_RULE,
                    "uid": known["rule"]["id"],
                    "name": known["title"],
                    "desc": known["description"],
                    "state_id": state,
                    "state": state_word,
                }
            ),
            "related_analytics": [
                {**_RULE, "uid": item["rule"], "name": item["title"]} for item in known["raised_by"]
            ],
            "attacks": plain([one for item in finding.techniques for one in _attacks(item)]),
        }
    )


def _attacks(technique: Technique) -> Iterable[dict[str, Any]]:
    """One object for each tactic of a technique: OCSF pairs one with the other."""
    above = attack.parent(technique)
    own = _entity(attack.technique(technique))
    told = {"technique": own} if above is None else {"technique": _entity(above)}
    if above is not None:
        told["sub_technique"] = own
    for slug in technique.tactics or ("",):
        named = {"tactic": _entity(attack.tactic(slug))} if slug else {}
        if found := _filled({**named, **told}):
            yield {"version": attack.VERSION, **found}


def _entity(named: attack.Named) -> dict[str, Any]:
    return _filled({"uid": named.id, "name": named.name, "src_url": named.url})


def _device(host: Host) -> dict[str, Any]:
    """The host, of which a result log tells no type; nothing if the log does not name it."""
    named = _filled(
        {
            "uid": plain(host.id),
            "name": plain(host.name),
            "hostname": host.name if is_hostname(host.name) else "",
        }
    )
    return {"type_id": 0, "type": "Unknown", **named} if named else {}


def _resources(finding: Finding) -> list[dict[str, Any]]:
    hosts = [
        {"type": "Host", "uid": host.id, "name": host.name, "role_id": 3, "role": "Affected"}
        for host in hosts_of(finding)
    ]
    users = [
        {"type": "User", "name": user, "role_id": 4, "role": "Related"} for user in finding.users
    ]
    return [_filled(plain(resource)) for resource in (*hosts, *users)]


def _observables(finding: Finding) -> list[dict[str, Any]]:
    hosts = hosts_of(finding)
    names = [host.name for host in hosts[:1] if is_hostname(host.name)]
    found = [
        *(("device.hostname", _HOSTNAME, name) for name in names),
        *(("resources.uid", _RESOURCE_UID, host.id) for host in hosts),
        *(("resources.name", _RESOURCE_NAME, user) for user in finding.users),
    ]
    return [
        {"name": name, "type_id": kind, "value": plain(value)}
        for name, kind, value in found
        if value
    ]


def _named(finding: Finding) -> str:
    return str(plain(", ".join(host.name for host in hosts_of(finding))))


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is unknown or empty: OCSF has no null."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
