"""Correlations as Kibana's rules of the type `esql`.

Form: the Elastic Security API reference, "Create a detection rule", ES|QL rule. A query that
aggregates makes one alert of each row of its answer.
"""

from __future__ import annotations

from molehunt.correlation import Correlation
from molehunt.rule import Rule

from ..correlating.plan import Plan, plan_of
from ..model import Artefact, Compiled, Refusal, Subject, Unsayable
from ..searching.layout import Layout
from .esql import esql
from .kibana import INTEGRATION, integration_of, told

TARGET = "elastic"
_DAY = 86_400
# How long a state is known that was logged once, and how late a laptop may send what it saw.
_STATES, _LATE = 90 * _DAY, 7 * _DAY


def correlation(subject: Subject, layout: Layout) -> Compiled:
    """The query of a correlation with what Kibana imports, or why there is none."""
    rule, profile = subject.rule, layout.profile
    assert isinstance(rule, Correlation)
    try:
        plan = plan_of(subject, layout.signins)
        text, differences = esql(plan, layout)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, TARGET, profile.name, why.code, why.reason)
    minutes = _minutes(plan)
    source = layout.signins.get(plan.log)
    integration = source.package if source else integration_of(layout)
    body = told(rule, integration) | {
        "type": "esql",
        "language": "esql",
        # What a run before has told is not told again, whatever else the look-back holds.
        "query": f"{text}\n| WHERE newest >= NOW() - {2 * minutes} minutes",
        "interval": f"{minutes}m",
        "from": f"now-{_look_back(plan) // 60}m",
        "setup": INTEGRATION.format(source.package) if source else _setup(subject),
    }
    query = {"query": text, "group": plan.names}
    return Artefact(rule.id, rule.title, TARGET, profile.name, "esql", query, body, differences)


def _minutes(plan: Plan) -> int:
    """How often it runs: it reads far more than a rule over single rows."""
    return 15 if plan.timespan <= 3600 else 60


def _look_back(plan: Plan) -> int:
    return plan.timespan + _LATE + (_STATES if plan.lasting else 0)


def _setup(subject: Subject) -> str:
    tables = sorted({table for leaf in _leaves(subject) for table in leaf.meta.tables})
    needed = (
        "osquery with molehunt's pack (`backends/osquery/molehunt.conf`); Elasticsearch 8.19, 9.1."
    )
    return f"{needed}\n\nTables: {', '.join(f'`{table}`' for table in tables)}."


def _leaves(subject: Subject) -> list[Rule]:
    if isinstance(subject.rule, Rule):
        return [subject.rule]
    return [leaf for member in subject.members for leaf in _leaves(member)]
