"""How OpenSearch keeps osquery rows: as Filebeat's module spells them, below `osquery-*`; and
sign-ins as `signins.py` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model import Profile
from ..searching.documents import result_document
from ..searching.layout import Layout, Query, logged_names
from .signins import SIGN_INS, signin_template
from .templates import KEYWORD, LIMIT, index_template

TEMPLATE = "molehunt-osquery"

OSQUERY = Profile(
    name="osquery",
    index="osquery-*",
    column="osquery.result.columns.{}",
    query="osquery.result.name",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}", "molehunt_{}"),
    action="osquery.result.action",
    host="osquery.result.host_identifier",
    counter="osquery.result.counter",
    time="@timestamp",
    decoration="osquery.result.decorations.{}",
)


def named(names: Sequence[str]) -> Query:
    """Rows of the pack's queries with these names."""
    return {"terms": {OSQUERY.query: logged_names(OSQUERY, names)}}


def acted(action: str) -> Query:
    """Rows with an action."""
    return {"term": {OSQUERY.action: action}}


def template() -> Mapping[str, Any]:
    """The index template that `molehunt compile -t opensearch` writes: columns as keywords."""
    result: dict[str, Any] = {
        name: {"type": "keyword"} for name in ("name", "action", "host_identifier")
    }
    result |= {"unix_time": {"type": "long"}, "counter": {"type": "long"}}
    properties = {
        "@timestamp": {"type": "date"},
        "osquery": {"properties": {"result": {"properties": result}}},
    }
    columns = {"path_match": "osquery.result.columns.*", "mapping": KEYWORD}
    strings = {"match_mapping_type": "string", "mapping": KEYWORD}
    return index_template(
        OSQUERY.index, ({"osquery_columns": columns}, {"strings": strings}), properties
    )


def templates() -> dict[str, Mapping[str, Any]]:
    """All index templates by their names on a server."""
    logs = {f"molehunt-{one.package}": signin_template(one) for one in SIGN_INS.values()}
    return {TEMPLATE: template(), **logs}


LAYOUT = Layout(
    OSQUERY,
    LIMIT,
    named,
    acted,
    template,
    result_document,
    names_ignored=False,
    signins=SIGN_INS,
)
