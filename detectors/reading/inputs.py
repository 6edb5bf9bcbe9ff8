"""Files in, blocks of whole lines out, in bounded memory.

Plain, gzip and zstd are told apart by their first bytes, never by the name.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from molehunt.problems import Problem, Severity

STDIN = "-"
BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 64 << 20
# What a log folder holds: osqueryd.results.log, …log.1, …log.2.zst, exports as .json or .ndjson.
_LOG_NAME = re.compile(r"\.(log|json|jsonl|ndjson)(\.\d+)?(\.(gz|zst))?$", re.IGNORECASE)
_GLOG_HEADER = b"Log file created at:"

Report = Callable[[Problem], None]


class Block(NamedTuple):
    """Whole lines of one file: `offset` of the first byte, `line` of the first line (from 1)."""

    file: str
    offset: int
    line: int
    data: bytes


def expand(paths: Iterable[str], report: Report) -> list[str]:
    """The files that `paths` (files, folders, `-`) stand for, sorted within each folder, once each.

    A path that does not exist and a folder without logs are reported.
    """
    found: dict[str, str] = {}
    for path in paths:
        if path == STDIN:
            found.setdefault(STDIN, STDIN)
        elif os.path.isdir(path):
            logs = sorted(_logs_below(path))
            if not logs:
                report(Problem("no log files in this folder", path, hint="name the files"))
            for log in logs:
                found.setdefault(os.path.realpath(log), log)
        elif os.path.exists(path):
            found.setdefault(os.path.realpath(path), path)
        else:
            report(Problem("no such file or folder", path))
    return list(found.values())


def _logs_below(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if _LOG_NAME.search(name) and not name.startswith("."):
                yield os.path.join(place, name)


def blocks(file: str, report: Report, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The blocks of one file in order. A file that cannot be read on is reported; what was read
    before stands."""
    try:
        with _open(file) as stream:
            yield from _cut(file, _chunks(file, stream, report, size), report)
    except OSError as error:
        report(Problem(f"cannot be read: {error.strerror or error}", file))


def size_of(files: Iterable[str]) -> int:
    """Bytes on disk of the files that have a size; for a progress bar."""
    return sum(os.path.getsize(file) for file in files if file != STDIN and Path(file).is_file())


def _open(file: str) -> BinaryIO:
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb") if file == STDIN else open(file, "rb")


def _chunks(file: str, stream: BinaryIO, report: Report, size: int) -> Iterator[bytes]:
    """Decompressed bytes in pieces of at most `size`."""
    head = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    reader: BinaryIO = stream
    damage: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
    if head[:2] == b"\x1f\x8b":
        reader = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    elif head == b"\x28\xb5\x2f\xfd":
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        damage = (zstandard.ZstdError,)
    try:
        # read1 hands over what it has, so that a damaged end does not take the good bytes along.
        read = reader.read1 if hasattr(reader, "read1") else reader.read
        while piece := read(size):
            yield piece
    except damage as error:
        report(Problem(f"damaged compressed data: {error}", file, hint="what came before was read"))


def _cut(file: str, chunks: Iterator[bytes], report: Report) -> Iterator[Block]:
    """Cut a byte stream after newlines; a line over the limit is skipped and reported."""
    offset, line, rest, first = 0, 1, bytearray(), True
    for chunk in chunks:
        if first and _is_status_log(chunk):
            report(
                Problem(
                    "a status log of osqueryd, not results",
                    file,
                    severity=Severity.WARNING,
                    hint="nothing to hunt in it",
                )
            )
            return
        first = False
        end = chunk.rfind(b"\n") + 1
        if not end:
            rest += chunk
            if len(rest) > MAX_LINE_BYTES:
                offset, line, rest = _skip(file, chunks, offset, line, len(rest), report)
            continue
        data = bytes(rest) + chunk[:end]
        yield Block(file, offset, line, data)
        offset, line, rest = offset + len(data), line + data.count(b"\n"), bytearray(chunk[end:])
    if rest:
        yield Block(file, offset, line, bytes(rest))


def _skip(
    file: str, chunks: Iterator[bytes], offset: int, line: int, seen: int, report: Report
) -> tuple[int, int, bytearray]:
    """Read past the end of an endless line: the new offset and line, and what follows."""
    report(Problem(f"a line longer than {MAX_LINE_BYTES >> 20} MiB was skipped", file, line))
    for chunk in chunks:
        end = chunk.find(b"\n") + 1
        if end:
            return offset + seen + end, line + 1, bytearray(chunk[end:])
        seen += len(chunk)
    return offset + seen, line, bytearray()


def _is_status_log(chunk: bytes) -> bool:
    return chunk.startswith(_GLOG_HEADER)
