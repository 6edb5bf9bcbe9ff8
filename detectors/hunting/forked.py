"""Processes forked from this one, which hunt through the parts that they are given.

Standard pools do the same and take as long to import as 100,000 lines take to judge.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import select
import signal
import zlib
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from ..reading.parts import Part
from .work import Hunter, Outcome

_SIZE = 8
_READ_BYTES = 1 << 20


def packed(outcomes: Iterable[Outcome]) -> list[bytes]:
    """Outcomes that wait for an earlier one take a tenth of the memory so, since their events hold
    rows."""
    return [zlib.compress(pickle.dumps(outcome), 1) for outcome in outcomes]


class Given:
    """A part that a process was given."""

    def __init__(self, part: Part, child: _Child | None) -> None:
        self.part = part
        self._child = child
        self.pieces: list[bytes] | None = None
        self.over = child is None

    def done(self) -> bool:
        """Whether `pieces` are all there, or nothing will come."""
        if self._child is not None:
            self._child.look(0)
        return self.over

    def result(self) -> list[bytes] | None:
        """Its outcomes, packed. None: there was no process for it, or it was told to begin nothing
        more, or is gone."""
        while self._child is not None and not self.over:
            self._child.look(None)
        return self.pieces


class _Child:
    """A process, the pipe that leads to it and the one that comes from it."""

    def __init__(self, hunter: Hunter, stop: mmap.mmap, before: Iterable[_Child]) -> None:
        tasks, self._tasks = os.pipe()
        self._results, results = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            # Nothing of the parent may run here: no handlers, no buffers, no tests.
            with suppress(BaseException):
                # Ctrl-C goes to the whole group; the parent decides when to stop.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                # Else the others would not see that the parent has closed its ends.
                for other in (self, *before):
                    other.close()
                _work(hunter, stop, tasks, results)
            os._exit(0)
        os.close(tasks)
        os.close(results)
        os.set_blocking(self._results, False)
        self._buffer = bytearray()
        self.waiting: deque[Given] = deque()
        self.gone = False

    def give(self, part: Part) -> Given:
        """Have it hunted when what was given before is done, unless the process is `gone`."""
        given = Given(part, self)
        try:
            os.write(self._tasks, _framed(pickle.dumps(part)))
        except BrokenPipeError:
            self.gone = given.over = True
        else:
            self.waiting.append(given)
        return given

    def look(self, wait: float | None) -> None:
        """Take in what it has written, waiting so many seconds for something (None: as long as it
        takes)."""
        while self.waiting and select.select([self._results], [], [], wait)[0]:
            piece = os.read(self._results, _READ_BYTES)
            if not piece:
                self.gone = True
                while self.waiting:
                    self.waiting.popleft().over = True
                return
            self._buffer += piece
            while (frame := _taken(self._buffer)) is not None:
                given = self.waiting.popleft()
                # From a process of our own.
                given.pieces, given.over = pickle.loads(frame), True  # noqa: S301
                wait = 0

    def close(self) -> None:
        """No more is given or taken."""
        os.close(self._tasks)
        os.close(self._results)

    def end(self) -> None:
        """Wait for its end; what it is at is not wanted any more."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class Forked:
    """So many processes that have inherited a hunter, until the context is left."""

    def __init__(self, number: int, hunter: Hunter) -> None:
        # The collector writes into all that it looks at: pages that are shared would be copied.
        gc.freeze()
        self._stop = mmap.mmap(-1, 1)
        self._children: list[_Child] = []
        # Where no more processes may be had, those that there are do.
        with suppress(OSError):
            for _ in range(number):
                self._children.append(_Child(hunter, self._stop, self._children))

    def __enter__(self) -> Self:
        return self

    def give(self, part: Part) -> Given:
        """Have a part hunted by the process that has the least to do, of those that live."""
        while living := [child for child in self._children if not child.gone]:
            for child in living:
                child.look(0)
            given = min(living, key=lambda child: len(child.waiting)).give(part)
            if not given.over:
                return given
        return Given(part, None)

    def stop(self) -> None:
        """Let nothing more begin; what is under way is finished."""
        self._stop[0] = 1

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.close()
        for child in self._children:
            child.end()
        gc.unfreeze()


def _work(hunter: Hunter, stop: mmap.mmap, tasks: int, results: int) -> None:
    """Hunt through what comes until nothing more can come."""
    with open(tasks, "rb") as reading, open(results, "wb") as writing:
        while head := reading.read(_SIZE):
            part = pickle.loads(reading.read(int.from_bytes(head)))  # noqa: S301
            pieces = None if stop[0] else packed(hunter.hunt(part))
            writing.write(_framed(pickle.dumps(pieces)))
            writing.flush()


def _framed(content: bytes) -> bytes:
    return len(content).to_bytes(_SIZE) + content


def _taken(buffer: bytearray) -> bytes | None:
    """The first frame of a buffer, taken out of it; None if it is not whole yet."""
    end = _SIZE + int.from_bytes(buffer[:_SIZE])
    if len(buffer) < max(end, _SIZE):
        return None
    frame = bytes(buffer[_SIZE:end])
    del buffer[:end]
    return frame
