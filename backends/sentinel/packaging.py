"""Analytics rules as files that Sentinel's repositories import, and how the logs get there.

Form of the YAML: <https://learn.microsoft.com/azure/sentinel/ci-cd-custom-content> and the rules in
<https://github.com/Azure/Azure-Sentinel/tree/master/Detections>.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.processes import mapped
from molehunt.rule import Rule

from ..model import Artefact, Packing
from .signins import Log

SEVERITY = {
    Level.CRITICAL: "High",
    Level.HIGH: "High",
    Level.MEDIUM: "Medium",
    Level.LOW: "Low",
    Level.INFORMATIONAL: "Informational",
}
# Sentinel's names of ATT&CK tactics.
TACTICS = {
    "reconnaissance": "Reconnaissance",
    "resource-development": "ResourceDevelopment",
    "initial-access": "InitialAccess",
    "execution": "Execution",
    "persistence": "Persistence",
    "privilege-escalation": "PrivilegeEscalation",
    "defense-evasion": "DefenseEvasion",
    "stealth": "DefenseEvasion",
    "credential-access": "CredentialAccess",
    "discovery": "Discovery",
    "lateral-movement": "LateralMovement",
    "collection": "Collection",
    "command-and-control": "CommandAndControl",
    "exfiltration": "Exfiltration",
    "impact": "Impact",
}
COLUMNS = {
    "TimeGenerated": "datetime",
    "Name": "string",
    "Action": "string",
    "HostIdentifier": "string",
    "UnixTime": "long",
    "Counter": "long",
    "Columns": "dynamic",
    "Decorations": "dynamic",
}
TRANSFORM = (
    "source\n"
    "| project TimeGenerated = unixtime_seconds_todatetime(tolong(unixTime)),"
    " Name = tostring(name), Action = tostring(action), HostIdentifier = tostring(hostIdentifier),"
    " UnixTime = tolong(unixTime), Counter = tolong(counter), Columns = columns,"
    " Decorations = decorations\n"
)


def analytics_rule(rule: Rule, query: str, log: Log | None = None) -> dict[str, Any]:
    """What Sentinel imports, but for the version. Rows arrive late: the period goes back a day."""
    entities = {"Host": "HostName"} if log is None else log.entities
    return described(rule) | {
        "requiredDataConnectors": [] if log is None else [dict(log.connector)],
        "queryFrequency": "PT1H",
        "queryPeriod": "P1D",
        "triggerOperator": "gt",
        "triggerThreshold": 0,
        "query": query,
        "entityMappings": [entity(kind, column) for kind, column in entities.items()],
        "eventGroupingSettings": {"aggregationKind": "SingleAlert"},
        "suppressionEnabled": False,
        "suppressionDuration": "PT5H",
        "kind": "Scheduled",
    }


def entity(kind: str, column: str) -> dict[str, Any]:
    """The mapping of a column to an entity (Host, Account, IP)."""
    identifier = "Address" if kind == "IP" else "FullName"
    return {
        "entityType": kind,
        "fieldMappings": [{"identifier": identifier, "columnName": column}],
    }


def described(rule: Rule | Correlation) -> dict[str, Any]:
    """What of an analytics rule tells of the rule itself, and whether it makes incidents."""
    quiet = rule.silent or rule.meta.context_only or rule.level <= Level.LOW
    return {
        "id": rule.id,
        "name": rule.title,
        "description": " ".join(rule.description.split())[:5000],
        "severity": SEVERITY[rule.level],
        "status": "Available",
        "tactics": _tactics(rule),
        "relevantTechniques": sorted(set(rule.techniques)),
        "incidentConfiguration": {"createIncident": not quiet},
    }


def _tactics(rule: Rule | Correlation) -> list[str]:
    words = (tag.removeprefix("attack.") for tag in rule.tags if tag.startswith("attack."))
    return sorted({TACTICS[word] for word in words if word in TACTICS})


def package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    """One file for each rule, the table, and the transformation of a data collection rule."""
    files = {}
    bodies = [{**artefact.body, "version": packing.version} for artefact in artefacts]
    texts = mapped(yaml_text, bodies)
    for artefact, body, text in zip(artefacts, bodies, texts, strict=True):
        stem = packing.rules[artefact.rule].name.rpartition("/")[2].removesuffix(".yml")
        files[f"AnalyticsRules/{stem}_{artefact.rule[:8]}.yaml"] = text
        if isinstance(artefact.query, dict) and artefact.query["query"] not in body["query"]:
            files[f"Functions/{function_name(artefact.rule)}.json"] = _function(artefact)
    if any("Osquery_CL" in _asked(one) for one in artefacts):
        table = {
            "properties": {
                "plan": "Analytics",
                "schema": {
                    "name": "Osquery_CL",
                    "columns": [{"name": n, "type": t} for n, t in COLUMNS.items()],
                },
            }
        }
        files["Osquery_CL/table.json"] = (json.dumps(table, indent=2) + "\n").encode()
        files["Osquery_CL/transform.kql"] = TRANSFORM.encode()
    return files


def _asked(one: Artefact) -> str:
    text: str = one.query["query"] if isinstance(one.query, dict) else one.query
    return text


def function_name(rule: str) -> str:
    """The name of the workspace's function that holds a correlation's query."""
    return f"molehunt_{rule.replace('-', '_')}"


def _function(artefact: Artefact) -> bytes:
    """An ARM template that puts a function into a workspace
    (<https://learn.microsoft.com/azure/templates/microsoft.operationalinsights/workspaces/savedsearches>).
    """
    name = function_name(artefact.rule)
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"workspace": {"type": "string"}},
        "resources": [
            {
                "type": "Microsoft.OperationalInsights/workspaces/savedSearches",
                "apiVersion": "2020-08-01",
                "name": f"[concat(parameters('workspace'), '/{name}')]",
                "properties": {
                    "category": "molehunt",
                    "displayName": name,
                    "functionAlias": name,
                    "query": artefact.query["query"],
                    "version": 2,
                },
            }
        ],
    }
    return (json.dumps(template, indent=2, ensure_ascii=False) + "\n").encode()


def yaml_text(body: Mapping[str, Any]) -> bytes:
    """A document of YAML that can be read, its keys as they come."""
    import yaml

    dumped: bytes = yaml.dump(
        body, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100, encoding="utf-8"
    )
    return dumped


@cache
def _dumper() -> Any:
    from molehunt.yamlloader import SAFE_DUMPER

    class Dumper(SAFE_DUMPER):  # type: ignore[misc]
        """Long texts as blocks, so that a query can be read."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        block = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=block)

    Dumper.add_representer(str, text)
    return Dumper
