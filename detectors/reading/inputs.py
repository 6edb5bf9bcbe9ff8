"""Files in, blocks of whole lines out, in bounded memory; or of documents, if those are not lines.

Plain, gzip and zstd are told apart by their first bytes, never by the name; so are lines, JSON that
goes over many lines, and CSV.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from molehunt.problems import Problem, Severity

from ..native import part_in_c
from .lines import Located
from .spread import Scanner, is_spread
from .table import Records, has_json_cells, header_of

STDIN = "-"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# About what stays in a processor's cache while it is scanned.
BLOCK_BYTES = 1 << 18
MAX_LINE_BYTES = 64 << 20
HEAD_BYTES = 64 << 10
RECORDS_PER_BLOCK = 1000
# What a log folder holds: osqueryd.results.log, …log.1, …log.2.zst, exports, and the objects that
# Amazon Data Firehose puts into S3 (stream name, version, time to the second, random string).
_LOG_NAME = re.compile(
    r"(\.(log|json|jsonl|ndjson|csv)(\.\d+)?|-\d+-\d{4}(-\d\d){5}-[0-9a-f-]+)(\.(gz|zst))?$",
    re.IGNORECASE,
)
_CSV_NAME = re.compile(r"\.csv(\.(gz|zst))?$", re.IGNORECASE)
GLOG_HEADER = b"Log file created at:"

Report = Callable[[Problem], None]


class Block(NamedTuple):
    """Whole lines of one file: `offset` of the first byte, `line` of the first line (from 1).

    Where documents are not lines, `documents` are those that end in `data`, each with its place;
    then `data` is not to be cut into lines. `ends` are the offsets in `data` at which lines end, or
    nothing where nobody has looked yet; `counted` holds how many lines there are, as soon as
    somebody knows.
    """

    file: str
    offset: int
    line: int
    data: bytes
    documents: tuple[Located, ...] | None = None
    ends: Sequence[int] = ()
    counted: list[int] | None = None

    def lines(self) -> int:
        """How many lines it holds; a last one need not end in a newline."""
        if self.counted:
            return self.counted[0]
        part = part_in_c() if self.counted is not None else None
        lines = len(self.line_ends()) if part is None else part.count_lines(self.data)
        self.know(lines)
        return lines

    def know(self, lines: int) -> None:
        """Keep how many lines it holds, as somebody has counted on the way."""
        if self.counted is not None:
            self.counted[:] = [lines]

    def line_ends(self) -> Sequence[int]:
        """The offsets at which lines end: behind each newline, and at the end of the data."""
        return self.ends or ends_of(self.data)


def ends_of(data: bytes) -> list[int]:
    """The offsets at which lines end: behind each newline, and at the end of the data."""
    # Faster than counting newlines.
    return list(accumulate(map(len, BytesIO(data))))


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
        with open_file(file) as stream:
            yield from shaped(file, _chunks(file, stream, report, size), report, size)
    except OSError as error:
        report(Problem(f"cannot be read: {error.strerror or error}", file))


def shaped(
    file: str, chunks: Iterator[bytes], report: Report, size: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of lines, or of documents if the beginning says that there are no lines.

    `chunks` are the decompressed bytes of `file`, which is a name for reports only.
    """
    head, whole = _head(chunks, size)
    chunks = chain([head], chunks)
    if is_spread(head, whole):
        yield from _documents(file, chunks)
    elif header_of(head):
        yield from _records(file, chunks, has_json_cells(head, whole))
    elif _CSV_NAME.search(file) and _lists_people(head):
        what, hint = "a list of people, not a log", "give it with --entities"
        report(Problem(what, file, severity=Severity.WARNING, hint=hint))
    elif _CSV_NAME.search(file) and head.strip() and not _is_json(head):
        what = "CSV of no known export: its header names neither a host nor a raw event"
        report(Problem(what, file, 1, hint="docs/inputs.md lists what is read"))
    else:
        yield from cut(file, 0, chunks, report)


def _lists_people(head: bytes) -> bool:
    from ..enriching.entities import is_header

    return is_header(head)


def _head(chunks: Iterator[bytes], size: int) -> tuple[bytes, bool]:
    """The beginning of a file, with a line end in it if one is near, and whether that is all."""
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= size or (len(head) >= HEAD_BYTES and b"\n" in head):
            return bytes(head), False
    return bytes(head), True


def is_lines(file: str, head: bytes) -> bool:
    """Whether a file that begins so is cut into lines, as `shaped` sees it."""
    known = is_spread(head, False) or header_of(head)
    return not known and not (_CSV_NAME.search(file) and not _is_json(head))


def _is_json(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _documents(file: str, chunks: Iterable[bytes]) -> Iterator[Block]:
    scanner, offset, line = Scanner(), 0, 1
    for chunk in chunks:
        yield Block(file, offset, line, chunk, tuple(scanner.feed(chunk)))
        offset, line = offset + len(chunk), line + chunk.count(b"\n")
    yield Block(file, offset, line, b"", tuple(scanner.finish()))


def _records(file: str, chunks: Iterable[bytes], json_cells: bool) -> Iterator[Block]:
    records = Records(chunks, json_cells)
    offset, line = 0, 1
    found: list[Located] = []
    for record in records:
        found.append(record)
        if len(found) >= RECORDS_PER_BLOCK:
            # The bytes themselves are gone; only their number matters.
            yield Block(file, offset, line, bytes(records.offset - offset), tuple(found))
            offset, line, found = records.offset, records.line, []
    yield Block(file, offset, line, bytes(records.offset - offset), tuple(found))


def size_of(files: Iterable[str]) -> int:
    """Bytes on disk of the files that have a size; for a progress bar."""
    return sum(os.path.getsize(file) for file in files if file != STDIN and Path(file).is_file())


def open_file(file: str) -> BinaryIO:
    """The bytes of a file as they lie there; `-` is standard input."""
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb") if file == STDIN else open(file, "rb")


def _chunks(file: str, stream: BinaryIO, report: Report, size: int) -> Iterator[bytes]:
    """Decompressed bytes in pieces of at most `size`."""
    head = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    reader: BinaryIO = stream
    damage: tuple[type[Exception], ...] = ()
    if head[:2] == GZIP:
        import gzip
        import zlib

        damage = (EOFError, zlib.error, gzip.BadGzipFile)
        reader = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    elif head == ZSTD:
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


def cut(file: str, offset: int, chunks: Iterator[bytes], report: Report) -> Iterator[Block]:
    """A byte stream from `offset` on, cut after newlines; a line over the limit is skipped and
    reported."""
    has_c = part_in_c() is not None
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
        # Where the part in C judges lines, nobody needs to know where they end.
        if has_c:
            block = Block(file, offset, line, data, counted=[])
        else:
            block = Block(file, offset, line, data, ends=ends_of(data))
        yield block
        offset, line, rest = offset + len(data), line + block.lines(), bytearray(chunk[end:])
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
    return chunk.startswith(GLOG_HEADER)
