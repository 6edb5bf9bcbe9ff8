"""From a subject to an artefact of either target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from molehunt.correlation import Correlation
from molehunt.rule import Rule

from ..model import Artefact, Compiled, Refusal, Subject, Unsayable
from .dsl import query_of
from .layout import Layout
from .signins import kept_in, signin_query

Body = Callable[[Rule, Layout, Mapping[str, Any]], Mapping[str, Any]]


def compiled(subject: Subject, layout: Layout, target: str, body: Body) -> Compiled:
    """The query of a rule with what the product imports, or why there is none."""
    rule, profile = subject.rule, layout.profile.name
    if isinstance(rule, Correlation):
        code, reason = correlation(rule)
        return Refusal(rule.id, rule.title, target, profile, code, reason)
    try:
        source = kept_in(subject, layout)
        if source is None:
            query, differences = query_of(subject, layout)
        else:
            query, differences = signin_query(subject, layout, source)
            layout = replace(layout, profile=replace(layout.profile, index=source.index))
    except Unsayable as refused:
        return Refusal(rule.id, rule.title, target, profile, refused.code, refused.reason)
    made = body(rule, layout, query)
    return Artefact(
        rule.id, rule.title, target, profile, "query_dsl", query, dict(made), differences
    )


def correlation(rule: Correlation) -> tuple[str, str]:
    """Why a correlation is not compiled to a search: a code and a reason."""
    if rule.ordered:
        return "sequence", "an order of rows over sliding windows is not in a search"
    if rule.type == "temporal":
        return "temporal", "rows of several rules in one sliding window are not in a search"
    return "states", "rows that last and sliding windows are not in a search of moments"
