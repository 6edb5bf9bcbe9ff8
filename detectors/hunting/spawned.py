"""Processes that are started anew, where they cannot be forked, and make their own hunters."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Self

from ..reading.parts import Part
from .forked import packed
from .work import Hunter

_hunter: Hunter | None = None


class Given:
    """A part that a process was given."""

    def __init__(self, part: Part, future: Future[list[bytes]] | None) -> None:
        self.part, self._future = part, future

    def done(self) -> bool:
        """Whether its outcomes are all there, or nothing will come."""
        return self._future is None or self._future.done()

    def result(self) -> list[bytes] | None:
        """Its outcomes, packed. None: it was not begun and will not be, or its process is gone."""
        try:
            return None if self._future is None else self._future.result()
        except (CancelledError, BrokenProcessPool):
            return None


class Spawned:
    """So many processes, each with a hunter that `make`, which must be picklable, has made there,
    until the context is left."""

    def __init__(self, number: int, make: Callable[[], Hunter]) -> None:
        self._pool = ProcessPoolExecutor(number, get_context("spawn"), _begin, (make,))
        self._futures: list[Future[list[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def give(self, part: Part) -> Given:
        """Have a part hunted."""
        try:
            future = self._pool.submit(_hunt, part)
        except BrokenProcessPool:
            return Given(part, None)
        self._futures = [one for one in self._futures if not one.done()]
        self._futures.append(future)
        return Given(part, future)

    def stop(self) -> None:
        """Let nothing more begin; what is under way is finished."""
        for future in self._futures:
            future.cancel()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def _begin(make: Callable[[], Hunter]) -> None:
    # Ctrl-C goes to the whole group; the parent decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _hunter  # noqa: PLW0603 - what a process has for all its parts
    _hunter = make()


def _hunt(part: Part) -> list[bytes]:
    assert _hunter is not None
    return packed(_hunter.hunt(part))
