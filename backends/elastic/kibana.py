"""Detection rules as Kibana imports them: one JSON object a line.

Form: the Elastic Security API reference, "Import detection rules" and "Create a detection rule". A
rule of type `query` whose KQL is empty takes any query DSL as a filter. That is chosen for all
rules: KQL has no regular expressions, networks of text or letters in either case, and ES|QL
compares case-sensitively and takes a missing field for neither true nor false.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from molehunt.correlation import Correlation
from molehunt.data import techniques
from molehunt.detectors.findings.organisation import EVERY_HOST, Approval, Organisation
from molehunt.detectors.report.attack import FRAMEWORK, tactic
from molehunt.levels import Level
from molehunt.rule import Rule

from ..model import Artefact, Packing
from ..rendering import line
from ..searching.layout import Layout, SignIns
from ..searching.prose import guide, needs, version
from .esqltext import qstr
from .querystring import querystring
from .signins import SIGN_INS

# Kibana's severities with the score that Elastic's documentation gives each.
_SEVERITY = {
    Level.INFORMATIONAL: ("low", 5),
    Level.LOW: ("low", 21),
    Level.MEDIUM: ("medium", 47),
    Level.HIGH: ("high", 73),
    Level.CRITICAL: ("critical", 99),
}
_SITE = "https://attack.mitre.org"
INTEGRATION = "The Elastic integration `{}`, collecting the log that the rule's index is made of."
# Runs overlap, and `event.ingested` is when a row came in: laptops send late what they saw.
_INTERVAL, _FROM = "5m", "now-10m"


def rule_body(rule: Rule, layout: Layout, query: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as Kibana has it, switched off: what runs is the user's choice."""
    source = _SIGN_INS.get(rule.product or "")
    integration = source.package if source else integration_of(layout)
    return told(rule, integration) | {
        "type": "query",
        "language": "kuery",
        "query": "",
        "filters": [_filter(query, f"molehunt {rule.id}")],
        "index": layout.profile.index.split(","),
        "interval": _INTERVAL,
        "from": _FROM,
        "setup": INTEGRATION.format(source.package) if source else needs(rule),
    }


def event_body(rule: Rule, source: SignIns, query: str) -> dict[str, Any]:
    """The same of a rule whose query is ES|QL over the events of a sign-in log."""
    return told(rule, source.package) | {
        "type": "esql",
        "language": "esql",
        "query": query,
        "interval": _INTERVAL,
        "from": _FROM,
        "setup": INTEGRATION.format(source.package),
    }


def integration_of(layout: Layout) -> str:
    """The name of the integration that keeps osquery's rows."""
    return "osquery_manager" if layout.profile.name == "osquery_manager" else "osquery"


def told(rule: Rule | Correlation, integration: str) -> dict[str, Any]:
    """What Kibana's rules of any type say of a rule."""
    severity, score = _SEVERITY[rule.level]
    body: dict[str, Any] = {
        "rule_id": rule.id,
        "name": rule.title,
        "description": rule.description.strip() or rule.title,
        "severity": severity,
        "risk_score": score,
        "enabled": False,
        "to": "now",
        "timestamp_override": "event.ingested",
        "max_signals": 100,
        "author": _authors(rule),
        "license": str(rule.raw.get("license", "")),
        "tags": ["molehunt", *_plain_tags(rule)],
        "threat": list(threats(rule)),
        "false_positives": list(rule.false_positives),
        "references": list(rule.references),
        "note": guide(rule),
        "setup": needs(rule),
        "related_integrations": [{"package": integration, "version": ">=1.0.0"}],
        "exceptions_list": [],
    }
    if rule.meta.context_only or rule.silent or rule.level is Level.INFORMATIONAL:
        # It alerts nobody by itself; other rules and people look at it.
        body["building_block_type"] = "default"
    return body


def _filter(query: Mapping[str, Any], alias: str) -> dict[str, Any]:
    meta = {"type": "custom", "key": "query", "alias": alias, "disabled": False, "negate": False}
    return {"$state": {"store": "appState"}, "meta": meta, "query": dict(query)}


def _authors(rule: Rule | Correlation) -> list[str]:
    return [part.strip() for part in str(rule.raw.get("author", "")).split(",") if part.strip()]


def _plain_tags(rule: Rule | Correlation) -> list[str]:
    found = [f"Level: {rule.level}"]
    found += [f"Subject: {rule.meta.subject}"] if rule.meta.subject else []
    return found + [f"OS: {name}" for name in sorted(rule.meta.platforms)]


def threats(rule: Rule | Correlation) -> Iterator[dict[str, Any]]:
    """ATT&CK as Kibana has it: each tactic of the rule with those of its techniques that belong to
    it, sub-techniques below their technique."""
    slugs = [tag.removeprefix("attack.") for tag in rule.tags if tag.startswith("attack.")]
    for slug in slugs:
        named = tactic(slug)
        if not named.id:
            continue
        under: dict[str, dict[str, Any]] = {}
        for number in rule.techniques:
            parent = number.partition(".")[0]
            known = techniques().get(number)
            if known is None or slug not in known["tactics"]:
                continue
            one = under.setdefault(parent, _technique(parent) | {"subtechnique": []})
            if number != parent:
                one["subtechnique"].append(_technique(number))
        yield {
            "framework": FRAMEWORK,
            "tactic": {"id": named.id, "name": named.name, "reference": named.url},
            "technique": list(under.values()),
        }


def _technique(number: str) -> dict[str, Any]:
    path = number.replace(".", "/")
    name = techniques()[number]["name"]
    return {"id": number, "name": name, "reference": f"{_SITE}/techniques/{path}/"}


def package(artefacts: Sequence[Artefact], packing: Packing) -> dict[str, bytes]:
    """`rules.ndjson`: rules by id, then the approvals as exception lists with their items."""
    lines: list[dict[str, Any]] = []
    exceptions: list[dict[str, Any]] = []
    for artefact in sorted(artefacts, key=lambda one: one.rule):
        rule = packing.rules[artefact.rule]
        body = {**artefact.body, "version": version(rule)}
        if isinstance(packing.organisation, Organisation) and isinstance(rule, Rule):
            found = approvals_of(rule, packing.organisation)
            source = _SIGN_INS.get(rule.product or "")
            host = source.account if source else _HOSTS[artefact.profile]
            open_ended = [one for one in found if one.start is None]
            started = [_started(one, host) for one in found if one.start is not None]
            if "filters" in body:
                body["filters"] = [*body["filters"], *started]
            else:
                tests = (qstr(querystring(one["query"])) for one in started)
                body["query"] = "\n| WHERE ".join([body["query"], *tests])
            if open_ended:
                items = list(_exceptions(rule, open_ended, host))
                body["exceptions_list"] = [_reference(items[0])]
                exceptions += items
        lines.append(body)
    return {"rules.ndjson": b"".join(map(line, [*lines, *exceptions]))}


# What a sign-in is of is an account; its logs are found by the product that rules name.
_SIGN_INS = {
    "okta": SIGN_INS["okta"],
    "azure": SIGN_INS["azure"],
    "gcp": SIGN_INS["google_workspace"],
}
_HOSTS = {"osquery_manager": "host.hostname", "filebeat": "osquery.result.host_identifier"}


def approvals_of(rule: Rule, organisation: Organisation) -> list[Approval]:
    """The approvals that are about a rule, in the order of the file."""
    about = {rule.id.casefold(), rule.meta.subject.casefold()} - {""}
    return [one for one in organisation.approvals if one.what & about]


def _reference(made: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": made["list_id"],
        "list_id": made["list_id"],
        "type": made["type"],
        "namespace_type": made["namespace_type"],
    }


def _exceptions(rule: Rule, found: Sequence[Approval], host: str) -> Iterator[dict[str, Any]]:
    """An exception list of a rule and its items: approvals that end by themselves on their day."""
    shared = {"namespace_type": "single", "os_types": [], "tags": ["molehunt"]}
    list_id = f"molehunt-{rule.id}"
    yield shared | {
        "list_id": list_id,
        "type": "detection",
        "name": f"Approvals: {rule.title}",
        "description": "Written by molehunt from the organisation's file",
        "version": 1,
    }
    for number, one in enumerate(found):
        for pattern in _patterns(one):
            # The same approval has the same id, so that importing it again changes nothing.
            seed = f"{rule.id} {number} {pattern}"
            yield shared | {
                "list_id": list_id,
                "item_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"molehunt:{seed}")),
                "type": "simple",
                "name": f"{one.group}: {one.reason or one.owner}"[:100],
                "description": f"Approved by {one.owner} until {one.end}: {one.reason}",
                "comments": [],
                "entries": [_entry(host, pattern)],
                "expire_time": _instant(one.end),
            }


def _patterns(one: Approval) -> list[str]:
    """Host names are compared without case, and Kibana's exceptions are not: both spellings."""
    if one.group == EVERY_HOST:
        return ["*"]
    return sorted({form for name in one.hosts for form in (name.lower(), name.upper())})


def _entry(host: str, pattern: str) -> dict[str, Any]:
    if pattern == "*":
        return {"field": host, "operator": "included", "type": "exists"}
    kind = "wildcard" if set(pattern) & set("*?[") else "match"
    return {"field": host, "operator": "included", "type": kind, "value": pattern}


def _started(one: Approval, host: str) -> dict[str, Any]:
    """An approval that begins on a day: a filter, as an exception would hide what was before."""
    assert one.start is not None
    spell = {"gte": _instant(one.start), "lt": _instant(one.end)}
    parts: list[dict[str, Any]] = [{"range": {"@timestamp": spell}}]
    if one.group != EVERY_HOST:
        hosts = [
            {"wildcard": {host: {"value": name, "case_insensitive": True}}} for name in one.hosts
        ]
        parts.append({"bool": {"should": hosts, "minimum_should_match": 1}})
    query = {"bool": {"must_not": [{"bool": {"filter": parts}}]}}
    return _filter(query, f"approved by {one.owner} from {one.start} until {one.end}")


def _instant(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
