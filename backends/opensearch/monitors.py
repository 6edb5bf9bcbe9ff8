"""Monitors as OpenSearch's alerting plugin takes them, and the index templates that they need.

Form: OpenSearch documentation, "Alerting API", "Create a query-level monitor".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.rule import Rule

from ..model import Artefact, Packing
from ..rendering import line, pretty
from ..searching.layout import Layout
from ..searching.prose import guide, needs, version
from .layouts import TEMPLATE, templates
from .signins import SIGN_INS

# Alerting counts from 1, the most severe.
_SEVERITY = {
    Level.CRITICAL: "1",
    Level.HIGH: "2",
    Level.MEDIUM: "3",
    Level.LOW: "4",
    Level.INFORMATIONAL: "5",
}
_MINUTES, _BACK = 5, 10


def monitor(rule: Rule, layout: Layout, query: Mapping[str, Any]) -> dict[str, Any]:
    """The monitor of a rule: an alert while the last minutes hold a match. No actions: whom it
    tells is the user's choice."""
    time = layout.profile.time
    period = {"gte": f"{{{{period_end}}}}||-{_BACK}m", "lte": "{{period_end}}"}
    spell = {"range": {time: period | {"format": "epoch_millis"}}}
    alerts = rule.level > Level.INFORMATIONAL and not (rule.meta.context_only or rule.silent)
    return {
        "type": "monitor",
        "name": f"{rule.title} [molehunt {rule.id[:8]}]",
        "monitor_type": "query_level_monitor",
        # What only supports other evidence is there to be searched, and alerts nobody.
        "enabled": alerts,
        "schedule": {"period": {"interval": _MINUTES, "unit": "MINUTES"}},
        "inputs": [
            {
                "search": {
                    "indices": [layout.profile.index],
                    "query": {"size": 20, "query": {"bool": {"filter": [spell, dict(query)]}}},
                }
            }
        ],
        "triggers": [
            {
                "query_level_trigger": {
                    "id": rule.id,
                    "name": rule.title,
                    "severity": _SEVERITY[rule.level],
                    "condition": {
                        "script": {
                            "source": "ctx.results[0].hits.total.value > 0",
                            "lang": "painless",
                        }
                    },
                    "actions": [],
                }
            }
        ],
        "ui_metadata": {
            "molehunt": {
                "rule": rule.id,
                "level": str(rule.level),
                "techniques": list(rule.techniques),
                "description": rule.description.strip(),
                "guide": guide(rule),
                "needs": _needs(rule),
                "references": list(rule.references),
            }
        },
    }


# Their logs are found by the product that rules name.
_LOG = "Events of the sign-in log as its service writes them, in indices `{}` (docs/opensearch.md)."


def _needs(rule: Rule) -> str:
    source = SIGN_INS.get(rule.product or "")
    return _LOG.format(source.index) if source else needs(rule)


def versioned(artefact: Artefact, rule: Rule | Correlation) -> dict[str, Any]:
    """A monitor with the version of its rule."""
    told = artefact.body["ui_metadata"]["molehunt"]
    return {**artefact.body, "ui_metadata": {"molehunt": {**told, "version": version(rule)}}}


def package(artefacts: Sequence[Artefact], packing: Packing) -> dict[str, bytes]:
    """A file for each monitor, all of them in one, and the index templates."""
    files = {_file(name): pretty(body) for name, body in templates().items()}
    ordered = sorted(artefacts, key=lambda one: one.rule)
    bodies = [versioned(artefact, packing.rules[artefact.rule]) for artefact in ordered]
    for artefact, body in zip(ordered, bodies, strict=True):
        files[f"monitors/{artefact.rule}.json"] = pretty(body)
    files["monitors.ndjson"] = b"".join(map(line, bodies))
    return files


def _file(template: str) -> str:
    log = "" if template == TEMPLATE else "_" + template.removeprefix("molehunt-")
    return f"index_template{log}.json"
