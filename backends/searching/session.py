"""Load records into a search server and ask it all compiled queries, in few requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias
from uuid import uuid4

from molehunt.detectors.records import Record
from molehunt.detectors.values import fold

from ..model import Answer, Artefact
from .layout import Layout

# Method, path, and lines of JSON (one: a plain body); gives the answer. Raises `ServerError`.
Send: TypeAlias = Callable[[str, str, Sequence[Any]], Any]

_BULK, _SEARCHES, _HITS = 2_000, 64, 10_000
# A server reads a query of a correlation in one thread.
_AT_ONCE = 2
# The language of artefacts that answer with groups.
ESQL = "esql"


class ServerError(Exception):
    """What the server said instead of an answer."""


@dataclass(slots=True)
class SearchSession:
    """One index on one server, with the store's own template. The server may have others' too."""

    send: Send
    layout: Layout
    count: int = 0
    index: str = field(default_factory=lambda: f"molehunt-proof-{uuid4().hex}")

    def remove(self) -> None:
        """Take the index away."""
        self.send("DELETE", f"/{self.index}?ignore_unavailable=true", ())

    def load(self, records: Sequence[Record]) -> None:
        """Index all rows that the store keeps; the place of a record is the document's id."""
        self.remove()
        template: Mapping[str, Any] = self.layout.template()["template"]
        limits: dict[str, Any] = {
            "number_of_shards": 1,
            "number_of_replicas": 0,
            "refresh_interval": "-1",
        }
        # As Elastic's integrations have it: there are more columns than the default allows.
        limits |= {"mapping.total_fields.limit": 10_000}
        mappings = {**template["mappings"], "properties": self.layout.properties()}
        body = {"settings": {"index": limits}, "mappings": mappings}
        self.send("PUT", f"/{self.index}", (body,))
        lines = (
            line
            for place, record in enumerate(records)
            if (document := self.layout.kept(record)) is not None
            for line in ({"index": {"_id": str(place)}}, document)
        )
        while part := list(islice(lines, 2 * _BULK)):
            answer = self.send("POST", f"/{self.index}/_bulk", part)
            if answer["errors"]:
                broken = [i["index"] for i in answer["items"] if "error" in i["index"]]
                raise ServerError(f"{len(broken)} rows were refused: {json.dumps(broken[0])}")
        self.send("POST", f"/{self.index}/_refresh", ())
        self.count = len(records)

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Run each query for the ids, or of a correlation the groups, that it finds."""
        asked = list(artefacts)
        searches = (one for one in asked if one.language != ESQL)
        answers = iter(self._searched(searches))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            grouped = pool.map(self._grouped, [o for o in asked if o.language == ESQL])
            for one in asked:
                yield next(grouped if one.language == ESQL else answers)

    def _grouped(self, artefact: Artefact) -> Answer:
        """Run the ES|QL of a correlation, or of a rule, on this index instead of the store's."""
        _, _, rest = artefact.query["query"].partition(" METADATA ")
        group = artefact.query.get("group")
        rest += "" if group else "\n| KEEP _id"
        body = {"query": f"FROM {self.index} METADATA {rest}\n| LIMIT {_HITS}"}
        try:
            told = self.send("POST", "/_query", (body,))
        except ServerError as error:
            return Answer(artefact.rule, error=str(error)[:500])
        names = [column["name"] for column in told["columns"]]
        if not group:
            return Answer(artefact.rule, frozenset(int(row[0]) for row in told["values"]))
        places = [names.index(name) for name in group]
        rows = ([fold(str(row[place])) for place in places] for row in told["values"])
        return Answer(artefact.rule, groups=frozenset(map(tuple, rows)))

    def _searched(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        waiting = iter(artefacts)
        while part := list(islice(waiting, _SEARCHES)):
            lines: list[Any] = []
            for one in part:
                search = {"query": one.query, "_source": False, "size": _HITS}
                lines += [{"index": self.index}, search]
            answers = self.send("POST", "/_msearch", lines)["responses"]
            for one, answer in zip(part, answers, strict=True):
                yield _answer(one, answer)


def _answer(artefact: Artefact, answer: Mapping[str, Any]) -> Answer:
    if "error" in answer:
        return Answer(artefact.rule, error=json.dumps(answer["error"])[:500])
    hits = answer["hits"]
    if hits["total"]["value"] != len(hits["hits"]) or answer["timed_out"]:
        return Answer(artefact.rule, error=f"more than {_HITS} rows found, or no time to find all")
    return Answer(artefact.rule, frozenset(int(hit["_id"]) for hit in hits["hits"]))
