"""A rule that compares two fields of a sign-in, as a rule of the type `esql`.

Query DSL compares no fields, ES|QL does. All else that the rule asks is its query DSL as text in
one `QSTR`. A query that does not aggregate makes one alert of each event, by its `_id`
(<https://www.elastic.co/docs/solutions/security/detect-and-alert/create-detection-rule>).
"""

from __future__ import annotations

from molehunt.rule import Rule

from ..model import Artefact, Compiled, Refusal, Subject, Unsayable
from ..searching.dsl import KEYWORD_LIMIT
from ..searching.layout import Layout
from ..searching.signins import Compared, kept_in, signin_query
from .esql import LETTER_CASE
from .esqltext import holds, qstr
from .kibana import event_body
from .querystring import querystring

FIELD_REFERENCE = "field_reference"
"""A code of reviewed.yml."""


def comparing(subject: Subject, layout: Layout, refused: Refusal) -> Compiled:
    """The rule in ES|QL; what was refused, if it reads osquery's rows."""
    rule = subject.rule
    assert isinstance(rule, Rule)
    source = kept_in(subject, layout)
    if source is None:
        return refused
    compared: list[Compared] = []
    try:
        query, differences = signin_query(subject, layout, source, compared)
    except Unsayable as why:
        return Refusal(rule.id, rule.title, refused.target, refused.profile, why.code, why.reason)
    text = "\n".join(
        [
            f"FROM {source.index} METADATA _id, _index, _version",
            f"| WHERE {qstr(querystring(query))}",
            f"| WHERE {holds(compared)}",
        ]
    )
    body = event_body(rule, source, text)
    return Artefact(
        rule.id, rule.title, refused.target, refused.profile, "esql",
        {"query": text}, body, tuple(sorted({*differences, LETTER_CASE, KEYWORD_LIMIT})),
    )  # fmt: skip
