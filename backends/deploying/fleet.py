"""Scheduled queries of Fleet, by its REST API.

Source: Fleet's REST API reference, "Queries": names are unique in a team; `logging` is `snapshot`,
`differential` or `differential_ignore_removals`; `interval` 0 schedules nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .http import Server
from .plan import Body, DeployError, Item

PATH = "/api/v1/fleet/queries"
PAGE = 100
MARK = " (deployed by molehunt)"
# Whether results are sent on, and who may run or see it, is the user's.
KEPT = frozenset(("automations_enabled", "observer_can_run", "labels_include_any", "discard_data"))


class FleetQueries:
    """The queries of all hosts, or of one team. Ours carry `MARK` at the end of the description."""

    kept = KEPT

    def __init__(self, server: Server, team: int | None = None) -> None:
        self._server = server
        self._team = team

    def present(self) -> list[Item]:
        """Everything there, all pages."""
        found: list[Item] = []
        page = 0
        while True:
            query: dict[str, Any] = {"page": page, "per_page": PAGE, "order_key": "name"}
            if self._team is not None:
                query["team_id"] = self._team
            data = self._server.ask("GET", PATH, query=query).data
            if not isinstance(data, Mapping) or "queries" not in data:
                raise DeployError(f"{PATH}: not the answer of a Fleet server")
            listed = data["queries"] or []
            for one in listed:
                owned = str(one.get("description", "")).endswith(MARK)
                found.append(Item(str(one["name"]), one, owned, str(one["id"])))
            # A server that knows no pages gives all at once.
            more = (data.get("meta") or {}).get("has_next_results", False)
            if not more:
                return found
            page += 1

    def create(self, key: str, body: Body) -> None:
        """Put a new one there."""
        team = {} if self._team is None else {"team_id": self._team}
        self._server.ask("POST", PATH, {**body, **team, "name": key})

    def change(self, item: Item, body: Body) -> None:
        """Replace one."""
        self._server.ask("PATCH", f"{PATH}/{item.handle}", dict(body))

    def remove(self, item: Item) -> None:
        """Take one away; it may be gone already."""
        self._server.ask("DELETE", f"{PATH}/id/{item.handle}", accept=(404,))


def wanted_queries(pack: Mapping[str, Any], name: str) -> dict[str, Body]:
    """What should be there by name: the queries of an osquery pack of that name.

    Fleet logs them as `pack/Global/<pack>_<query>` or `pack/team-<id>/<pack>_<query>`.
    """
    return {f"{name}_{query}": _body(entry) for query, entry in pack["queries"].items()}


def _body(entry: Mapping[str, Any]) -> Body:
    if entry.get("snapshot"):
        logging = "snapshot"
    elif entry.get("removed", True):
        logging = "differential"
    else:
        logging = "differential_ignore_removals"
    return {
        "query": entry["query"].removesuffix(";"),
        "description": entry.get("description", "") + MARK,
        "interval": int(entry["interval"]),
        "platform": entry.get("platform", ""),
        "min_osquery_version": entry.get("version", ""),
        "logging": logging,
        "automations_enabled": True,
    }
