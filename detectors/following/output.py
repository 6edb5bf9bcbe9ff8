"""Where events go: a file, exactly once whatever happens, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from molehunt.problems import Problem, Severity, UsageError

from .state import State


class Output:
    """Sends what the state's outbox holds. A file is first cut back to the length that the state
    knows, so that what was written after the last commit before a kill is written once.

    A file that was rotated away is created anew. Raises UsageError if it cannot be opened.
    """

    def __init__(self, path: str | None, state: State, report: Callable[[Problem], None]) -> None:
        self._path = path
        self._state = state
        self._report = report
        self._stream: int | None = None
        if path is not None:
            try:
                self._open(path, again=state.resumed)
            except OSError as error:
                raise UsageError(f"--output: {path}: {error.strerror}") from None

    def _open(self, path: str, again: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT
        self._stream = os.open(path, flags if again else flags | os.O_TRUNC, 0o644)
        status = os.fstat(self._stream)
        length = 0
        if again:
            length = self._state.get("output_length", 0)
            same = self._state.get("output_inode") == f"{status.st_dev}:{status.st_ino}"
            if not same or status.st_size < length:
                if status.st_size or length:
                    what = "is not as it was left; going on at its end"
                    self._report(Problem(what, path, severity=Severity.WARNING))
                length = status.st_size
            os.ftruncate(self._stream, length)
        os.lseek(self._stream, length, os.SEEK_SET)
        self._know(length)

    def _know(self, length: int) -> None:
        assert self._stream is not None
        status = os.fstat(self._stream)
        self._state.put("output_inode", f"{status.st_dev}:{status.st_ino}")
        self._state.put("output_length", length)
        self._state.commit()

    def send(self) -> None:
        """Write what is in the outbox, which must be committed, and empty it."""
        rows = self._state.db.execute("SELECT text FROM outbox ORDER BY sequence").fetchall()
        if not rows:
            return
        texts = [text for (text,) in rows]
        if self._stream is None:
            _print(texts)
        else:
            self._write("".join(texts).encode())
        self._state.db.execute("DELETE FROM outbox")
        self._state.commit()

    def _write(self, data: bytes) -> None:
        assert self._stream is not None
        assert self._path is not None
        here = os.fstat(self._stream)
        try:
            there = os.stat(self._path)
            rotated = (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)
        except FileNotFoundError:
            rotated = True
        if rotated:
            os.close(self._stream)
            self._open(self._path, again=False)
        elif here.st_size < self._state.get("output_length", 0):
            # Emptied by somebody: a hole of zeros would be in its place.
            os.lseek(self._stream, here.st_size, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._stream, rest) :]
        os.fsync(self._stream)
        self._state.put("output_length", os.lseek(self._stream, 0, os.SEEK_CUR))

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            with suppress(OSError):
                os.close(self._stream)


def _print(texts: Iterable[str]) -> None:
    for text in texts:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()
