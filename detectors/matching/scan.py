"""Where literals stand in a block of raw lines, with Hyperscan where it is installed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from importlib.util import find_spec

Scanner = Callable[[bytes], list[int]]


def has_hyperscan() -> bool:
    """Whether the fast scanner can be used here (the `fast` extra)."""
    return find_spec("hyperscan") is not None


def scanner(literals: Iterable[bytes]) -> Scanner:
    """A function from a block to the byte offsets where any literal ends, letter case aside.

    Offsets are those of the last byte of an occurrence, in order. Needs Hyperscan.
    """
    import hyperscan

    patterns = sorted(set(literals))
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[_as_pattern(literal) for literal in patterns],
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
    )
    scratch = hyperscan.Scratch(database)

    def scan(data: bytes) -> list[int]:
        ends: list[int] = []

        def hit(_id: int, _start: int, end: int, _flags: int, _context: object) -> None:
            ends.append(end - 1)

        database.scan(data, match_event_handler=hit, scratch=scratch)
        return ends

    return scan


def _as_pattern(literal: bytes) -> bytes:
    """The literal as a regex: every byte that is not a letter or digit in hexadecimal."""
    return b"".join(bytes([byte]) if chr(byte).isalnum() else b"\\x%02x" % byte for byte in literal)


def lines_at(ends: list[int], starts: list[int]) -> set[int]:
    """The indices of the lines (by their start offsets) in which the offsets fall."""
    return {bisect_right(starts, end) - 1 for end in ends}
