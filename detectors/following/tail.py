"""What is new in files and folders: whole lines, each once, through rotation and truncation.

A file is known by device, inode and what stands at the beginning and before the place up to which
it was read. So it is found again when it was renamed, and a compressed or copied twin is read on
from the same place. Where nothing proves that bytes are known they are read; where bytes can no
longer be found, a warning says so.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import NamedTuple

from molehunt.problems import Problem, Severity

from ..reading.inputs import (
    HEAD_BYTES,
    MAX_LINE_BYTES,
    Block,
    Report,
    _logs_below,
)
from .beginning import BLOCK, may_read, skip_to_end
from .packed import Forward, is_packed
from .source import COPY, DONE, GHOST, LIVE, SPAN, Source, digest, reader_at

# How long a file that is no longer where it was may still be written to, in seconds; and how long
# one that looks unfinished may still grow.
GRACE = 5.0
# A file that has not grown for so long is closed.
IDLE = 60.0
# Sources that are done and gone, kept to know their compressed twins.
REMEMBERED = 500


class Read(NamedTuple):
    """Lines of a source. When they are taken in, `place` moves the source behind them."""

    source: Source
    block: Block
    place: Callable[[], None]


class Tail:
    """Follows paths. `sources` are those of an earlier run, `existing` says whether what is there
    now and not among them is read from its beginning."""

    def __init__(
        self, paths: list[str], sources: list[Source], existing: bool, report: Report
    ) -> None:
        self._paths = paths
        self.sources = {source.id: source for source in sources}
        self._next = max(self.sources, default=0) + 1
        self._report = report
        self._first = not sources
        self._existing = existing
        self._open: dict[int, int] = {}
        self._streams: dict[int, Forward] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._gone: dict[int, float] = {}
        self._unsure: dict[tuple[int, int], tuple[int, float]] = {}
        self._missing: set[str] = set()
        self._grown: dict[int, float] = {}
        self.changed: set[int] = set()

    def close(self) -> None:
        """Let go of all files."""
        for stream in self._open.values():
            os.close(stream)
        self._open.clear()
        for packed in self._streams.values():
            packed.close()
        self._streams.clear()

    def poll(self) -> Iterator[Read]:
        """What is new now. Each piece must be taken in before the next is asked for."""
        listed = self._listed()
        known = {s.key: s for s in self.sources.values() if s.state != GHOST}
        here: set[int] = set()
        fresh: list[tuple[str, os.stat_result]] = []
        for path, (status, _named) in listed.items():
            source = known.get((status.st_dev, status.st_ino))
            if source is None or not self._is_same(source, path, status):
                fresh.append((path, status))
                continue
            here.add(source.id)
            if source.path != path:
                source.path = path
                self.changed.add(source.id)
        self._look_for_gone(here)
        self._rest_in_copies()
        for path, status in sorted(fresh, key=lambda item: item[1].st_mtime_ns):
            named = listed[path][1]
            adopted = self._adopt(path, status, named)
            if adopted is not None:
                here.add(adopted.id)
        self._first = False
        order = sorted(self.sources.values(), key=lambda s: s.id)
        for source in order:
            if source.state == LIVE:
                yield from self._news(source, source.id not in here)
        self._give_up()
        self._forget(here)

    def last(self) -> Iterator[Read]:
        """The last lines that have no newline, at the end of following."""
        for source in list(self.sources.values()):
            if source.state == LIVE and not source.packed and source.id in self._open:
                yield from self._rest(source, self._open[source.id])

    def _listed(self) -> dict[str, tuple[os.stat_result, bool]]:
        """Files to look at, and whether they were named or stand in a named folder; else they are
        the rotated forms of a named file."""
        found: dict[str, tuple[os.stat_result, bool]] = {}
        for path in self._paths:
            names = [(path, True)]
            if os.path.isdir(path):
                names = [(name, True) for name in sorted(_logs_below(path))]
            else:
                if not os.path.exists(path) and path not in self._missing:
                    self._missing.add(path)
                    what = "does not exist yet; waiting for it"
                    self._report(Problem(what, path, severity=Severity.WARNING))
                names += [(name, False) for name in glob.glob(glob.escape(path) + "[.-]*")]
            for name, named in names:
                with suppress(OSError):
                    status = os.stat(name)
                    if os.path.isfile(name):
                        found.setdefault(name, (status, named))
        return found

    def _is_same(self, source: Source, path: str, status: os.stat_result) -> bool:
        """Whether a file with a known inode still holds what was read. If not, the source becomes a
        ghost."""
        now = (status.st_size, status.st_mtime_ns)
        if self._sizes.get(source.id) == now and source.state != COPY:
            return True
        if source.packed:
            self._sizes[source.id] = now
            return True
        if status.st_size >= source.offset:
            with suppress(OSError):
                stream = os.open(path, os.O_RDONLY)
                try:
                    if source.is_in(reader_at(stream)):
                        if source.state == DONE and status.st_size > source.offset:
                            source.state = LIVE
                            self.changed.add(source.id)
                        self._sizes[source.id] = now
                        return True
                finally:
                    os.close(stream)
        self._to_ghost(source)
        return False

    def _to_ghost(self, source: Source) -> None:
        self._close(source)
        source.state = GHOST if source.state == LIVE else DONE
        source.device = source.inode = 0
        if source.state == GHOST:
            self._gone[source.id] = time.monotonic()
        self.changed.add(source.id)

    def _look_for_gone(self, here: set[int]) -> None:
        """Sources of an earlier run that are nowhere become ghosts; those that are open are read on
        to their end."""
        for source in self.sources.values():
            if source.state == GHOST:
                self._gone.setdefault(source.id, time.monotonic())
            elif source.state == LIVE and source.id not in here and source.id not in self._open:
                self._to_ghost(source)

    def _rest_in_copies(self) -> None:
        """What was copied and then cut off is read on in the copy."""
        for source in self.sources.values():
            twin = self.sources.get(source.twin) if source.state == COPY else None
            if twin is None or twin.state != GHOST:
                continue
            try:
                with open(source.path, "rb") as stream:
                    if source.packed:
                        with closing(Forward(source.path)) as forward:
                            found = twin.is_in(forward)
                    else:
                        found = twin.is_in(reader_at(stream.fileno()))
            except OSError:
                continue
            if found:
                source.state = LIVE
                self._continue(source, twin)
                self.changed.add(source.id)

    def _adopt(self, path: str, status: os.stat_result, named: bool) -> Source | None:
        """What an unknown file is: the rest of a ghost, a twin of what is known, or news."""
        key = (status.st_dev, status.st_ino)
        try:
            with open(path, "rb") as stream:
                head = stream.read(HEAD_BYTES)
                packed = is_packed(head)
                if not head and (not named or not self._is_settled(key, status)):
                    return None
                if packed:
                    with closing(Forward(path)) as forward:
                        head = forward(HEAD_BYTES, 0)
                    if not head:
                        return None
                twin, unsure = self._twin(path, head, stream.fileno(), packed)
        except OSError as error:
            if path not in self._missing:
                self._missing.add(path)
                self._report(Problem(f"cannot be read: {error.strerror or error}", path))
            return None
        if unsure and not self._is_settled(key, status):
            return None
        source = Source(self._next, path, *key, packed=packed)
        if twin is not None:
            self._continue(source, twin)
        elif not may_read(path, head, self._report):
            # A copy of nothing: known, and never read.
            source.state = COPY
        elif self._first and not (self._existing and named):
            source.state = DONE if packed or not named else LIVE
            if not packed:
                skip_to_end(source, path)
        elif unsure:
            what = "is shorter than what was read of it, so it was left out"
            self._report(Problem(what, path, severity=Severity.WARNING))
            source.state = DONE
        self._next += 1
        self.sources[source.id] = source
        self.changed.add(source.id)
        return source

    def _is_settled(self, key: tuple[int, int], status: os.stat_result) -> bool:
        """Whether a file has not grown for a while."""
        if len(self._unsure) > 10_000:
            self._unsure.clear()
        size, since = self._unsure.setdefault(key, (status.st_size, time.monotonic()))
        if size != status.st_size:
            self._unsure[key] = (status.st_size, time.monotonic())
            return False
        return time.monotonic() - since > GRACE

    def _twin(
        self, path: str, head: bytes, stream: int, packed: bool
    ) -> tuple[Source | None, bool]:
        """The source whose read part a file holds, ghosts first; and whether it may become one."""
        unsure = False
        ranked = {GHOST: 0, LIVE: 1, DONE: 2}
        known = [s for s in self.sources.values() if s.state in ranked and s.offset]
        for source in sorted(known, key=lambda s: (ranked[s.state], -s.offset, s.id)):
            if not source.may_begin(head):
                continue
            if packed:
                with closing(Forward(path)) as forward:
                    found = source.is_in(forward)
            else:
                found = source.is_in(reader_at(stream))
            if found:
                return source, False
            # A packed file may be too short to be told yet; so may a copy.
            unsure = unsure or (found is None and (packed or source.offset > SPAN))
        return None, unsure

    def _continue(self, source: Source, twin: Source) -> None:
        source.offset, source.line = twin.offset, twin.line
        source.head, source.tail = twin.head, twin.tail
        if twin.state == GHOST:
            # The rest of what was lost sight of.
            twin.state = DONE
            self._gone.pop(twin.id, None)
        elif twin.state == LIVE:
            source.state, source.twin = COPY, twin.id
            return
        self.changed.add(twin.id)

    def _news(self, source: Source, gone: bool) -> Iterator[Read]:
        if source.packed:
            yield from self._unpacked(source)
            return
        stream = self._open.get(source.id)
        if stream is None:
            try:
                stream = self._open[source.id] = os.open(source.path, os.O_RDONLY)
                status = os.fstat(stream)
            except OSError:
                return
            if (status.st_dev, status.st_ino) != source.key:
                # Renamed since the listing: found at the next look.
                self._close(source)
                return
        before = source.offset
        yield from self._lines(source, reader_at(stream))
        now = time.monotonic()
        if source.offset != before or os.fstat(stream).st_size > source.offset:
            self._grown[source.id] = now
        elif not gone and now - self._grown.setdefault(source.id, now) > IDLE:
            # Looked at again when its size changes.
            self._finish(source)
            return
        if gone:
            since = self._gone.setdefault(source.id, time.monotonic())
            if time.monotonic() - since > GRACE:
                yield from self._rest(source, stream)
                self._finish(source)
        else:
            self._gone.pop(source.id, None)

    def _lines(self, source: Source, read_at: Callable[[int, int], bytes]) -> Iterator[Read]:
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
                        self._report(Problem(what, source.path, source.line))
                    source.skipping = True
                    source.place(source.offset + len(data), source.line, read_at)
                    self.changed.add(source.id)
                    size = BLOCK
                else:
                    size *= 4
                continue
            begin = data.find(b"\n") + 1 if source.skipping else 0
            source.skipping = False
            offset, line = source.offset + begin, source.line + bool(begin)
            data = data[begin:end]
            lines = data.count(b"\n")
            block = Block(source.path, offset, line, data)
            yield self._piece(source, block, offset + len(data), line + lines, read_at)
            if end + begin < size and len(data) < BLOCK // 2:
                return
            size = BLOCK

    def _piece(
        self,
        source: Source,
        block: Block,
        offset: int,
        line: int,
        read_at: Callable[[int, int], bytes],
    ) -> Read:
        def place() -> None:
            source.place(offset, line, read_at)
            self.changed.add(source.id)

        return Read(source, block, place)

    def _rest(self, source: Source, stream: int) -> Iterator[Read]:
        """The last line, though it has no newline."""
        read_at = reader_at(stream)
        data = read_at(MAX_LINE_BYTES, source.offset)
        if data and not source.skipping:
            block = Block(source.path, source.offset, source.line, data)
            yield self._piece(source, block, source.offset + len(data), source.line + 1, read_at)

    def _unpacked(self, source: Source) -> Iterator[Read]:
        try:
            stream = Forward(source.path)
        except OSError:
            return
        with closing(stream):
            stream(0, source.offset)
            rest = b""
            at = source.offset
            while True:
                data = stream(BLOCK, at)
                at += len(data)
                rest += data
                end = rest.rfind(b"\n") + 1 if data else len(rest)
                if end:
                    block = Block(source.path, source.offset, source.line, rest[:end])
                    yield self._packed_piece(source, block)
                    rest = rest[end:]
                if not data:
                    break
        self._finish(source)

    def _packed_piece(self, source: Source, block: Block) -> Read:
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
            self.changed.add(source.id)

        return Read(source, block, place)

    def _finish(self, source: Source) -> None:
        source.state = DONE
        self.changed.add(source.id)
        self._gone.pop(source.id, None)
        self._close(source)

    def _close(self, source: Source) -> None:
        stream = self._open.pop(source.id, None)
        if stream is not None:
            os.close(stream)

    def _give_up(self) -> None:
        """Warn of what was not found again."""
        for source in self.sources.values():
            if source.state != GHOST or time.monotonic() - self._gone[source.id] < GRACE:
                continue
            what = f"is gone or was overwritten; what followed byte {source.offset:,} was not read"
            self._report(Problem(what, source.path, severity=Severity.WARNING))
            source.state = DONE
            self._gone.pop(source.id)
            self.changed.add(source.id)

    def _forget(self, here: set[int]) -> None:
        old = [s.id for s in self.sources.values() if s.state in (DONE, COPY) and s.id not in here]
        for number in old[: max(0, len(old) - REMEMBERED)]:
            del self.sources[number]
            self._sizes.pop(number, None)
            self._grown.pop(number, None)
            self.changed.add(number)
