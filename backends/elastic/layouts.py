"""How Elastic's own integrations keep osquery rows.

Field names and types as in elastic/integrations packages/osquery_manager/data_stream/result/fields
and elastic/beats filebeat/module/osquery/result (docs/inputs.md has what the readers know of both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from molehunt.detectors.records import Record
from molehunt.schema import tables

from ..model import Profile
from ..searching.documents import as_texts, iso, result_document, strings_as_keyword
from ..searching.layout import Layout, Query, logged_names
from .signins import SIGN_INS

# When it happened, and when Elasticsearch took it in (an ingest pipeline of every integration).
_TIMES: dict[str, Any] = {
    "@timestamp": {"type": "date"},
    "event": {"properties": {"ingested": {"type": "date"}}},
}
# What every keyword of Elastic's integrations has.
LIMIT = 1024
PACK = "molehunt"

OSQUERY_MANAGER = Profile(
    name="osquery_manager",
    index="logs-osquery_manager.result-*",
    column="osquery.{}",
    query="action_id",
    names=("pack_molehunt_{}",),
    action="osquery_meta.action",
    host="host.hostname",
    counter="osquery_meta.counter",
    time="@timestamp",
)
FILEBEAT = Profile(
    name="filebeat",
    index="filebeat-*,logs-osquery.result-*",
    column="osquery.result.columns.{}",
    query="osquery.result.name",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}", "molehunt_{}"),
    action="osquery.result.action",
    host="osquery.result.host_identifier",
    counter="osquery.result.counter",
    time="@timestamp",
    decoration="osquery.result.decorations.{}",
)


def _manager_named(names: Sequence[str]) -> Query:
    """Older agents have the name in `action_id`, newer ones in two fields (osquerybeat,
    `Publisher.Publish`)."""
    whole = logged_names(OSQUERY_MANAGER, names)
    pair = [{"term": {"pack_name": PACK}}, {"terms": {"query_name": sorted(names)}}]
    older = {"terms": {"action_id": whole}}
    return {"bool": {"should": [older, {"bool": {"filter": pair}}], "minimum_should_match": 1}}


def _manager_acted(action: str) -> Query:
    """Snapshots have a type and no action (osquerybeat, `queryResultMeta`)."""
    name = "osquery_meta.type" if action == "snapshot" else "osquery_meta.action"
    return {"term": {name: action}}


def _manager_template() -> Mapping[str, Any]:
    keyword = {"type": "keyword", "ignore_above": LIMIT}
    found: dict[str, Any] = {}
    for table in tables().values():
        for name, column in table.columns.items():
            number = column.type in ("integer", "bigint", "unsigned_bigint")
            other = (
                {"number": {"type": "long", "ignore_malformed": True}}
                if number
                else {"text": {"type": "text", "norms": False}}
            )
            found[name] = keyword | {"fields": found.get(name, {}).get("fields", {}) | other}
    return {
        "index_patterns": [OSQUERY_MANAGER.index],
        "template": {
            "mappings": {
                "dynamic_templates": [strings_as_keyword(LIMIT)],
                "properties": _TIMES
                | {
                    "action_id": {"type": "keyword"},
                    "host": {"properties": {"hostname": keyword}},
                    "schedule_id": {"type": "keyword"},
                    "osquery": {"properties": dict(sorted(found.items()))},
                },
            }
        },
    }


def _manager_document(record: Record) -> Mapping[str, Any]:
    is_diff = record.action in ("added", "removed")
    meta: dict[str, Any] = {"type": "diff" if is_diff else "snapshot", "counter": record.counter}
    if is_diff:
        meta["action"] = record.action
    return {
        "@timestamp": iso(record),
        "action_id": record.query,
        "event": {"module": "osquery_manager", "ingested": iso(record)},
        "host": {"hostname": record.host},
        "osquery": as_texts(record.values),
        "osquery_meta": meta,
    }


def _filebeat_named(names: Sequence[str]) -> Query:
    return {"terms": {FILEBEAT.query: logged_names(FILEBEAT, names)}}


def _filebeat_acted(action: str) -> Query:
    return {"term": {FILEBEAT.action: action}}


def _filebeat_template() -> Mapping[str, Any]:
    keyword = {"type": "keyword", "ignore_above": LIMIT}
    result = dict.fromkeys(("name", "action", "host_identifier", "calendar_time"), keyword)
    return {
        "index_patterns": ["filebeat-*"],
        "template": {
            "mappings": {
                "dynamic_templates": [strings_as_keyword(LIMIT)],
                "properties": _TIMES
                | {
                    "osquery": {
                        "properties": {
                            "result": {"properties": result | {"unix_time": {"type": "long"}}}
                        }
                    }
                },
            }
        },
    }


def _filebeat_document(record: Record) -> Mapping[str, Any]:
    return result_document(record) | {"event": {"ingested": iso(record)}}


LAYOUTS = (
    Layout(
        OSQUERY_MANAGER,
        LIMIT,
        _manager_named,
        _manager_acted,
        _manager_template,
        _manager_document,
        signins=SIGN_INS,
    ),
    Layout(
        FILEBEAT,
        LIMIT,
        _filebeat_named,
        _filebeat_acted,
        _filebeat_template,
        _filebeat_document,
        signins=SIGN_INS,
        dynamic=True,
    ),
)
