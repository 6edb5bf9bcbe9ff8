"""JSON that is not one document a line: pretty-printed, one big array, or glued without newlines.

Bytes in, documents with their places out, in bounded memory. The elements of the arrays in which
exports keep their documents (`ARRAYS`) are handed on one by one, each inside a copy of what stood
around the array so far, so that a reader sees the same shape as in a small file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from .lines import BEGINNING, Located, Parsed, parse_line

MAX_VALUE_BYTES = 64 << 20
MAX_AROUND_BYTES = 64 << 10
# Paths of the arrays: at the top, Elasticsearch's response, Splunk's and Fleet's results.
ARRAYS = frozenset(((None,), (b"hits", b"hits", None), (b"results", None)))

# Strings and brackets where keys matter; elsewhere a bracket with all before it in one step.
_TOKEN = re.compile(rb'"(?>[^"\\]+|\\.)*+"|["{}\[\]]', re.DOTALL)
_DEEP = re.compile(rb'(?>[^"{}\[\]]+|"(?>[^"\\]+|\\.)*+")*+([{}\[\]])', re.DOTALL)
_OPEN = re.compile(rb"[{\[]")
_COLON = re.compile(rb"[ \t\r\n]*(:|\Z)")
_RECORD = re.compile(BEGINNING.encode())
_BETWEEN = b"\x00 \t\r\n,\xef\xbb\xbf"
_CLOSING = {b"{": b"}", b"[": b"]"}


def is_spread(head: bytes, whole: bool) -> bool:
    """Whether a file that begins with `head` has to be read by documents, not by lines.

    `whole` says that nothing follows. A log whose first line was cut is still read by lines.
    """
    text = head.lstrip(_BETWEEN)
    if text[:1] not in _CLOSING:
        return False
    line, newline, rest = text.partition(b"\n")
    if not newline:
        # Too long for a line, unless it is one single value.
        return not whole and any(True for _ in Scanner().feed(line))
    try:
        orjson.loads(line)
    except ValueError:
        return _goes_on(line.rstrip(), rest.lstrip())
    return False


def _goes_on(line: bytes, rest: bytes) -> bool:
    """Whether a first line that is no document is the beginning of one over several lines."""
    scanner = Scanner()
    found = list(scanner.feed(line))
    if found or scanner.inside is None or line[-1:] not in (b"{", b"[", b","):
        return bool(found) and scanner.in_array
    if scanner.inside == b"{":
        return rest[:1] in (b'"', b"}")
    if not scanner.in_array and _RECORD.match(rest):
        return False
    return bool(rest)


class Scanner:
    """Finds where JSON values begin and end. Feed it chunks; call `finish` at the end."""

    def __init__(self) -> None:
        self._stack: list[bytes] = []
        self._path: list[bytes | None] = []  # the keys of the outer levels
        self._level = 0  # depth of the array whose elements are handed on; 0 outside of one
        self._skipping = False  # to the end of a line in which something was wrong
        self._around = b""  # what of the current value stands before `_begin`
        self._buffer = bytearray()
        self._at = 0  # scanned up to here
        self._begin = 0  # of what is being collected
        self._offset = 0  # of the buffer's first byte, in the file
        self._line, self._counted = 1, 0  # the line at `_counted` in the buffer

    @property
    def inside(self) -> bytes | None:
        """The bracket that is open, if any."""
        return self._stack[-1] if self._stack else None

    @property
    def in_array(self) -> bool:
        """Whether an array of documents is open."""
        return self._level > 0

    def feed(self, chunk: bytes) -> Iterator[Located]:
        """The documents that end in this chunk."""
        self._buffer += chunk
        if self._skipping:
            self._skip()
        while (bracket := self._bracket()) is not None:
            if bracket in _CLOSING:
                yield from self._open(bracket)
            else:
                yield from self._close(bracket)
        self._forget()
        if len(self._buffer) > MAX_VALUE_BYTES:
            yield self._lost(f"a JSON value longer than {MAX_VALUE_BYTES >> 20} MiB")
            self._restart()

    def finish(self) -> Iterator[Located]:
        """What is wrong with the end, if anything."""
        if self._stack:
            yield self._lost("the JSON document is cut short")
        elif self._junk(len(self._buffer)):
            yield self._lost("not JSON")

    def _bracket(self) -> bytes | None:
        """The next bracket, `_at` behind it; None if more bytes are needed."""
        while True:
            if not self._stack:
                found = _OPEN.search(self._buffer, self._at)
            elif self._keys_matter():
                found = _TOKEN.search(self._buffer, self._at)
            else:
                found = _DEEP.match(self._buffer, self._at)
            if found is None:
                if not self._stack or self._keys_matter():
                    self._at = len(self._buffer)
                return None
            token = self._buffer[found.end() - 1 : found.end()]
            if token != b'"':
                self._at = found.end()
                return bytes(token)
            colon = _COLON.match(self._buffer, found.end())
            # A string that goes on in the next chunk, or whose colon may stand there.
            if len(found[0]) == 1 or (colon and not colon[1]):
                self._at = found.start()
                return None
            self._at = found.end()
            if colon:
                self._path[-1] = bytes(found[0][1:-1])

    def _keys_matter(self) -> bool:
        depth = len(self._stack)
        return not self._level and (depth == 1 or (depth == 2 and self._path[0] == b"hits"))

    def _open(self, bracket: bytes) -> Iterator[Located]:
        start, depth = self._at - 1, len(self._stack)
        if depth == self._level:  # at the top, or an element
            if self._junk(start):
                yield self._lost("a JSON value that is not an object" if depth else "not JSON")
            self._begin = start
        self._stack.append(bracket)
        if self._level or depth != len(self._path):
            return
        self._path.append(None)
        if bracket == b"[" and tuple(self._path) in ARRAYS:
            around = self._around + bytes(self._buffer[self._begin : self._at])
            if len(around) <= MAX_AROUND_BYTES:
                self._around, self._begin, self._level = around, self._at, depth + 1

    def _close(self, bracket: bytes) -> Iterator[Located]:
        if _CLOSING[self._stack[-1]] != bracket:
            yield self._lost("not JSON")
            self._restart()
            return
        self._stack.pop()
        depth = len(self._stack)
        if self._level and depth == self._level:
            yield self._value(b"".join(_CLOSING[opened] for opened in reversed(self._stack)))
        elif self._level and depth == self._level - 1:
            if self._junk(self._at - 1):
                yield self._lost("a JSON value that is not an object")
            self._around, self._begin, self._level = self._around + b"]", self._at, 0
        del self._path[depth if not self._level else self._level :]
        if not depth:
            if not self._around.startswith(b"["):
                yield self._value()
            self._around, self._begin = b"", self._at

    def _value(self, closing: bytes = b"") -> Located:
        data = self._around + bytes(self._buffer[self._begin : self._at]) + closing
        found = Located(self._offset + self._begin, self._line_at(self._begin), parse_line(data))
        self._begin = self._at
        return found

    def _lost(self, why: str) -> Located:
        while self._begin < len(self._buffer) and self._buffer[self._begin] in _BETWEEN:
            self._begin += 1
        return Located(self._offset + self._begin, self._line_at(self._begin), Parsed((), "", why))

    def _junk(self, end: int) -> bool:
        return bool(bytes(self._buffer[self._begin : end]).strip(_BETWEEN))

    def _line_at(self, place: int) -> int:
        self._line += self._buffer.count(b"\n", self._counted, place)
        self._counted = place
        return self._line

    def _restart(self) -> None:
        """Go on at the next line, outside of everything."""
        self._stack.clear()
        self._path.clear()
        self._level, self._around, self._skipping = 0, b"", True
        self._skip()
        self._forget()

    def _skip(self) -> None:
        end = self._buffer.find(b"\n", self._at)
        self._skipping = end < 0
        self._at = self._begin = len(self._buffer) if end < 0 else end + 1

    def _forget(self) -> None:
        """Drop what is done with, so that the buffer holds one value at most."""
        if not self._stack and not self._junk(self._at):
            self._begin = self._at
        self._line_at(self._begin)
        del self._buffer[: self._begin]
        self._offset += self._begin
        self._at, self._begin, self._counted = self._at - self._begin, 0, 0
