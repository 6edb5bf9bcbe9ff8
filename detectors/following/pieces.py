"""What is new in one source, plain or compressed, as blocks of whole lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from molehunt.problems import Problem

from ..reading.inputs import MAX_LINE_BYTES, Block, Report
from .beginning import BLOCK
from .packed import Forward
from .source import SPAN, Source, digest, reader_at

# Reads so many bytes at an offset.
ReadAt = Callable[[int, int], bytes]


class Read(NamedTuple):
    """Lines of a source. When they are taken in, `place` moves the source behind them."""

    source: Source
    block: Block
    place: Callable[[], None]


def lines(source: Source, read_at: ReadAt, changed: set[int], report: Report) -> Iterator[Read]:
    """The whole lines that are new. `changed` gets the number of a source that moved on; a line
    that is too long is reported and skipped."""
    size = BLOCK
    while True:
        data = read_at(size, source.offset)
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) < size:
                return
            if size >= MAX_LINE_BYTES:
                if not source.skipping:
                    what = f"a line longer than {MAX_LINE_BYTES >> 20} MiB was skipped"
                    report(Problem(what, source.path, source.line))
                source.skipping = True
                source.place(source.offset + len(data), source.line, read_at)
                changed.add(source.id)
                size = BLOCK
            else:
                size *= 4
            continue
        begin = data.find(b"\n") + 1 if source.skipping else 0
        source.skipping = False
        offset, line = source.offset + begin, source.line + bool(begin)
        data = data[begin:end]
        newlines = data.count(b"\n")
        block = Block(source.path, offset, line, data)
        yield _piece(source, block, (offset + len(data), line + newlines), read_at, changed)
        if end + begin < size and len(data) < BLOCK // 2:
            return
        size = BLOCK


def _piece(
    source: Source, block: Block, end: tuple[int, int], read_at: ReadAt, changed: set[int]
) -> Read:
    def place() -> None:
        source.place(*end, read_at)
        changed.add(source.id)

    return Read(source, block, place)


def rest(source: Source, stream: int, changed: set[int]) -> Iterator[Read]:
    """The last line, though it has no newline."""
    read_at = reader_at(stream)
    data = read_at(MAX_LINE_BYTES, source.offset)
    if data and not source.skipping:
        block = Block(source.path, source.offset, source.line, data)
        end = (source.offset + len(data), source.line + 1)
        yield _piece(source, block, end, read_at, changed)


def unpacked(source: Source, changed: set[int]) -> Iterator[Read]:
    """All that a compressed file holds behind what is known of it. OSError if it is not there."""
    with closing(Forward(source.path)) as stream:
        stream(0, source.offset)
        left = b""
        at = source.offset
        while True:
            data = stream(BLOCK, at)
            at += len(data)
            left += data
            end = left.rfind(b"\n") + 1 if data else len(left)
            if end:
                block = Block(source.path, source.offset, source.line, left[:end])
                yield _packed_piece(source, block, changed)
                left = left[end:]
            if not data:
                break


def _packed_piece(source: Source, block: Block, changed: set[int]) -> Read:
    def place() -> None:
        whole = block.data
        before = source.offset
        source.line += block.lines()
        source.offset += len(whole)
        if not before:
            source.head = digest(whole[:SPAN])
        source.tail = digest(whole[-SPAN:])
        if len(whole) < SPAN and before:
            # Too little to tell by; a compressed file does not grow anyway.
            source.tail = ""
        changed.add(source.id)

    return Read(source, block, place)
