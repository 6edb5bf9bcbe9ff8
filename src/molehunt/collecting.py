"""Garbage collection, where it costs and finds nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection(alone: bool = False) -> Iterator[None]:
    """For making many objects that all stay: looking for garbage would be a third of the time.
    `alone` says that the process is about to end, so that they are not searched afterwards."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if alone:
            gc.freeze()
        if collecting:
            gc.enable()
