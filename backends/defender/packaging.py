"""Custom detections as Microsoft Graph takes them, and hunting queries for repositories.

Forms: https://learn.microsoft.com/graph/api/security-detectionrule-post-detectionrules, and the
queries with the connector `MicrosoftThreatProtection` in
https://github.com/Azure/Azure-Sentinel/tree/master/Hunting%20Queries/Microsoft%20365%20Defender.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from molehunt.levels import Level
from molehunt.rule import Rule

from ..model import Artefact, Packing
from ..searching.prose import guide
from ..sentinel.packaging import TACTICS, yaml_text

_SEVERITY = {
    Level.CRITICAL: "high",
    Level.HIGH: "high",
    Level.MEDIUM: "medium",
    Level.LOW: "low",
    Level.INFORMATIONAL: "informational",
}


def detection(rule: Rule, query: str) -> dict[str, Any]:
    """The body of `POST /security/rules/detectionRules`, switched off: what runs is the user's
    choice. Rows keep `Timestamp`, `DeviceId` and `ReportId`, which a custom detection needs."""
    tactics = _tactics(rule)
    return {
        "displayName": f"{rule.title} [molehunt {rule.id[:8]}]",
        "isEnabled": False,
        "queryCondition": {"queryText": query + "\n"},
        "schedule": {"period": "1H"},
        "detectionAction": {
            "alertTemplate": {
                "title": rule.title,
                "description": " ".join(rule.description.split()),
                "severity": _SEVERITY[rule.level],
                "category": tactics[0] if tactics else "SuspiciousActivity",
                "recommendedActions": guide(rule),
                "mitreTechniques": sorted(set(rule.techniques)),
                "impactedAssets": [
                    {
                        "@odata.type": "#microsoft.graph.security.impactedDeviceAsset",
                        "identifier": "deviceId",
                    }
                ],
            },
            "organizationalScope": None,
            "responseActions": [],
        },
    }


def _tactics(rule: Rule) -> list[str]:
    """In the order of the rule's tags."""
    words = (tag.removeprefix("attack.") for tag in rule.tags if tag.startswith("attack."))
    return list(dict.fromkeys(TACTICS[word] for word in words if word in TACTICS))


def _alone(rule: Rule) -> bool:
    """Whether the rule may alert by itself."""
    quiet = rule.silent or rule.meta.context_only
    return not quiet and rule.level > Level.INFORMATIONAL


def package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    """A hunting query for each rule, and a custom detection for each that may alert by itself."""
    files = {}
    for artefact in artefacts:
        rule = packing.rules[artefact.rule]
        assert isinstance(rule, Rule)
        stem = f"{rule.name.rpartition('/')[2].removesuffix('.yml')}_{artefact.rule[:8]}"
        table = artefact.query.partition("\n")[0]
        hunting = {
            "id": rule.id,
            "name": rule.title,
            "description": " ".join(rule.description.split()),
            "requiredDataConnectors": [
                {"connectorId": "MicrosoftThreatProtection", "dataTypes": [table]}
            ],
            "tactics": sorted(_tactics(rule)),
            "relevantTechniques": sorted(set(rule.techniques)),
            "query": artefact.query + "\n",
            "version": packing.version,
        }
        files[f"HuntingQueries/{stem}.yaml"] = yaml_text(hunting)
        if _alone(rule):
            body = json.dumps(artefact.body, indent=1, sort_keys=True, ensure_ascii=False)
            files[f"CustomDetections/{stem}.json"] = f"{body}\n".encode()
    return files
