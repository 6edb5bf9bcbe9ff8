"""How OpenSearch keeps osquery rows: as Filebeat's module spells them, below `osquery-*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model import Profile
from ..searching.documents import result_document
from ..searching.layout import Layout, Query, logged_names

# Lucene takes terms of 32,766 bytes; a UTF-16 unit is at most three in UTF-8.
LIMIT = 8191

# By it `molehunt deploy` knows what it put on a server.
MARK: Mapping[str, Any] = {"managed_by": "molehunt"}
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
    keyword = {"type": "keyword", "ignore_above": LIMIT}
    result: dict[str, Any] = {
        name: {"type": "keyword"} for name in ("name", "action", "host_identifier")
    }
    result |= {"unix_time": {"type": "long"}, "counter": {"type": "long"}}
    return {
        "_meta": dict(MARK),
        "index_patterns": [OSQUERY.index],
        "priority": 200,
        "template": {
            "mappings": {
                "dynamic_templates": [
                    {
                        "osquery_columns": {
                            "path_match": "osquery.result.columns.*",
                            "mapping": keyword,
                        }
                    },
                    {"strings": {"match_mapping_type": "string", "mapping": keyword}},
                ],
                "properties": {
                    "@timestamp": {"type": "date"},
                    "osquery": {"properties": {"result": {"properties": result}}},
                },
            }
        },
    }


LAYOUT = Layout(OSQUERY, LIMIT, named, acted, template, result_document, names_ignored=False)
