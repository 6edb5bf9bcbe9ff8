"""Ask a running osqueryd over its extension socket, and tell the answers as it would log them.

osquery-python's `open` returns False where it cannot connect, errors are in the status of an
answer, and after a value that is not UTF-8 the stream is out of step: such a connection is dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from molehunt.problems import Problem, UsageError

from .compiling import pack_sources

_LONGEST_PATH = 107
_SYSTEMS = {"darwin": "darwin", "windows": "windows"}
WHO = "SELECT s.hostname, s.uuid, o.platform FROM system_info s, os_version o LIMIT 1"


@dataclass(slots=True)
class Socket:
    """A connection to osqueryd that is made anew after anything went wrong. `seconds` is how long
    one query may take. Not for several threads."""

    path: str
    seconds: float = 60.0
    _client: Any = None

    def ask(self, sql: str) -> list[dict[str, str]]:
        """The rows of one query. Raises LookupError with osquery's message, UsageError without a
        connection."""
        if self._client is None:
            self._client = self._connect()
        try:
            answer = self._client.extension_client().query(sql)
        except Exception as error:
            # Thrift raises whatever it meets; the connection cannot be trusted after any of it.
            self.close()
            raise LookupError(_words(error)) from error
        if answer.status.code != 0:
            raise LookupError(answer.status.message)
        return [dict(row) for row in answer.response]

    def _connect(self) -> Any:
        if sys.platform != "win32" and len(self.path.encode()) > _LONGEST_PATH:
            raise UsageError(f"--socket: a path of more than {_LONGEST_PATH} bytes is no socket")
        import logging

        from osquery.extension_client import ExtensionClient

        # It says by itself, and less well, that it could not connect.
        logging.getLogger("thrift").setLevel(logging.CRITICAL)
        client = ExtensionClient(path=self.path)
        if not client.open(timeout=3):
            raise UsageError(
                f"--socket: nothing answers at {self.path}; is osqueryd running with"
                " --disable_extensions=false, and may you open its socket (root)?"
            )
        inner: Any = getattr(client._transport, "_TBufferedTransport__trans", None)  # noqa: SLF001
        if hasattr(inner, "setTimeout"):
            inner.setTimeout(int(self.seconds * 1000))
        return client

    def close(self) -> None:
        """Drop the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _words(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the answer holds bytes that are not UTF-8"
    return str(error) or type(error).__name__


def system_of(row: Mapping[str, str]) -> str:
    """The pack's name for the system that `WHO` tells."""
    return _SYSTEMS.get(row.get("platform", "").lower(), "linux")


def snapshots(socket: Socket, now: float, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    """What the pack's queries for this system answer, each as a snapshot in osquery's log format.

    A query that fails (its events are off, its table is newer than this osqueryd) is told as a
    problem and left out. Raises UsageError if osqueryd cannot be reached at all.
    """
    try:
        (who,) = socket.ask(WHO)
    except (LookupError, ValueError) as error:
        raise UsageError(f"--socket: osqueryd does not say who it is: {error}") from None
    system = system_of(who)
    for name, source in pack_sources().items():
        if system not in source.systems:
            continue
        try:
            rows = socket.ask(source.sql)
        except LookupError as error:
            problems.append(Problem(f"query {name} failed: {error}", socket.path))
            continue
        yield {
            "snapshot": rows,
            "action": "snapshot",
            "name": f"pack_molehunt_{name}",
            "hostIdentifier": who.get("hostname", ""),
            "unixTime": int(now),
            "epoch": 0,
            "counter": 0,
            "numerics": False,
            "decorations": {"host_uuid": who.get("uuid", "")},
        }
