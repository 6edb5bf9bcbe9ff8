"""Plain osquery result lines as other programs store and export them: bytes of whole files.

Each builder follows the contract that its docstring names; the values are those of the lines given.
`LOSSLESS` formats must give the same rows as the plain log, apart from where they stand.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
Build = Callable[[list[Document]], bytes]


def dump(value: Any) -> str:
    """Compact JSON, not only ASCII, as most programs write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(values: Iterable[Any]) -> bytes:
    """One JSON value a line."""
    return "".join(dump(value) + "\n" for value in values).encode()


def iso(stamp: Any) -> str:
    """A time as Elasticsearch and Splunk write it."""
    return datetime.fromtimestamp(float(stamp), UTC).isoformat(timespec="milliseconds")


def filebeat(plain: Document, **more: Any) -> Document:
    """elastic/beats filebeat/module/osquery/result: the line below `osquery.result`, renamed."""
    names = {
        "hostIdentifier": "host_identifier",
        "unixTime": "unix_time",
        "calendarTime": "calendar_time",
    }
    result = {names.get(key, key): value for key, value in plain.items()}
    return {
        "@timestamp": iso(plain["unixTime"]),
        "agent": {"type": "filebeat", "version": "8.15.0"},
        "event": {"dataset": "osquery.result", "module": "osquery", "kind": "event"},
        "host": {"hostname": plain["hostIdentifier"], "name": "beats-01"},
        "osquery": {"result": result},
        "rule": {"name": plain["name"]},
        "service": {"type": "osquery"},
    } | more


def integration(plain: Document) -> Document:
    """elastic/integrations packages/osquery: no empty columns, times as text."""
    small = dict(plain)
    for key in ("columns", "decorations"):
        if key in plain:
            small[key] = {name: value for name, value in plain[key].items() if value != ""}
    document = filebeat(small)
    for key in ("unix_time", "epoch", "counter"):
        document["osquery"]["result"][key] = str(document["osquery"]["result"][key])
    return document | {"data_stream": {"dataset": "osquery.result", "type": "logs"}}


def preserved(plain: Document) -> Document:
    """The integration with the tag `preserve_original_event`: the line in `event.original`."""
    document = integration(plain)
    document["event"]["original"] = dump(plain)
    return document


def hit(source: Document, **more: Any) -> Document:
    """A hit of Elasticsearch's search API; also a line of elasticdump."""
    return {"_index": "filebeat-8", "_id": "x", "_score": None, "_source": source} | more


def response(sources: Iterable[Document]) -> Document:
    """The body of a search response."""
    hits = [hit(source) for source in sources]
    total = {"value": len(hits), "relation": "eq"}
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    return {
        "took": 3,
        "timed_out": False,
        "_shards": shards,
        "hits": {"total": total, "max_score": None, "hits": hits},
    }


def fields(source: Document) -> Document:
    """A hit of a search with `fields: ["*"]`, `_source: false`: dotted names, lists of values."""
    found: dict[str, list[Any]] = {}
    _flatten("", source, found)
    return {"_index": "filebeat-8", "_id": "x", "_score": None, "fields": found}


def _flatten(prefix: str, value: Any, found: dict[str, list[Any]]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}" if prefix else key, item, found)
    elif isinstance(value, list):
        for item in value:
            _flatten(prefix, item, found)
    else:
        found.setdefault(prefix, []).append(value)


def bulk(sources: Iterable[Document]) -> bytes:
    """The body of a bulk request: an action line before each document."""
    return lines(
        item for source in sources for item in ({"create": {"_index": "filebeat-8"}}, source)
    )


def rows(plain: Document) -> Iterator[tuple[str, Document]]:
    """Action and columns of each row of a line, in order."""
    if "columns" in plain:
        yield plain.get("action", "added"), plain["columns"]
    for row in plain.get("snapshot", ()):
        yield "snapshot", row
    for side, changed in plain.get("diffResults", {}).items():
        for row in changed:
            yield side, row


def manager(plain: Document) -> Iterator[Document]:
    """elastic/beats osquerybeat `hitToEvent`: a document for each row, no decorations."""
    for action, columns in rows(plain):
        kind = {"type": "snapshot"} if action == "snapshot" else {"type": "diff", "action": action}
        yield {
            "@timestamp": iso(plain["unixTime"] + 7),
            "action_id": plain["name"],
            "agent": {"id": "a-1", "name": plain["hostIdentifier"], "type": "osquerybeat"},
            "data_stream": {"dataset": "osquery_manager.result", "type": "logs"},
            "event": {"module": "osquery_manager"},
            "host": {"hostname": plain["hostIdentifier"], "name": plain["hostIdentifier"]},
            "osquery": columns,
            "osquery_meta": kind
            | {
                "unix_time": plain["unixTime"],
                "epoch": plain.get("epoch", 0),
                "counter": plain.get("counter", 0),
            },
            "type": "osquerybeat",
        }


def splunk_result(plain: Document) -> Document:
    """Fields of an event of sourcetype osquery:results as Splunk exports them."""
    return {
        "_raw": dump(plain),
        "_time": iso(plain["unixTime"]),
        "host": "forwarder-01",
        "name": plain["name"],
        "source": "/var/log/osquery/osqueryd.results.log",
        "sourcetype": "osquery:results",
    }


def splunk_web(documents: list[Document]) -> bytes:
    """Splunk Web and `output_mode=json` of the export endpoint: a line for each result."""
    return lines(
        {"preview": False, "offset": number, "result": splunk_result(plain)}
        for number, plain in enumerate(documents)
    )


def splunk_results(documents: list[Document]) -> bytes:
    """`output_mode=json` of the results endpoint: one document."""
    whole = {
        "preview": False,
        "init_offset": 0,
        "messages": [],
        "fields": [{"name": "_raw"}, {"name": "_time"}],
        "results": [splunk_result(plain) for plain in documents],
        "highlighted": {},
    }
    return dump(whole).encode()


def splunk_rows(documents: list[Document]) -> bytes:
    """`output_mode=json_rows`."""
    whole = {
        "preview": False,
        "fields": ["_raw", "_time"],
        "rows": [[dump(plain), iso(plain["unixTime"])] for plain in documents],
    }
    return dump(whole).encode()


def table(names: list[str], records: Iterable[list[str]]) -> bytes:
    """CSV with every cell quoted."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([names, *records])
    return stream.getvalue().encode()


def splunk_csv(documents: list[Document]) -> bytes:
    """A CSV export of events."""
    results = [splunk_result(plain) for plain in documents]
    return table(list(splunk_result(documents[0])), (list(r.values()) for r in results))


def tls(documents: list[Document], size: int = 7) -> Iterator[Document]:
    """osquery's tls logger: a body for each request, up to some lines in it."""
    for start in range(0, len(documents), size):
        data = documents[start : start + size]
        yield {"data": data, "log_type": "result", "node_key": "nk-1"}


def fleet_webhook(documents: list[Document]) -> bytes:
    """fleetdm/fleet server/logging/webhook.go: an array of timestamp and details."""
    stamped = [{"timestamp": "2026-11-23T10:22:01Z", "details": plain} for plain in documents]
    return dump(stamped).encode()


def glued(documents: list[Document]) -> bytes:
    """An S3 object of Kinesis records, which carry no newline."""
    return "".join(map(dump, documents)).encode()


def pretty(value: Any) -> bytes:
    """JSON over many lines."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def loki(documents: list[Document]) -> list[Any]:
    """Streams with values, each the nanoseconds as text and the line."""
    values = [["1794820920000000000", dump(plain)] for plain in documents]
    return [{"stream": {"job": "osquery"}, "values": values[at : at + 9]}
            for at in range(0, len(values), 9)]  # fmt: skip


def _cloudwatch(documents: list[Document]) -> list[Any]:
    return [{"id": "3", "timestamp": 1, "message": dump(plain)} for plain in documents]


COLLECTED: dict[str, Build] = {
    "cloudwatch": lambda d: lines([{"messageType": "DATA_MESSAGE", "logEvents": _cloudwatch(d)}]),
    "cloudwatch-filter": lambda d: pretty({"events": _cloudwatch(d), "searchedLogStreams": []}),
    "gcp-json": lambda d: lines({"insertId": "a", "jsonPayload": plain} for plain in d),
    "gcp-text": lambda d: dump([{"insertId": "a", "textPayload": dump(x)} for x in d]).encode(),
    "datadog": lambda d: lines(
        {"id": "A", "type": "log", "attributes": {"service": "osquery", "message": dump(plain)}}
        for plain in d
    ),
    "datadog-search": lambda d: pretty(
        {"data": [{"type": "log", "attributes": {"message": dump(x)}} for x in d], "meta": {}}
    ),
    "datadog-parsed": lambda d: lines(
        {"id": "A", "type": "log", "attributes": {"message": "x", "attributes": plain}}
        for plain in d
    ),
    "datadog-archive": lambda d: lines({"_id": "A", "attributes": plain} for plain in d),
    "datadog-older": lambda d: lines({"id": "A", "content": {"message": dump(x)}} for x in d),
    "loki": lambda d: lines([{"streams": loki(d)}]),
    "loki-query": lambda d: pretty(
        {"status": "success", "data": {"resultType": "streams", "result": loki(d)}}
    ),
    "logcli": lambda d: lines({"labels": {"job": "o"}, "line": dump(x)} for x in d),
    "kafka": lambda d: lines({"topic": "osquery", "offset": 1, "value": plain} for plain in d),
    "kcat": lambda d: lines({"topic": "osquery", "payload": dump(plain)} for plain in d),
    "gelf": lambda d: lines({"version": "1.1", "short_message": dump(plain)} for plain in d),
    "gelf-full": lambda d: lines({"short_message": "x", "full_message": dump(x)} for x in d),
    "nxlog": lambda d: lines({"SourceName": "o", "Message": dump(plain)} for plain in d),
    "log-analytics": lambda d: lines({"Type": "o_CL", "RawData": dump(plain)} for plain in d),
    "logscale": lambda d: lines({"@rawstring": dump(plain), "#type": "x"} for plain in d),
}

LOSSLESS: dict[str, Build] = COLLECTED | {
    "filebeat": lambda d: lines(map(filebeat, d)),
    "filebeat-hits": lambda d: lines(hit(filebeat(plain)) for plain in d),
    "filebeat-bulk": lambda d: bulk(map(filebeat, d)),
    "filebeat-response": lambda d: dump(response(map(filebeat, d))).encode(),
    "filebeat-response-pretty": lambda d: pretty(response(map(filebeat, d))),
    "kibana-inspect": lambda d: pretty({"rawResponse": response(map(filebeat, d))}),
    "multi-search": lambda d: lines([{"took": 1, "responses": [response(map(filebeat, d))]}]),
    "integration-preserved": lambda d: lines(hit(preserved(plain)) for plain in d),
    "splunk-web": splunk_web,
    "splunk-results": splunk_results,
    "splunk-rows": splunk_rows,
    "splunk-csv": splunk_csv,
    "splunk-hec": lambda d: lines({"time": 1, "sourcetype": "fleet:json", "event": x} for x in d),
    "tls": lambda d: lines(tls(d)),
    "tls-text": lambda d: lines(body | {"data": dump(body["data"])} for body in tls(d)),
    "tls-capture": lambda d: lines({"path": "/log", "body": body} for body in tls(d)),
    "tls-pretty": lambda d: b"\n".join(map(pretty, tls(d))),
    "fleet-webhook": fleet_webhook,
    "glued": glued,
    "array": lambda d: dump(d).encode(),
    "array-lines": lambda d: ("[\n" + ",\n".join(map(dump, d)) + "\n]\n").encode(),
    "array-pretty": pretty,
    "pretty": lambda d: b"\n".join(map(pretty, d)),
    "message": lambda d: lines({"@timestamp": "x", "message": dump(plain)} for plain in d),
    "fluent-bit": lambda d: lines({"log": dump(plain) + "\n", "stream": "stdout"} for plain in d),
    "journald": lambda d: lines({"MESSAGE": "@cee:" + dump(plain)} for plain in d),
    "twice": lambda d: lines(hit({"message": dump(splunk_result(plain))}) for plain in d),
}


def fleet_csv(name: str, answers: list[tuple[str, list[Document]]], old: bool = False) -> bytes:
    """fleetdm/fleet frontend/utilities/convert_to_csv: the host comes first, a missing
    column is `undefined`, a number with a leading zero is a formula.

    Old versions wrote each cell as a JSON string, newer ones follow RFC 4180. `answers` are pairs
    of host and rows.
    """
    columns = sorted({column for _, found in answers for row in found for column in row})
    records = [
        [host, *(str(row[c]) if c in row else "undefined" for c in columns)]
        for host, found in answers
        for row in found
    ]
    if not old:
        guarded = ([re.sub(r"\A(0\d+)\Z", r'="\1"', cell) for cell in row] for row in records)
        return table(["host_display_name", *columns], guarded)
    cells = [["host_display_name", *columns], *records]
    return "\n".join(
        ",".join("" if c == "undefined" else json.dumps(c, ensure_ascii=False) for c in row)
        for row in cells
    ).encode()


def fleet_report(answers: list[tuple[str, list[Document]]], fetched: str) -> Document:
    """fleetdm/fleet REST API, query report."""
    results = [
        {"host_id": number, "host_name": host, "last_fetched": fetched, "columns": row}
        for number, (host, found) in enumerate(answers, 1)
        for row in found
    ]
    return {"query_id": 31, "results": results, "report_clipped": False}


def fleetctl(answers: list[tuple[str, list[Document]]]) -> bytes:
    """cmd/fleetctl/query_output.go: a line for each host."""
    return lines(
        {"host": host, "rows": [{"host_hostname": host} | row for row in found]}
        for host, found in answers
    )
