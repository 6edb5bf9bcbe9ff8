"""An OpenSearch as its public documentation says it answers, for `molehunt deploy -t opensearch`.

Sources: OpenSearch documentation, "Create or update an index template", "Alerting API" and "Index
document". How a query comes back was seen on OpenSearch 3.6 (`test_a_query_comes_back_so` sees it
again).
"""

from __future__ import annotations

from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

from contract_servers import Contract

ALERTING = "/_plugins/_alerting/monitors"
_NUMBERS = {"NONE": 0, "INTERSECTION": 1}


class OpenSearch(Contract):
    """Index templates, one index with documents, and with `alerting` monitors."""

    secret = "Basic dTpw"

    def __init__(self, alerting: bool) -> None:
        super().__init__()
        self.alerting = alerting
        self.templates: dict[str, Any] = {}
        self.indices: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.monitors: dict[str, dict[str, Any]] = {}
        self.saved: dict[str, int] = {}
        self.number = 0

    def state(self) -> dict[str, Any]:
        """Everything there, apart from ids that the server gives."""
        return deepcopy(
            {
                "templates": self.templates,
                "indices": self.indices,
                "documents": self.documents,
                "monitors": {one["name"]: one for one in self.monitors.values()},
            }
        )

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The endpoints that are used."""
        if path == "/_cat/plugins":
            return 200, [{"name": "n", "component": "opensearch-alerting"}] * self.alerting
        if path.startswith("/_index_template/"):
            return self._template(method, path.rpartition("/")[2], query, body)
        if path.startswith(ALERTING):
            if not self.alerting:
                return 400, {"error": f"no handler found for uri [{path}] and method [{method}]"}
            return self._monitor(method, path.removeprefix(ALERTING).strip("/"), query, body)
        _, index, *rest = path.split("/")
        if not rest:
            return self._index(method, index, body)
        if index not in self.indices:
            return 404, {"error": {"type": "index_not_found_exception"}, "status": 404}
        return self._in_index(method, index, rest, body)

    def _template(
        self, method: str, name: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if method == "GET":
            found = [key for key in sorted(self.templates) if fnmatchcase(key, name)]
            listed = [{"name": key, "index_template": self.templates[key]} for key in found]
            return 200, {"index_templates": listed}
        if method == "DELETE":
            known = self.templates.pop(name, None) is not None
            return (200, {"acknowledged": True}) if known else (404, {"error": "missing"})
        if name in self.templates and query.get("create") == "true":
            return 400, {"error": {"reason": f"index template [{name}] already exists"}}
        self.templates[name] = {"composed_of": [], **body}
        return 200, {"acknowledged": True}

    def _monitor(self, method: str, name: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if name == "_search":
            hits = [
                {"_id": key, "_seq_no": self.saved[key], "_primary_term": 1, "_source": one}
                for key, one in self.monitors.items()
            ]
            return 200, {"hits": {"total": {"value": len(hits)}, "hits": hits[: body["size"]]}}
        if method == "POST":
            self.number += 1
            return 201, self._save(f"m{self.number}", body)
        if name not in self.monitors:
            return 404, {"error": {"reason": "Monitor not found."}}
        if method == "DELETE":
            self.monitors.pop(name)
            return 200, {"_id": name}
        if int(query.get("if_seq_no", self.saved[name])) != self.saved[name]:
            return 409, {"error": {"type": "version_conflict_engine_exception"}}
        return 200, self._save(name, body)

    def _save(self, name: str, body: Any) -> Any:
        one = deepcopy(body)
        for trigger in one["triggers"]:
            trigger["query_level_trigger"].setdefault("id", f"t{self.number}")
        asked = one["inputs"][0]["search"]["query"]
        asked["query"] = said_back(asked["query"])
        self.monitors[name] = one | {"schema_version": 8, "enabled_time": 1, "user": {}}
        self.saved[name] = self.saved.get(name, 0) + 1
        return {"_id": name, "monitor": self.monitors[name]}

    def _index(self, method: str, index: str, body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            if self.indices.pop(index, None) is None:
                return 404, {"error": {"type": "index_not_found_exception"}}
            self.documents.clear()
            return 200, {"acknowledged": True}
        if index in self.indices:
            return 400, {"error": {"type": "resource_already_exists_exception"}}
        self.indices[index] = {"mappings": deepcopy(body["mappings"])}
        return 200, {"acknowledged": True}

    def _in_index(self, method: str, index: str, rest: list[str], body: Any) -> tuple[int, Any]:
        if rest == ["_mapping"]:
            if method == "GET":
                return 200, {index: self.indices[index]}
            _merge(self.indices[index]["mappings"], body)
            return 200, {"acknowledged": True}
        if rest == ["_refresh"]:
            return 200, {}
        if rest == ["_search"]:
            hits = [{"_id": key, "_source": one} for key, one in self.documents.items()]
            return 200, {"hits": {"total": {"value": len(hits)}, "hits": hits[: body["size"]]}}
        kind, name = rest
        if method == "DELETE":
            known = self.documents.pop(name, None) is not None
            return (200, {}) if known else (404, {"result": "not_found"})
        if kind == "_create" and name in self.documents:
            return 409, {"error": {"type": "version_conflict_engine_exception"}}
        self.documents[name] = body
        return 201, {"_id": name}


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def said_back(query: Any) -> Any:
    """A query as the server writes it after reading."""
    ((kind, inside),) = query.items()
    boost = {"boost": 1.0}
    if kind == "bool":
        made: dict[str, Any] = {}
        for name, value in inside.items():
            if name == "minimum_should_match":
                made[name] = str(value)
            else:
                made[name] = [said_back(one) for one in value]
        return {"bool": made | {"adjust_pure_negative": True} | boost}
    if kind in ("terms", "exists", "match_all"):
        return {kind: inside | boost}
    ((field, wanted),) = inside.items()
    wanted = dict(wanted) if isinstance(wanted, dict) else {"value": wanted}
    if kind == "wildcard":
        wanted["wildcard"] = wanted.pop("value")
    if kind == "regexp":
        wanted["flags_value"] = _NUMBERS[wanted.pop("flags")]
    if kind == "range":
        wanted = {"from": wanted.pop("gte"), "to": wanted.pop("lte"), **wanted}
        wanted |= {"include_lower": True, "include_upper": True}
    return {kind: {field: wanted | boost}}
