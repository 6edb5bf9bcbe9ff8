"""Custom detections as Microsoft Graph takes them, analytics rules as Sentinel imports them.

Forms: https://learn.microsoft.com/graph/api/security-rulesroot-post-detectionrules (the resource as
it is since October 2026, without `isEnabled`, `category`, `impactedAssets` and `mitreTechniques`);
https://learn.microsoft.com/azure/sentinel/ci-cd-custom-content, for the tables that the connector
of Microsoft Defender XDR streams into a workspace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molehunt.data import techniques
from molehunt.levels import Level
from molehunt.processes import mapped
from molehunt.rule import Rule

from ..model import Artefact, Packing
from ..rendering import pretty
from ..searching.prose import guide
from ..sentinel.packaging import SEVERITY, TACTICS, yaml_text
from .tables import TABLES

_HOST = {
    "entityType": "Host",
    "fieldMappings": [{"identifier": "FullName", "columnName": "DeviceName"}],
}


def detection(rule: Rule, query: str) -> dict[str, Any]:
    """The body of `POST /security/rules/detectionRules`, switched off: what runs is the user's
    choice. The query keeps all columns, so `Timestamp`, `DeviceId` and `ReportId`, which a custom
    detection needs, are there."""
    return {
        "id": f"molehunt-{rule.id}",
        "displayName": f"{rule.title} [molehunt {rule.id[:8]}]",
        "description": " ".join(rule.description.split()),
        "status": "disabled",
        "queryCondition": {"queryText": query + "\n"},
        "schedule": {"frequency": "PT1H"},
        "detectionAction": {
            "alertTemplate": {
                "title": rule.title,
                "description": " ".join(rule.description.split()),
                "severity": SEVERITY[rule.level].lower(),
                "recommendedActions": guide(rule),
                "entityMappings": {
                    "hosts": [{"deviceIdColumn": "DeviceId", "nameColumn": "DeviceName"}]
                },
                "tactics": list(_attack(rule)),
            }
        },
    }


def analytics_rule(rule: Rule, query: str) -> dict[str, Any]:
    """What Sentinel imports, but for the version. Each run takes what came in since the one before,
    as in `sentinel.packaging.analytics_rule`."""
    table, _, rest = query.partition("\n")
    read = sorted(name for name in TABLES if name in query)
    return {
        "id": rule.id,
        "name": rule.title,
        "description": " ".join(rule.description.split())[:5000],
        "severity": SEVERITY[rule.level],
        "status": "Available",
        "requiredDataConnectors": [{"connectorId": "MicrosoftThreatProtection", "dataTypes": read}],
        "queryFrequency": "PT1H",
        "queryPeriod": "P1D",
        "triggerOperator": "gt",
        "triggerThreshold": 0,
        "tactics": sorted({one["tactic"] for one in _attack(rule)}),
        "relevantTechniques": sorted(set(rule.techniques)),
        "query": f"{table}\n| where ingestion_time() > ago(1h)\n{rest}\n",
        "entityMappings": [_HOST],
        "incidentConfiguration": {"createIncident": alerts(rule)},
        "eventGroupingSettings": {"aggregationKind": "SingleAlert"},
        "suppressionEnabled": False,
        "suppressionDuration": "PT5H",
        "kind": "Scheduled",
    }


def alerts(rule: Rule) -> bool:
    """Whether the rule may alert by itself: at least medium, and no mere support of others."""
    return rule.level > Level.LOW and not (rule.silent or rule.meta.context_only)


def _attack(rule: Rule) -> Iterator[dict[str, Any]]:
    """The tactics in the order of the rule's tags, each with its techniques of the rule."""
    slugs = (tag.removeprefix("attack.") for tag in rule.tags if tag.startswith("attack."))
    for slug in dict.fromkeys(one for one in slugs if one in TACTICS):
        under: dict[str, list[str]] = {}
        for number in rule.techniques:
            if slug in techniques().get(number, {}).get("tactics", ()):
                parent = number.partition(".")[0]
                under.setdefault(parent, []).extend([number] if number != parent else [])
        found = [
            {"technique": parent} | ({"subTechniques": below} if below else {})
            for parent, below in under.items()
        ]
        yield {"tactic": TACTICS[slug], "techniques": found}


def package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    """An analytics rule for each rule, and a custom detection for each that may alert by itself."""
    files = {}
    bodies = [{**one.body["analytics"], "version": packing.version} for one in artefacts]
    for artefact, text in zip(artefacts, mapped(yaml_text, bodies), strict=True):
        rule = packing.rules[artefact.rule]
        assert isinstance(rule, Rule)
        stem = f"{rule.name.rpartition('/')[2].removesuffix('.yml')}_{artefact.rule[:8]}"
        files[f"AnalyticsRules/{stem}.yaml"] = text
        if alerts(rule):
            files[f"CustomDetections/{stem}.json"] = pretty(artefact.body["detection"])
    return files
