"""Parts of files, so that several processes can share the work: any split gives the same rows.

A part is a range of bytes; a line belongs to the part in which it begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from molehunt.problems import Problem

from .inputs import (
    BLOCK_BYTES,
    GLOG_HEADER,
    GZIP,
    HEAD_BYTES,
    STDIN,
    ZSTD,
    Block,
    Report,
    blocks,
    cut,
    is_lines,
    open_file,
)


class Part(NamedTuple):
    """The lines of a file that begin from byte `start` on and before `end` (None: all).

    Only a plain file of lines has parts other than the whole.
    """

    file: str
    start: int = 0
    end: int | None = None


def parts_of(file: str, size: int) -> list[Part]:
    """The file in parts of about `size` bytes.

    A compressed file, a stream, and a file whose documents are not lines are one part.
    """
    if file == STDIN or not Path(file).is_file():
        return [Part(file)]
    length = os.path.getsize(file)
    if length <= size or not _can_be_split(file):
        return [Part(file)]
    starts = range(0, length, size)
    return [Part(file, start, min(start + size, length)) for start in starts]


def finer(parts: Sequence[Part], number: int) -> list[Part]:
    """The same with the last `number` parts in two halves each, so that processes that share them
    come to their ends at about the same time."""
    split = len(parts) - min(number, len(parts))
    found = list(parts[:split])
    for part in parts[split:]:
        if part.end is None:
            found.append(part)
            continue
        middle = (part.start + part.end) // 2
        found += [part._replace(end=middle), part._replace(start=middle)]
    return found


def _can_be_split(file: str) -> bool:
    """Whether a file is plain lines. One that cannot be read is left to whoever reads it."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(HEAD_BYTES)
            if b"\n" not in head:
                head += stream.readline(BLOCK_BYTES)
    except OSError:
        return False
    return not head.startswith((GZIP, ZSTD, GLOG_HEADER)) and is_lines(file, head)


def part_blocks(part: Part, report: Report, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The blocks of a part in order. Offsets are those in the file; lines are counted from the
    first line of the part. A file that cannot be read on is reported."""
    if not part.start and part.end is None:
        yield from blocks(part.file, report, size)
        return
    try:
        with open_file(part.file) as stream:
            chunks, start = _ranged(stream, part, size)
            yield from cut(part.file, start, chunks, report)
    except OSError as error:
        report(Problem(f"cannot be read: {error.strerror or error}", part.file))


def sample(files: Sequence[str], size: int, most: int = 8) -> bytes:
    """Whole lines from the beginnings of the largest files, together about `size` bytes."""
    there = [file for file in files if file != STDIN and Path(file).is_file()]
    largest = sorted(there, key=lambda file: (-os.path.getsize(file), file))[:most]
    pieces: list[bytes] = []
    for file in largest:
        left = size // len(largest)
        for block in blocks(file, lambda _problem: None):
            if block.documents is not None:
                break
            whole = len(block.data) <= left
            pieces.append(
                block.data if whole else block.data[: block.data.rfind(b"\n", 0, left) + 1]
            )
            left -= len(block.data)
            if left <= 0:
                break
    return b"".join(pieces)


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
