"""VictoriaLogs itself: a server of its own for the proof, or the user's.

MOLEHUNT_VICTORIALOGS names the program `victoria-logs`, or the address of a server, which keeps the
rows under a tenant of its own. Else the program is looked for in the cache (fetching.py) and on
PATH.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .fetching import VICTORIALOGS as PROGRAM
from .rows import PLACE, row

_NAMED = "MOLEHUNT_VICTORIALOGS"
_SECONDS = 60
_LONGEST = 1 << 20  # bytes of a query; the server's own limit is 16 kB
_TOGETHER = 2000  # rows in a request


def missing() -> str:
    """What is needed, or ""."""
    named = os.environ.get(_NAMED, "")
    if _is_address(named) or _program(named):
        return ""
    if named:
        return f"a program at {_NAMED}, which says {named}"
    return f"{PROGRAM.called}, which `make stores` gets; or a server's address in {_NAMED}"


def _is_address(named: str) -> bool:
    return named.startswith(("http://", "https://"))


def _program(named: str) -> str:
    if named:
        return shutil.which(named) or ""
    return shutil.which(PROGRAM.program) or shutil.which("victoria-logs") or ""


class Session:
    """A tenant of a server that nobody else has."""

    def __init__(self, address: str, profile: Profile) -> None:
        self._address, self._profile = address.rstrip("/"), profile
        self._tenant: dict[str, str] = {}

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out, under one time."""
        # https://docs.victoriametrics.com/victorialogs/#multitenancy
        numbers = (str(1 + secrets.randbelow(2**32 - 1)) for _ in range(2))
        self._tenant = dict(zip(("AccountID", "ProjectID"), numbers, strict=True))
        # Now: a server of the user's drops what is old.
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = [
            json.dumps({PLACE: str(place), "_time": moment, **row(record, self._profile)})
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
        body = urlencode({"query": f"{query} | fields {PLACE}"}).encode()
        kind = "application/x-www-form-urlencoded"
        answer = self._post("/select/logsql/query", body, kind)
        return [int(json.loads(line)[PLACE]) for line in answer.splitlines()]

    def _post(self, path: str, body: bytes, kind: str) -> bytes:
        request = Request(  # noqa: S310
            self._address + path, body, {"Content-Type": kind, **self._tenant}
        )
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())


@contextmanager
def _open(profile: Profile) -> Iterator[Session]:
    named = os.environ.get(_NAMED, "")
    if _is_address(named):
        yield Session(named, profile)
        return
    with socket.socket() as free, TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        command = [
            _program(named),
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


VICTORIALOGS = Engine("victorialogs", Evidence.ENGINE, missing, _open)
