"""Standard input, followed until it ends."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from molehunt.problems import Problem

from ..reading.inputs import MAX_LINE_BYTES, STDIN, Block, Report


class Stream:
    """Whole lines of a descriptor as they come."""

    def __init__(self, stream: int, report: Report) -> None:
        self._stream = stream
        self._report = report
        self._rest = b""
        self._offset, self._line = 0, 1
        self.ended = False

    def poll(self) -> Iterator[Block]:
        """What has come."""
        while not self.ended and select.select([self._stream], [], [], 0)[0]:
            data = os.read(self._stream, 1 << 20)
            self.ended = not data
            self._rest += data
            end = self._rest.rfind(b"\n") + 1 if data else len(self._rest)
            if end:
                yield self._block(end)
            elif len(self._rest) > MAX_LINE_BYTES:
                what = f"a line longer than {MAX_LINE_BYTES >> 20} MiB was cut"
                self._report(Problem(what, STDIN, self._line))
                self._offset, self._rest = self._offset + len(self._rest), b""

    def last(self) -> Iterator[Block]:
        """A last line without newline."""
        if self._rest:
            yield self._block(len(self._rest))

    def _block(self, end: int) -> Block:
        block = Block(STDIN, self._offset, self._line, self._rest[:end])
        self._offset, self._line = self._offset + end, self._line + block.lines()
        self._rest = self._rest[end:]
        return block
