"""Correlations as analytics rules.

A scheduled rule sees 14 days at most, and a query of more than 10,000 characters has to stand in a
function of the workspace, which the rule calls
(<https://learn.microsoft.com/azure/sentinel/create-analytics-rules>).
"""

from __future__ import annotations

from typing import Any

from molehunt.correlation import Correlation

from ..correlating.plan import Plan, plan_of
from ..model import Artefact, Compiled, Profile, Refusal, Subject, Unsayable
from .compiling import LONGEST
from .kqlwindows import windows_query
from .packaging import described, entity, function_name
from .signins import LOGS

_DAY = 86_400
LONGEST_PERIOD = 14 * _DAY
# How late a laptop may send what it saw.
_LATE = _DAY


def correlation(subject: Subject, profile: Profile) -> Compiled:
    """The query of a correlation with its analytics rule, or why there is none."""
    rule = subject.rule
    assert isinstance(rule, Correlation)
    try:
        plan = _planned(subject)
        text, differences = windows_query(plan, profile)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "sentinel", profile.name, why.code, why.reason)
    query = {"query": text, "group": plan.identifiers}
    body = _analytics_rule(rule, plan, text)
    return Artefact(rule.id, rule.title, "sentinel", profile.name, "kql", query, body, differences)


def _planned(subject: Subject) -> Plan:
    plan = plan_of(subject, LOGS)
    if plan.timespan > LONGEST_PERIOD - _LATE:
        raise Unsayable("look_back", "an analytics rule sees 14 days; the correlation needs more")
    return plan


def _analytics_rule(rule: Correlation, plan: Plan, text: str) -> dict[str, Any]:
    """What Sentinel imports, but for the version: an alert for each group in which something came
    in since the run before, those of one host or group in one incident."""
    tail = "\n| where newest > ago(1h)\n"
    whole = text + tail
    if len(whole) > LONGEST:
        whole = function_name(rule.id) + tail
    columns, log = plan.identifiers, LOGS.get(plan.log)
    field = "osquery.host" if log is None else log.account
    entities = {
        "Host" if log is None else "Account": name
        for name, asked in zip(columns, rule.group_by, strict=True)
        if asked == field
    }
    body = described(rule) | {
        "requiredDataConnectors": [] if log is None else [dict(log.connector)],
        "queryFrequency": "PT1H",
        "queryPeriod": f"P{_days(plan)}D",
        "triggerOperator": "gt",
        "triggerThreshold": 0,
        "query": whole,
        "entityMappings": [entity(kind, name) for kind, name in entities.items()],
        "customDetails": {_detail(name): name for name in (*columns, "began", "ended")},
        "eventGroupingSettings": {"aggregationKind": "AlertPerResult"},
        "suppressionEnabled": False,
        "suppressionDuration": "PT5H",
        "kind": "Scheduled",
    }
    body["incidentConfiguration"] |= {
        "groupingConfiguration": {
            "enabled": True,
            "reopenClosedIncident": False,
            "lookbackDuration": "P1D",
            "matchingMethod": "Selected",
            "groupByEntities": list(entities),
            "groupByAlertDetails": [],
            "groupByCustomDetails": [_detail(name) for name in columns],
        }
    }
    return body


def _detail(name: str) -> str:
    """The key of a custom detail, which may have twenty characters."""
    return name if len(name) <= 20 else name.rpartition("_")[2][-20:]


def _days(plan: Plan) -> int:
    """States may have been logged long before; else the time span and rows that come in late."""
    if plan.lasting:
        return LONGEST_PERIOD // _DAY
    return -(-(plan.timespan + _LATE) // _DAY)
