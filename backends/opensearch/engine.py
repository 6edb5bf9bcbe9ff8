"""A real OpenSearch, asked over its REST API."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from ..searching.engines import Server
from ..searching.server import Distribution
from ..searching.session import ServerError

_URL = "MOLEHUNT_OPENSEARCH_URL"
DISTRIBUTION = Distribution(
    name="opensearch",
    group="org.opensearch.distribution.integ-test-zip",
    artifact="opensearch",
    version="3.6.0",
    sha256="a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
    program="opensearch",
    heap="2g",
    java=21,
    java_variable="OPENSEARCH_JAVA_HOME",
    modules=frozenset(
        "transport-netty4 analysis-common lang-painless mapper-extras percolator reindex "
        "parent-join rule-framework".split()
    ),
)


class _Sender:
    """JSON over HTTP. A user and password in the address are sent as such."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        self._address = urllib.parse.urlunsplit(
            (parts.scheme, host, parts.path.rstrip("/"), "", "")
        )
        self._headers = {"Accept": "application/json"}
        if parts.username:
            who = f"{urllib.parse.unquote(parts.username)}:" + urllib.parse.unquote(
                parts.password or ""
            )
            token = base64.b64encode(who.encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"

    def __call__(self, method: str, path: str, lines: Sequence[Any]) -> Any:
        """Send lines of JSON (one: a plain body); gives the answer. Raises `ServerError`."""
        kind = "application/json" if len(lines) == 1 else "application/x-ndjson"
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        body = (text + "\n").encode("utf-8", "surrogatepass") if lines else None
        request = urllib.request.Request(  # noqa: S310 - the user's own address
            self._address + path,
            data=body,
            method=method,
            headers=self._headers | ({"Content-Type": kind} if lines else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read().decode("utf-8", "replace")[:500]
            raise ServerError(f"{method} {path}: {error.code} {told}") from None
        except urllib.error.URLError as error:
            raise ServerError(f"{method} {path}: {error.reason}") from None


SERVER = Server(_URL, DISTRIBUTION, _Sender)
