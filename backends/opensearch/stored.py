"""Compiled queries as documents of a percolator index, for an OpenSearch without alerting.

A percolator index says which stored queries a row matches; each document's `query` can also be run
as a search. Source: OpenSearch documentation, "Percolator field type": fields that queries use must
be mapped there as where the rows are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from molehunt.rule import Rule

from ..model import Artefact, Bound, Subject
from ..searching.prose import version
from .layouts import OSQUERY, template
from .signins import SIGN_INS
from .templates import KEYWORD, MARK

INDEX = "molehunt-queries"


def index_body(subjects: Iterable[Subject]) -> dict[str, Any]:
    """Mappings and settings for the queries of these rules."""
    mappings = template()["template"]["mappings"]
    properties: dict[str, Any] = {
        name: {"type": "keyword"} for name in ("managed_by", "rule", "title", "level", "version")
    }
    properties["query"] = {"type": "percolator"}
    _merge(properties, mappings["properties"])
    for name in sorted(_columns(subjects)):
        _put(properties, name, KEYWORD)
    for log in SIGN_INS.values():
        _merge(properties, log.properties)
    return {
        "mappings": {
            "_meta": MARK,
            # A row may have columns that no query asks for; nothing is learned from rows here.
            "dynamic": "false",
            "properties": properties,
        }
    }


SETTINGS: Mapping[str, Any] = {
    "index": {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "mapping.total_fields.limit": 10_000,
    }
}


def stored_query(artefact: Artefact, rule: Rule) -> dict[str, Any]:
    """The document of a rule."""
    return {
        **MARK,
        "rule": rule.id,
        "title": rule.title,
        "level": str(rule.level),
        "version": str(version(rule)),
        "query": artefact.query,
    }


def _columns(subjects: Iterable[Subject]) -> set[str]:
    found = set()
    for subject in subjects:
        for bound in filter(_of_osquery, subject.bounds):
            found |= {OSQUERY.column.format(column) for column, _ in bound.fields.where}
            for place in bound.fields.places.values():
                if place.kind == "column":
                    found.add(OSQUERY.column.format(place.name))
                elif place.kind == "decoration":
                    found.add(OSQUERY.decoration.format(place.name))
    return found


def _of_osquery(bound: Bound) -> bool:
    return bool(bound.queries)


def _put(properties: dict[str, Any], dotted: str, mapping: Mapping[str, Any]) -> None:
    *outer, last = dotted.split(".")
    for name in outer:
        properties = properties.setdefault(name, {}).setdefault("properties", {})
    properties[last] = dict(mapping)


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value
