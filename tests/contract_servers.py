"""Servers that answer as the public API references of Kibana and Fleet say, for `molehunt deploy`.

They keep their things in memory, and can go away before or after any request is done.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Contract:
    """What a server holds and does. `fails` maps the number of a request (from 0) to `before` (it
    goes away and has done nothing), `after` (it has done it and goes away) or a status to answer
    with. `log` has method and path of each request."""

    secret = ""

    def __init__(self) -> None:
        self.fails: dict[int, str | int] = {}
        self.log: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON."""
        raise NotImplementedError

    def refuses(self, method: str, headers: Any) -> tuple[int, Any] | None:
        """What is refused before anything is looked at."""
        if headers.get("Authorization", "") != self.secret:
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "who are you?"}
        return None


class Kibana(Contract):
    """The detections API over rules by `rule_id`."""

    secret = "ApiKey c2VjcmV0"
    space = ""

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, dict[str, Any]] = {}

    def refuses(self, method: str, headers: Any) -> tuple[int, Any] | None:
        """Kibana wants `kbn-xsrf` with everything that changes something."""
        if method != "GET" and not headers.get("kbn-xsrf"):
            return 400, {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}
        return super().refuses(method, headers)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The endpoints that are used."""
        base = (f"/s/{self.space}" if self.space else "") + "/api/detection_engine/rules"
        if method == "GET" and path == f"{base}/_find":
            page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
            every = list(self.rules.values())
            shown = every[(page - 1) * size : page * size]
            return 200, {"page": page, "perPage": size, "total": len(every), "data": shown}
        if path != base:
            return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        key = query.get("rule_id", "") if method == "DELETE" else str(body.get("rule_id", ""))
        if method == "POST":
            if key in self.rules:
                return 409, {"message": f'rule_id: "{key}" already exists', "status_code": 409}
            return 200, self._put(key, body, {"id": f"so-{len(self.log)}", "revision": 0})
        if key not in self.rules:
            return 404, {"message": f'rule_id: "{key}" not found', "status_code": 404}
        if method == "PUT":
            old = self.rules[key]
            kept = {"id": old["id"], "revision": old["revision"] + 1}
            return 200, self._put(key, body, kept)
        return 200, self.rules.pop(key)

    def _put(self, key: str, body: Any, own: dict[str, Any]) -> dict[str, Any]:
        """A rule as it is kept: unspecified fields have their defaults, the server adds its own."""
        defaults = {
            "enabled": True,
            "exceptions_list": [],
            "actions": [],
            "version": 1,
            "immutable": False,
            "created_by": "somebody",
            "updated_at": "2026-01-01T00:00:00.000Z",
        }
        self.rules[key] = {**defaults, **body, **own, "rule_id": key}
        return self.rules[key]


class Fleet(Contract):
    """The queries API, with pages."""

    secret = "Bearer c2VjcmV0"

    def __init__(self) -> None:
        super().__init__()
        self.queries: dict[int, dict[str, Any]] = {}
        self.number = 0

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The endpoints that are used."""
        base = "/api/v1/fleet/queries"
        team = int(query["team_id"]) if "team_id" in query else None
        if method == "GET" and path == base:
            page, size = int(query.get("page", 0)), int(query.get("per_page", 20))
            every = [one for one in self.queries.values() if one.get("team_id") == team]
            every.sort(key=lambda one: str(one["name"]))
            more = len(every) > (page + 1) * size
            shown = every[page * size : (page + 1) * size]
            return 200, {"queries": shown, "meta": {"has_next_results": more}}
        if method == "POST" and path == base:
            same = (body["name"], body.get("team_id"))
            if any((one["name"], one.get("team_id")) == same for one in self.queries.values()):
                return 409, {"message": "Resource Already Exists", "errors": []}
            self.number += 1
            self.queries[self.number] = {"observer_can_run": False, **body, "id": self.number}
            return 200, {"query": self.queries[self.number]}
        number = int(path.rpartition("/")[2])
        if number not in self.queries:
            return 404, {"message": "Resource Not Found", "errors": []}
        if method == "PATCH" and path == f"{base}/{number}":
            self.queries[number] |= body
            return 200, {"query": self.queries[number]}
        if method == "DELETE" and path == f"{base}/id/{number}":
            del self.queries[number]
            return 200, {}
        return 405, {"message": "Method Not Allowed"}


@contextmanager
def running(contract: Contract, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The server's URL, on this machine and a free port; with a context it speaks TLS."""

    class Handler(BaseHTTPRequestHandler):
        """Hands each request to the contract."""

        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            data = self.rfile.read(length)
            parts = urlsplit(self.path)
            with contract.lock:
                number = len(contract.log)
                contract.log.append((self.command, parts.path))
                fault = contract.fails.get(number)
                if fault == "before":
                    self.close_connection = True
                    return
                query = dict(parse_qsl(parts.query))
                body = json.loads(data) if data else {}
                refused = contract.refuses(self.command, self.headers)
                if isinstance(fault, int):
                    status, answer = fault, {"message": "made to fail"}
                else:
                    status, answer = refused or contract.answer(
                        self.command, parts.path, query, body
                    )
                if fault == "after":
                    self.close_connection = True
                    return
            self._send(status, answer)

        def _send(self, status: int, answer: Any) -> None:
            sent = json.dumps(answer).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
