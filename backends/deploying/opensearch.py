"""What an OpenSearch holds of ours: an index template, and monitors or stored queries.

Sources: OpenSearch documentation, "Index templates", "Alerting API" and "Percolator field type".
Monitors are there only with the alerting plugin. One is named by an id of the server's, and comes
back in another spelling than it was sent in (`querydsl`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any

from .http import Server
from .plan import Body, DeployError, Item
from .querydsl import canonical

TEMPLATE = "/_index_template"
MONITORS = "/_plugins/_alerting/monitors"
MOST = 10_000  # of one search
OWNER = "managed_by"
OURS = "molehunt"
# Whether a monitor runs, whom its trigger tells, and triggers that people have added.
KEPT = frozenset(("enabled", "actions", "own_triggers"))


class OpenSearchThings:
    """Everything by a key `kind/name`: `index/…`, `monitor/<rule>`, `query/<rule>`, `template/…`.

    In this order they are made, in the reverse order removed. `owned` are the ids of rules that
    molehunt ships or has shipped. `index` is that of the stored queries, with `settings` when it is
    made. With `emptying` it is there to be removed, unless it holds what is not ours.
    """

    kept = KEPT

    def __init__(
        self,
        server: Server,
        owned: Collection[str],
        index: str,
        settings: Body,
        emptying: bool = False,
    ) -> None:
        self._server = server
        self._owned = frozenset(owned)
        self._index = index
        self._settings = settings
        self._emptying = emptying
        self._index_is_ours = False
        self._seen: dict[str, dict[str, Any]] = {}

    def alerting(self) -> bool:
        """Whether the alerting plugin is there."""
        data = self._server.ask("GET", "/_cat/plugins", query={"format": "json"}).data
        if not isinstance(data, list):
            raise DeployError("/_cat/plugins: not the answer of an OpenSearch")
        return any(one.get("component") == "opensearch-alerting" for one in data)

    def present(self) -> list[Item]:
        """Everything there of the kinds that we make, under names that could be ours."""
        found = [*self._templates(), *self._stored()]
        return [*found, *self._monitors()] if self.alerting() else found

    def create(self, key: str, body: Body) -> None:
        """Put a new one there. Never replaces what came in the meantime."""
        kind, _, name = key.partition("/")
        if kind == "template":
            self._server.ask("PUT", f"{TEMPLATE}/{name}", dict(body), {"create": "true"})
        elif kind == "index":
            self._server.ask("PUT", f"/{name}", {**body, "settings": self._settings})
            self._index_is_ours = True
        elif kind == "query":
            if not self._index_is_ours:
                raise DeployError(f"the index {self._index} is there and not molehunt's")
            self._server.ask("PUT", f"/{self._index}/_create/{name}", dict(body))
        else:
            self._server.ask("POST", MONITORS, joined(body))

    def change(self, item: Item, body: Body) -> None:
        """Replace one; of a template and an index what others have added stays."""
        kind, _, name = item.key.partition("/")
        if kind == "template":
            self._server.ask("PUT", f"{TEMPLATE}/{name}", _over(item.body, body))
        elif kind == "index":
            self._server.ask("PUT", f"/{name}/_mapping", dict(body["mappings"]))
        elif kind == "query":
            self._server.ask("PUT", f"/{self._index}/_doc/{name}", dict(body))
        else:
            # Somebody may have saved it since it was read.
            query = self._seen[item.handle]
            self._server.ask("PUT", f"{MONITORS}/{item.handle}", joined(body), query)

    def remove(self, item: Item) -> None:
        """Take one away; it may be gone already."""
        kind, _, name = item.key.partition("/")
        path = {
            "template": f"{TEMPLATE}/{name}",
            "index": f"/{name}",
            "query": f"/{self._index}/_doc/{name}",
        }.get(kind, f"{MONITORS}/{item.handle}")
        self._server.ask("DELETE", path, accept=(404,))

    def _templates(self) -> Iterator[Item]:
        path = f"{TEMPLATE}/{OURS}-*"
        data = self._server.ask("GET", path, accept=(404,)).data
        listed = data.get("index_templates", []) if isinstance(data, Mapping) else []
        for one in listed:
            body = one["index_template"]
            yield Item(f"template/{one['name']}", body, _marked(body.get("_meta")))

    def _stored(self) -> Iterator[Item]:
        reply = self._server.ask("GET", f"/{self._index}/_mapping", accept=(404,))
        if reply.status == 404:
            return
        # An alias of that name would answer with the indices behind it.
        body = reply.data.get(self._index, {"mappings": {}})
        self._index_is_ours = _marked(body["mappings"].get("_meta"))
        documents = list(self._documents()) if self._index_is_ours else []
        stays = self._emptying and not all(item.owned for item in documents)
        yield Item(f"index/{self._index}", body, self._index_is_ours and not stays)
        yield from documents

    def _documents(self) -> Iterator[Item]:
        self._server.ask("POST", f"/{self._index}/_refresh")
        found = self._search(f"/{self._index}/_search")
        for hit in found:
            body, name = hit["_source"], str(hit["_id"])
            owned = body.get(OWNER) == OURS and body.get("rule") == name
            yield Item(f"query/{name}", body, owned)

    def _monitors(self) -> Iterator[Item]:
        # Who made a copy of a monitor of ours has a monitor of his own, with another name.
        taken: dict[str, str] = {}
        for hit in sorted(self._search(f"{MONITORS}/_search"), key=lambda hit: str(hit["_id"])):
            source = hit["_source"]
            monitor = source.get("monitor", source)
            handle, name = str(hit["_id"]), str(monitor.get("name", ""))
            rule = self._rule_of(monitor)
            if not rule or taken.get(rule, name) != name:
                continue
            key = f"monitor/{rule}" if rule not in taken else f"monitor/{rule}/{handle}"
            taken[rule] = name
            self._seen[handle] = {
                f"if{name}": hit[name] for name in ("_seq_no", "_primary_term") if name in hit
            }
            yield Item(key, parted(monitor, rule), owned=True, handle=handle)

    def _rule_of(self, monitor: Mapping[str, Any]) -> str:
        name = str(monitor.get("name", ""))
        for trigger in monitor.get("triggers") or ():
            rule = str(_inside(trigger).get("id", ""))
            if rule in self._owned and name.endswith(f"[{OURS} {rule[:8]}]"):
                return rule
        return ""

    def _search(self, path: str) -> list[Any]:
        body = {
            "size": MOST,
            "query": {"match_all": {}},
            "seq_no_primary_term": True,
            "track_total_hits": True,
        }
        hits = self._server.ask("GET", path, body).data["hits"]
        total = hits["total"]
        if (total["value"] if isinstance(total, Mapping) else total) > len(hits["hits"]):
            raise DeployError(f"{path}: it holds more than {MOST} entries, which one search gives")
        return list(hits["hits"])


def wanted_things(
    monitors: Mapping[str, Body], queries: Mapping[str, Body], index: str, index_body: Body
) -> dict[str, Body]:
    """What should be there beside the template: monitors by rule, or queries with their index."""
    found: dict[str, Body] = {f"monitor/{rule}": parted(b, rule) for rule, b in monitors.items()}
    if queries:
        found[f"index/{index}"] = index_body
        found |= {f"query/{rule}": body for rule, body in queries.items()}
    return found


def parted(monitor: Mapping[str, Any], rule: str) -> dict[str, Any]:
    """A monitor with what belongs to the user at the top, and its query in one spelling."""
    body = deepcopy(dict(monitor))
    ours: list[tuple[Any, dict[str, Any]]] = []
    own: list[tuple[Any, dict[str, Any]]] = []
    for trigger in body.get("triggers") or ():
        inside = dict(_inside(trigger))
        (ours if inside.get("id") == rule else own).append((trigger, inside))
    body["actions"] = ours[0][1].pop("actions", None) or [] if ours else []
    body["triggers"] = [{"query_level_trigger": inside} for _, inside in ours]
    body["own_triggers"] = [trigger for trigger, _ in own]
    for one in body.get("inputs") or ():
        asked = one.get("search", {}).get("query")
        if isinstance(asked, dict) and isinstance(asked.get("query"), dict):
            asked["query"] = canonical(asked["query"])
    return body


def joined(body: Body) -> dict[str, Any]:
    """The monitor again, as the server takes it."""
    monitor = {name: value for name, value in body.items() if name not in KEPT or name == "enabled"}
    triggers = deepcopy(body["triggers"])
    for trigger in triggers:
        trigger["query_level_trigger"]["actions"] = body["actions"]
    return {**monitor, "triggers": [*triggers, *body["own_triggers"]]}


def _inside(trigger: Mapping[str, Any]) -> Mapping[str, Any]:
    """A trigger without the name of its kind, which older servers leave out."""
    inside = trigger.get("query_level_trigger", trigger)
    return inside if isinstance(inside, Mapping) else {}


def _marked(meta: Any) -> bool:
    return isinstance(meta, Mapping) and meta.get(OWNER) == OURS


def _over(below: Any, above: Any) -> Any:
    """The second over the first: objects are merged, all else is replaced."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        both = {name: _over(below.get(name), value) for name, value in above.items()}
        return {**below, **both}
    return above
