"""Detection rules of Kibana, by its detections API.

Source: the Elastic Security API reference (Create, Update, Find and Delete a detection rule): PUT
"replaces the original rule and deletes fields that are not specified"; a `rule_id` is unique in a
space, and creating one that is there answers 409.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .http import Server
from .plan import Body, DeployError, Item

PATH = "/api/detection_engine/rules"
PAGE = 100
_ORDER = {"sort_field": "created_at", "sort_order": "asc"}
_SERVERS = frozenset(("id", "rule_id", "version"))
# What people set in Kibana and keep: whether it runs, exceptions, what happens on an alert.
KEPT = frozenset(
    ("enabled", "exceptions_list", "actions", "throttle", "response_actions", "alert_suppression")
)


class KibanaRules:
    """The rules of one space. `owned` are the rule ids that molehunt ships or has shipped."""

    kept = KEPT

    def __init__(self, server: Server, owned: Collection[str], space: str = "") -> None:
        self._server = server
        self._owned = frozenset(owned)
        self._path = (f"/s/{space}" if space else "") + PATH

    def present(self) -> list[Item]:
        """Everything there, all pages."""
        found: dict[str, Item] = {}
        page = 1
        while True:
            query = {
                "page": page,
                "per_page": PAGE,
                "sort_field": "created_at",
                "sort_order": "asc",
            }
            data = self._server.ask("GET", f"{self._path}/_find", query=query).data
            if not isinstance(data, Mapping) or not isinstance(data.get("data"), list):
                raise DeployError(f"{self._path}/_find: not the answer of a Kibana")
            for rule in data["data"]:
                key = str(rule.get("rule_id", ""))
                # A rule of Elastic's own is never ours, whatever its id.
                owned = key in self._owned and not rule.get("immutable", False)
                found[key] = Item(key, rule, owned, str(rule.get("id", "")))
            if page * PAGE >= int(data.get("total", 0)) or not data["data"]:
                return list(found.values())
            page += 1

    def create(self, key: str, body: Body) -> None:
        """Put a new one there."""
        self._server.ask("POST", self._path, {**body, "rule_id": key})

    def change(self, item: Item, body: Body) -> None:
        """Replace one."""
        self._server.ask("PUT", self._path, {**body, "rule_id": item.key})

    def remove(self, item: Item) -> None:
        """Take one away; it may be gone already."""
        self._server.ask("DELETE", self._path, query={"rule_id": item.key}, accept=(404,))


def kibana_server(url: str, secret: str, ca: str = "") -> Server:
    """A Kibana. It wants `kbn-xsrf` with every change, and the version of the public API."""
    headers = {"kbn-xsrf": "molehunt", "elastic-api-version": "2023-10-31"}
    return Server(url, secret, ca, headers)


def wanted_rules(bodies: Mapping[str, Any]) -> dict[str, Body]:
    """What should be there by rule id: the rules as compiled, without what the server sets."""
    return {
        key: {
            name: value for name, value in body.items() if name not in ("id", "version", "rule_id")
        }
        for key, body in bodies.items()
    }
