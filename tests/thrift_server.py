"""An osquery extension manager over a real Thrift socket, with SQLite behind it."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from osquery.extensions import ExtensionManager
from osquery.extensions.ttypes import ExtensionResponse, ExtensionStatus
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

from molehunt.backends.osquery.emulator import create_tables
from molehunt.backends.osquery.functions import add_functions
from molehunt.schema import tables


class Handler(ExtensionManager.Iface):  # type: ignore[misc]
    """Answers queries from a database with every table of one system."""

    def __init__(self, system: str) -> None:
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.lock = threading.Lock()
        self.asked: list[str] = []
        add_functions(self.database)
        create_tables(
            self.database, [one.name for one in tables().values() if system in one.platforms]
        )

    def query(self, sql: str) -> Any:
        """Rows as text, NULL as "", errors in the status."""
        with self.lock:
            self.asked.append(sql)
            try:
                found = self.database.execute(sql)
                names = [one[0] for one in found.description]
                rows = [
                    {n: v if isinstance(v, bytes) else "" if v is None else str(v)
                     for n, v in zip(names, row, strict=True)}
                    for row in found
                ]  # fmt: skip
            except sqlite3.Error as error:
                return ExtensionResponse(ExtensionStatus(1, str(error), 0), [])
        return ExtensionResponse(ExtensionStatus(0, "OK", 0), rows)


@contextmanager
def serving(handler: Handler) -> Iterator[str]:
    """The path of a socket that is served as long as the block runs."""
    # Unix socket paths are short; pytest's are not.
    with TemporaryDirectory(dir="/tmp") as folder:
        path = str(Path(folder, "osquery.em"))
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(path)
        listening.listen()
        threading.Thread(target=_accept, args=(listening, handler), daemon=True).start()
        try:
            yield path
        finally:
            listening.close()


def _accept(listening: socket.socket, handler: Handler) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, handler), daemon=True).start()


def _serve(connection: socket.socket, handler: Handler) -> None:
    one = TSocket.TSocket()
    one.setHandle(connection)
    protocol = _Raw(TTransport.TBufferedTransport(one))
    processor = ExtensionManager.Processor(handler)
    try:
        while True:
            processor.process(protocol, protocol)
    except (TTransport.TTransportException, OSError):
        connection.close()


class _Raw(TBinaryProtocol.TBinaryProtocol):  # type: ignore[misc]
    """Sends bytes as they are, as osquery does with odd file names."""

    def writeString(self, text: str | bytes) -> None:  # noqa: N802
        if isinstance(text, bytes):
            self.writeBinary(text)
        else:
            super().writeString(text)
