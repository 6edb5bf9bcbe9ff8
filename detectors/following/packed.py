"""Compressed files, read forward in pieces."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, Any, BinaryIO

from ..reading.inputs import GZIP, ZSTD


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is gzip or zstd."""
    return head[:2] == GZIP or head[:4] == ZSTD


def open_packed(path: str) -> IO[bytes]:
    """The decompressed bytes. Raises OSError."""
    stream: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed with what is returned
    if stream.peek(4)[:2] == GZIP:  # type: ignore[attr-defined]
        unpacked: Any = gzip.GzipFile(fileobj=stream)
        return unpacked  # type: ignore[no-any-return]
    import zstandard

    made: Any = zstandard.ZstdDecompressor().stream_reader(
        stream, read_across_frames=True, closefd=True
    )
    return made  # type: ignore[no-any-return]


def damages() -> tuple[type[Exception], ...]:
    """What reading damaged or unfinished data raises."""
    found: tuple[type[Exception], ...] = (EOFError, zlib.error, OSError)
    try:
        import zstandard
    except ImportError:
        return found
    return (*found, zstandard.ZstdError)


class Forward:
    """`read_at` over a compressed file: places must not go back."""

    def __init__(self, path: str) -> None:
        self._stream = open_packed(path)
        self._damages = damages()
        self._at = 0
        self._last = b""

    def __call__(self, size: int, place: int) -> bytes:
        """The bytes there, fewer at the end or where the data is damaged."""
        start = self._at - len(self._last)
        kept = self._last[place - start :] if place >= start else b""
        while self._at < place:
            piece = self._read(min(1 << 20, place - self._at))
            if not piece:
                return b""
        data = bytearray(kept)
        while len(data) < size:
            piece = self._read(size - len(data))
            if not piece:
                break
            data += piece
        self._last = bytes(data)
        return self._last[:size]

    def _read(self, size: int) -> bytes:
        try:
            piece = self._stream.read(size)
        except self._damages:
            return b""
        self._at += len(piece)
        return piece

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
