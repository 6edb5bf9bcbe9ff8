"""A followed file, and how it is told again under another name, inode or compression."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

SPAN = 1024

# What a source is: read on; read to its end; a twin of another, whose rest is not needed; or gone
# from where it stood before it was read to its end.
LIVE, DONE, COPY, GHOST = "live", "done", "copy", "ghost"

ReadAt = Callable[[int, int], bytes]


@dataclass(slots=True)
class Source:
    """One file. `offset` (bytes, decompressed) and `line` say how far it is read, and always stand
    behind a whole line. `head` and `tail` are digests of up to `SPAN` bytes at the beginning and
    before `offset`. `twin` is the id of the source that a copy was made of.
    """

    id: int
    path: str
    device: int
    inode: int
    state: str = LIVE
    packed: bool = False
    offset: int = 0
    line: int = 1
    head: str = ""
    tail: str = ""
    twin: int = 0
    skipping: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def place(self, offset: int, line: int, read_at: ReadAt) -> None:
        """Take note of how far it was read, and what stands there. Once the first `SPAN` bytes are
        known they are not read again."""
        if not self.head or self.offset < SPAN:
            self.head = digest(read_at(min(offset, SPAN), 0))
        self.tail = digest(read_at(min(offset, SPAN), max(0, offset - SPAN)))
        self.offset, self.line = offset, line

    def may_begin(self, head: bytes) -> bool:
        """Whether a file that begins so may hold what was read; `head` is `SPAN` bytes or all."""
        length = min(self.offset, SPAN)
        return len(head) < length or digest(head[:length]) == self.head

    def is_in(self, read_at: ReadAt) -> bool | None:
        """Whether a file holds what was read, at the same place; None if it begins the same but is
        too short."""
        if not self.offset:
            return True
        length = min(self.offset, SPAN)
        head = read_at(length, 0)
        if digest(head) != self.head:
            # Of a file that is still being written, what is there has no digest yet.
            return False if len(head) == length else None
        tail = read_at(length, max(0, self.offset - SPAN))
        if len(tail) < length:
            return None
        return digest(tail) == self.tail


def digest(data: bytes) -> str:
    """32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


def reader_at(stream: int) -> ReadAt:
    """Reads of a file descriptor: as many bytes, from where."""
    return lambda size, place: os.pread(stream, size, place)
