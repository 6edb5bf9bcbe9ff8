"""A progress bar on stderr, only where somebody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Advance:
    """Told how far each file is read; moves a bar if there is one."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar = bar
        self._task = task
        self._before = 0

    def __call__(self, file: str, read: int) -> None:
        """`read` bytes of `file` so far; of a compressed file at most its size counts."""
        if self._bar is not None:
            done = self._before + min(read, _size(file))
            self._bar.update(self._task, completed=done)

    def done(self, file: str) -> None:
        """`file` is read to its end."""
        self._before += _size(file)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._before)


def _size(file: str) -> int:
    return os.path.getsize(file) if os.path.isfile(file) else 0


@contextmanager
def progress(total: int | None, quiet: bool) -> Iterator[Advance]:
    """A bar over `total` bytes (None: unknown) while the block runs."""
    if quiet or not sys.stderr.isatty():
        yield Advance()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("hunting"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Advance(bar, bar.add_task("hunting", total=total))
