"""Parts given to processes, and their outcomes taken in order."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext

from ..reading.parts import Part
from .work import Hunter, Outcome

Make = Callable[[], Hunter]
# Outcomes that may wait for an earlier one, for each process.
AHEAD = 2

_hunter: Hunter | None = None


@contextmanager
def sharing(
    jobs: int, hunter: Hunter, make: Make
) -> Iterator[Callable[[Sequence[Part]], Iterator[Outcome]]]:
    """A function from parts to their outcomes in order, worked on by `jobs` processes. This is one
    of them: another would hold memory and wait.

    Where processes can be forked they inherit `hunter`; elsewhere each `make`s its own, and `make`
    must be picklable. After Ctrl-C no further part is begun; those under way are finished.
    """
    if "fork" in get_all_start_methods() and os.uname().sysname == "Linux":
        context: BaseContext = get_context("fork")
        begin: Make = lambda: hunter  # noqa: E731 - a function would need a name for nothing
    else:
        context, begin = get_context("spawn"), make
    # The collector writes into all that it looks at: pages that processes share would be copied.
    gc.freeze()
    try:
        with ProcessPoolExecutor(max(1, jobs - 1), context, _begin, (begin,)) as pool:
            # Processes are forked with the first task: now, before a progress bar starts its
            # thread.
            pool.submit(int).result()
            yield lambda parts: _outcomes(pool, hunter, parts, max(1, jobs - 1) * AHEAD)
    finally:
        gc.unfreeze()


def _begin(make: Make) -> None:
    # Ctrl-C goes to the whole group; the parent decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _hunter  # noqa: PLW0603 - what a process has for all its parts
    _hunter = make()


def _hunt(part: Part) -> list[bytes]:
    assert _hunter is not None
    return [_packed(outcome) for outcome in _hunter.hunt(part)]


def _packed(outcome: Outcome) -> bytes:
    """Outcomes that wait for an earlier one take a tenth of the memory so, since their events hold
    rows."""
    return zlib.compress(pickle.dumps(outcome), 1)


def _unpacked(pieces: list[bytes]) -> Iterator[Outcome]:
    for piece in pieces:
        # From a process of our own.
        yield pickle.loads(zlib.decompress(piece))  # noqa: S301


def _outcomes(
    pool: ProcessPoolExecutor, hunter: Hunter, parts: Sequence[Part], ahead: int
) -> Iterator[Outcome]:
    """`ahead` parts are given to other processes; the next one is hunted here while the first of
    them takes its time."""
    waiting: deque[Future[list[bytes]]] = deque()
    left, complete = deque(parts), True
    try:
        while left or waiting:
            while left and sum(not one.done() for one in waiting) < ahead:
                waiting.append(pool.submit(_hunt, left.popleft()))
            if left and not waiting[0].done() and len(waiting) < 2 * ahead:
                done, complete = _here(hunter, left.popleft())
                waiting.append(done)
                if not complete:
                    left.clear()
            else:
                yield from _unpacked(waiting.popleft().result())
    except KeyboardInterrupt:
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                yield from _unpacked(future.result())
        raise
    if not complete:
        raise KeyboardInterrupt


def _here(hunter: Hunter, part: Part) -> tuple[Future[list[bytes]], bool]:
    """The outcomes of a part, as another process would give them, and whether they are complete."""
    pieces: list[bytes] = []
    complete = True
    for outcome in hunter.hunt(part):
        pieces.append(_packed(outcome))
        complete = outcome.complete
    done: Future[list[bytes]] = Future()
    done.set_result(pieces)
    return done, complete
