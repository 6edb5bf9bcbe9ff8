"""VictoriaLogs itself: a server of its own for the proof, if the program `victoria-logs` is there.

It is looked for on PATH, or where MOLEHUNT_VICTORIALOGS says; with Go, it is made (Apache-2.0) by
`go install github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.1`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .rows import row

_PLACE = "molehunt_place"
_SECONDS = 60
_LONGEST = 1 << 20  # bytes of a query; the server's own limit is 16 kB
_MOMENT = "2026-01-01T00:00:00Z"
_TOGETHER = 2000  # rows in a request


def missing() -> str:
    """What is needed, or ""."""
    if _program():
        return ""
    return "there is no victoria-logs on PATH or at MOLEHUNT_VICTORIALOGS"


def _program() -> str:
    return shutil.which(os.environ.get("MOLEHUNT_VICTORIALOGS") or "victoria-logs") or ""


class Session:
    """An empty server."""

    def __init__(self, address: str, profile: Profile) -> None:
        self._address, self._profile = address, profile

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out, under one time."""
        lines = [
            json.dumps({_PLACE: str(place), "_time": _MOMENT, **row(record, self._profile)})
            for place, record in enumerate(records)
            if record.binding.how != "source"
        ]
        stream = urlencode({"_stream_fields": self._profile.query})
        for start in range(0, len(lines), _TOGETHER):
            body = "\n".join(lines[start : start + _TOGETHER]).encode()
            self._post(f"/insert/jsonline?{stream}", body, "application/stream+json")
        self._post("/internal/force_flush", b"", "")

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What any of the queries of each finds."""
        for one in artefacts:
            try:
                found = {place for query in one.query for place in self._run(query)}
            except HTTPError as error:
                yield Answer(one.rule, error=error.read().decode(errors="replace")[:300])
            else:
                yield Answer(one.rule, frozenset(found))

    def _run(self, query: str) -> list[int]:
        body = urlencode({"query": f"{query} | fields {_PLACE}"}).encode()
        kind = "application/x-www-form-urlencoded"
        answer = self._post("/select/logsql/query", body, kind)
        return [int(json.loads(line)[_PLACE]) for line in answer.splitlines()]

    def _post(self, path: str, body: bytes, kind: str) -> bytes:
        request = Request(self._address + path, body, {"Content-Type": kind})  # noqa: S310
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())


@contextmanager
def _open(profile: Profile) -> Iterator[Session]:
    with socket.socket() as free, TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        command = [
            _program(),
            f"-httpListenAddr={place}",
            f"-storageDataPath={folder}",
            f"-search.maxQueryLen={_LONGEST}",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=256MiB",
        ]
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(f"http://{place}", process)
            yield Session(f"http://{place}", profile)
        finally:
            process.terminate()
            process.wait(_SECONDS)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until the server answers. Raises RuntimeError if it does not."""
    end = monotonic() + _SECONDS
    while process.poll() is None and monotonic() < end:
        try:
            with urlopen(f"{address}/health", timeout=_SECONDS):  # noqa: S310
                return
        except URLError:
            sleep(0.05)
    raise RuntimeError("victoria-logs did not start")


VICTORIALOGS = Engine("victorialogs", Evidence.ENGINE, missing, _open, optional=True)
