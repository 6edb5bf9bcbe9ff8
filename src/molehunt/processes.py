"""The same work on many things, shared among processes where that is quicker."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import sleep
from types import MappingProxyType
from typing import Any, Self, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
# With fewer things than this a process costs more than it saves.
LEAST = 200
MOST = 4
SHORTEST = 4
_SIZE = 4
# How often it is looked whether a core is free, and the seconds between.
LOOKS = 6
_APART = 0.002
# Processes of `Aside`: they keep what nobody waits for, and no core from the others.
_aside: set[int] = set()


def mapped(
    work: Callable[[_Item], _Result], items: Sequence[_Item], least: int = LEAST
) -> list[_Result]:
    """`work` of each item, in order. Results must be picklable (read-only mappings are, too); what
    `work` raises is raised here. Fewer than `least` items are not shared.

    The first and the last are worked on before processes part, so that what each needs is loaded
    once. The rest goes in runs of neighbours, which have much in common, to this process and to
    others forked from it: one run to each, and whoever is done takes the next. What came to nothing
    there is worked on here.
    """
    number = _processes(len(items), least)
    if number == 1:
        return [work(item) for item in items]
    first, last, rest = work(items[0]), work(items[-1]), range(1, len(items) - 1)
    runs = _runs(rest, number)
    left = _Left(range(number, len(runs)))

    def worked(run: int) -> dict[int, _Result]:
        found: dict[int, _Result] = {}
        taken: int | None = run
        while taken is not None:
            for place in runs[taken]:
                found[place] = work(items[place])
            taken = left.take()
        return found

    children = [_forked(worked, run) for run in range(1, min(number, len(runs)))]
    try:
        found = worked(0) if runs else {}
        for _, pipe in children:
            found |= _received(pipe) or {}
    finally:
        left.close()
        for child, pipe in children:
            _ended(child, pipe)
    return [
        first,
        *(found[place] if place in found else work(items[place]) for place in rest),
        last,
    ]


def _runs(places: range, number: int) -> list[range]:
    """Runs of neighbours for so many processes, each shorter than the one before, so that all are
    done at about the same time."""
    runs = []
    while places:
        size = max(SHORTEST, -(-len(places) // (4 * number)))
        runs.append(places[:size])
        places = places[size:]
    return runs


class _Left:
    """Numbers that several processes take, each once; made before they part."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._read, write = os.pipe()
        # So few that they fit into the pipe at once.
        os.write(write, b"".join(number.to_bytes(_SIZE) for number in numbers))
        os.close(write)

    def take(self) -> int | None:
        """One that nobody has taken; None if there is none."""
        found = os.read(self._read, _SIZE)
        return int.from_bytes(found) if found else None

    def close(self) -> None:
        """Nothing will be taken here any more."""
        os.close(self._read)


class Aside:
    """Runs what nobody waits for, such as keeping a file, in a process beside this one if a core
    is free. Leaving the context waits for the end of all of it."""

    def __init__(self) -> None:
        self._children: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __call__(self, work: Callable[[], None]) -> None:
        """Do it, here or beside. What goes wrong beside is lost."""
        if not _may_fork() or _free_cores() < 2:
            work()
            return
        child = os.fork()
        if child:
            self._children.append(child)
            _aside.add(child)
            return
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of the parent may run here
            os._exit(1)

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
            _aside.discard(child)


def at_once(work: Callable[[], None]) -> None:
    """In place of an `Aside`: do it now."""
    work()


def _processes(items: int, least: int) -> int:
    return 1 if items < least or not _may_fork() else min(_free_cores(), MOST)


def _may_fork() -> bool:
    """Whether this is Linux, and a process of one thread: a lock that another one holds would be
    held for ever in the fork."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _free_cores() -> int:
    """How many cores nobody else uses, this one's included; who only wakes for a moment is none.

    A share that waits for others only costs time.
    """
    cores = len(os.sched_getaffinity(0))
    free = 1
    with suppress(OSError, ValueError, IndexError):
        for look in range(LOOKS):
            if look:
                sleep(_APART)
            free = max(free, cores - _others())
            if free >= cores:
                break
        return free
    return cores


def _others() -> int:
    """How many processes run at this instant beside this one and those that it has set aside.

    https://man7.org/linux/man-pages/man5/proc_loadavg.5.html
    """
    with open("/proc/loadavg", encoding="ascii") as stream:
        running = int(stream.read().split()[3].partition("/")[0])
    return max(0, running - 1 - sum(map(_runs_now, _aside)))


def _runs_now(child: int) -> bool:
    """Whether a process is in state R, which stands behind its name.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        with open(f"/proc/{child}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False


def _forked(worked: Callable[[int], object], run: int) -> tuple[int, int]:
    """A process that works on a run and what is left, and where it writes what comes out."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    # Nothing of the parent may run here: no handlers, no buffers, no tests.
    try:
        os.close(read)
        content = _packed(worked(run))
        with open(write, "wb") as stream:
            stream.write(content)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the parent meets it again, and tells
        os._exit(1)


def _packed(found: object) -> bytes:
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {MappingProxyType: lambda one: (_read_only, (dict(one),))}
    pickler.dump(found)
    return stream.getvalue()


def _read_only(values: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(values)


def _received(pipe: int) -> dict[int, Any] | None:
    """What a process of our own wrote; None if it is not whole."""
    with open(pipe, "rb", closefd=False) as stream:
        content = stream.read()
    try:
        found: dict[int, Any] = pickle.loads(content)  # noqa: S301
    except (EOFError, pickle.UnpicklingError):
        return None
    return found


def _ended(child: int, pipe: int) -> None:
    os.close(pipe)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
