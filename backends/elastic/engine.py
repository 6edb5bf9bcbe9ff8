"""A real Elasticsearch, asked through the official client.

Elasticsearch (Elastic License 2.0) is fetched and run for the proof only; none of it ships.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ..searching.engines import Server
from ..searching.server import Distribution
from ..searching.session import ServerError
from .modules import ESQL

_URL = "MOLEHUNT_ELASTICSEARCH_URL"
DISTRIBUTION = Distribution(
    name="elasticsearch",
    group="org.elasticsearch.distribution.integ-test-zip",
    artifact="elasticsearch",
    version="8.19.21",
    sha256="215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a",
    program="elasticsearch",
    heap="2g",
    java=17,
    java_variable="ES_JAVA_HOME",
    settings=("xpack.security.enabled: false", "xpack.license.self_generated.type: basic"),
    added=ESQL,
)


# Servers of 8 and of 9 both take what speaks to 8; a client of 9 would say 9 by itself.
_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_LINES = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"


class _Sender:
    """Requests through the official client, which adds what a server wants of its callers."""

    def __init__(self, address: str) -> None:
        from elasticsearch import Elasticsearch

        key = os.environ.get("MOLEHUNT_ELASTICSEARCH_API_KEY")
        self._client = Elasticsearch(address, api_key=key, request_timeout=900)

    def __call__(self, method: str, path: str, lines: Sequence[Any]) -> Any:
        from elasticsearch import ApiError, TransportError

        headers = {"accept": _JSON}
        body: Any = None
        if len(lines) == 1:
            headers["content-type"], body = _JSON, lines[0]
        elif lines:
            headers["content-type"] = _LINES
            body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(
                "utf-8", "surrogatepass"
            )
        try:
            return self._client.perform_request(method, path, headers=headers, body=body).body
        except (ApiError, TransportError) as error:
            raise ServerError(f"{method} {path}: {error}") from None


SERVER = Server(_URL, DISTRIBUTION, _Sender)
