"""Parts given to processes, and their outcomes taken in order."""

from __future__ import annotations

import os
import pickle
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..reading.parts import Part
from .forked import Forked, packed
from .work import Hunter, Outcome

Make = Callable[[], Hunter]
# Outcomes that may wait for an earlier one, for each process.
AHEAD = 2


class Given(Protocol):
    """A part that a process was given."""

    @property
    def part(self) -> Part:
        """Which one."""

    def done(self) -> bool:
        """Whether its outcomes are all there, or nothing will come."""

    def result(self) -> list[bytes] | None:
        """Its outcomes, packed, when they are there. None: it was not hunted and will not be."""


class Pool(Protocol):
    """Processes that hunt through the parts that they are given."""

    def give(self, part: Part) -> Given:
        """Have a part hunted."""

    def stop(self) -> None:
        """Let nothing more begin; what is under way is finished."""


class _Here:
    """A part that this process has hunted itself."""

    def __init__(self, part: Part, pieces: list[bytes]) -> None:
        self.part, self._pieces = part, pieces

    def done(self) -> bool:
        return True

    def result(self) -> list[bytes]:
        return self._pieces


@contextmanager
def sharing(
    jobs: int, hunter: Hunter, make: Make
) -> Iterator[Callable[[Sequence[Part]], Iterator[Outcome]]]:
    """A function from parts to their outcomes in order, worked on by `jobs` processes. This is one
    of them: another would hold memory and wait.

    Where processes can be forked they inherit `hunter`; elsewhere each `make`s its own, and `make`
    must be picklable. After Ctrl-C no further part is begun; those under way are finished. The part
    of a process that came to its end early is hunted here.
    """
    number = max(1, jobs - 1)
    with _processes(number, hunter, make) as pool:
        yield lambda parts: _outcomes(pool, hunter, parts, number * AHEAD)


def _processes(number: int, hunter: Hunter, make: Make) -> AbstractContextManager[Pool]:
    if hasattr(os, "fork") and os.uname().sysname == "Linux":
        return Forked(number, hunter)
    from .spawned import Spawned

    return Spawned(number, make)


def _unpacked(pieces: list[bytes]) -> Iterator[Outcome]:
    for piece in pieces:
        # From a process of our own.
        yield pickle.loads(zlib.decompress(piece))  # noqa: S301


def _outcomes(pool: Pool, hunter: Hunter, parts: Sequence[Part], ahead: int) -> Iterator[Outcome]:
    """`ahead` parts are given to other processes; the next one is hunted here while the first of
    them takes its time."""
    waiting: deque[Given] = deque()
    left, complete = deque(parts), True
    try:
        while left or waiting:
            while left and sum(not one.done() for one in waiting) < ahead:
                waiting.append(pool.give(left.popleft()))
            if left and not waiting[0].done() and len(waiting) < 2 * ahead:
                done, complete = _here(hunter, left.popleft())
                waiting.append(done)
                if not complete:
                    left.clear()
            else:
                first = waiting[0]
                pieces = first.result()
                if pieces is None:
                    done, complete = _here(hunter, first.part)
                    pieces = done.result()
                    if not complete:
                        left.clear()
                waiting.popleft()
                yield from _unpacked(pieces)
    except KeyboardInterrupt:
        pool.stop()
        for one in waiting:
            yield from _unpacked(one.result() or [])
        raise
    if not complete:
        raise KeyboardInterrupt


def _here(hunter: Hunter, part: Part) -> tuple[_Here, bool]:
    """The outcomes of a part, as another process would give them, and whether they are complete."""
    outcomes = list(hunter.hunt(part))
    return _Here(part, packed(outcomes)), outcomes[-1].complete
