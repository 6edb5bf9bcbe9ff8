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
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 64 << 20
# What a log folder holds: osqueryd.results.log, …log.1, …log.2.zst, exports as .json or .ndjson.
_LOG_NAME = re.compile(r"\.(log|json|jsonl|ndjson)(\.\d+)?(\.(gz|zst))?$", re.IGNORECASE)
_GLOG_HEADER = b"Log file created at:"

Report = Callable[[Problem], None]


class Block(NamedTuple):
    """Whole lines of one file: `offset` of the first byte, `line` of the first line (from 1).

    `newlines` counts those in `data`, or is negative where nobody has counted yet.
    """

    file: str
    offset: int
    line: int
    data: bytes
    newlines: int = -1

    def lines(self) -> int:
        """How many lines it holds; a last one need not end in a newline."""
        newlines = self.data.count(b"\n") if self.newlines < 0 else self.newlines
        return newlines + (not self.data.endswith(b"\n"))


class Part(NamedTuple):
    """A part of a file: the lines that begin from byte `start` on and before `end` (None: all).

    Only a plain file has parts other than the whole.
    """

    file: str
    start: int = 0
    end: int | None = None


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
    return part_blocks(Part(file), report, size)


def part_blocks(part: Part, report: Report, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The blocks of a part of a file in order. Offsets are those in the file; lines are counted
    from the first line of the part."""
    file = part.file
    try:
        with _open(file) as stream:
            if part.start or part.end is not None:
                chunks, start = _ranged(stream, part, size)
            else:
                chunks, start = _chunks(file, stream, report, size), 0
            yield from _cut(file, start, chunks, report)
    except OSError as error:
        report(Problem(f"cannot be read: {error.strerror or error}", file))


def parts_of(file: str, size: int) -> list[Part]:
    """The file in parts of about `size` bytes; a compressed file or a stream is one part."""
    if file == STDIN or not Path(file).is_file():
        return [Part(file)]
    length = os.path.getsize(file)
    if length <= size or _begins_with(file, (_GZIP, _ZSTD, _GLOG_HEADER)):
        return [Part(file)]
    starts = range(0, length, size)
    return [Part(file, start, min(start + size, length)) for start in starts]


def _begins_with(file: str, beginnings: tuple[bytes, ...]) -> bool:
    """Whether a file begins with one of these. A file that cannot be read does not."""
    try:
        with open(file, "rb") as stream:
            return stream.read(max(map(len, beginnings))).startswith(beginnings)
    except OSError:
        return False


def _ranged(stream: BinaryIO, part: Part, size: int) -> tuple[Iterator[bytes], int]:
    """The bytes of the lines that begin in a part, and where the first of them begins."""
    start = part.start
    if start:
        # The line over the border belongs to the part in which it begins.
        stream.seek(start - 1)
        start -= 1
        while rest := stream.readline(size):
            start += len(rest)
            if rest.endswith(b"\n"):
                break
    return _until(stream, start, part.end, size), start


def _until(stream: BinaryIO, place: int, end: int | None, size: int) -> Iterator[bytes]:
    piece = b"\n"
    while end is None or place < end:
        piece = stream.read(size if end is None else min(size, end - place))
        if not piece:
            return
        place += len(piece)
        yield piece
    while not piece.endswith(b"\n"):
        piece = stream.readline(size)
        if not piece:
            return
        yield piece


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
    if head[:2] == _GZIP:
        reader = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    elif head == _ZSTD:
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        damage = (zstandard.ZstdError,)
    try:
        # Of a compressed file or a pipe, what is there: a damaged end does not take the good bytes
        # along, and a pipe is not waited for.
        whole = reader is stream and file != STDIN
        read = reader.read1 if hasattr(reader, "read1") and not whole else reader.read
        while piece := read(size):
            yield piece
    except damage as error:
        report(Problem(f"damaged compressed data: {error}", file, hint="what came before was read"))


def _cut(file: str, offset: int, chunks: Iterator[bytes], report: Report) -> Iterator[Block]:
    """Cut a byte stream after newlines; a line over the limit is skipped and reported."""
    line, rest, first = 1, bytearray(), offset == 0
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
        data = b"".join((rest, memoryview(chunk)[:end])) if rest or end < len(chunk) else chunk
        newlines = data.count(b"\n")
        yield Block(file, offset, line, data, newlines)
        offset, line, rest = offset + len(data), line + newlines, bytearray(chunk[end:])
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
