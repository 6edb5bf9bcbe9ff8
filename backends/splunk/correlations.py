"""Correlations as saved searches."""

from __future__ import annotations

from molehunt.correlation import Correlation

from ..correlating.plan import Plan, plan_of
from ..model import Artefact, Compiled, Profile, Refusal, Subject, Unsayable
from .packaging import settings
from .signins import LOGS
from .splwindows import windows_search

_DAY = 86_400
# How long a state is known that was logged once, and how late a laptop may send what it saw.
_STATES, _LATE = 30 * _DAY, 7 * _DAY


def correlation(subject: Subject, profile: Profile) -> Compiled:
    """The search of a correlation with its stanza, or why there is none."""
    rule = subject.rule
    assert isinstance(rule, Correlation)
    try:
        plan = plan_of(subject, LOGS)
        text, differences = windows_search(plan, profile)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, "splunk", profile.name, why.code, why.reason)
    query = {"query": text, "group": plan.identifiers}
    body = _stanza(rule, plan, text)
    return Artefact(rule.id, rule.title, "splunk", profile.name, "spl", query, body, differences)


def _stanza(rule: Correlation, plan: Plan, text: str) -> dict[str, str]:
    """Runs over the whole look-back, and tells the groups in which something is new."""
    fields = plan.identifiers
    minutes, hours = (60, "*") if plan.timespan <= 3600 else (240, "*/4")
    body = settings(rule, hours)
    return body | {
        "search": f'{text} | where newest>=relative_time(now(), "-{minutes}m@m")'
        f" | table {', '.join(fields)}, began, ended, newest",
        "dispatch.earliest_time": f"-{_look_back(plan) // 3600}h@h",
        "alert.suppress.fields": ", ".join(fields),
    }


def _look_back(plan: Plan) -> int:
    return plan.timespan + _LATE + (_STATES if plan.lasting else 0)
