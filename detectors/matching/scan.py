"""Where literals stand in a block of raw lines: with Hyperscan, or with RE2 where it is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .needles import as_pattern

# The literal's index and the offset of its last byte, in the order of the offsets.
Hit = tuple[int, int]
Scan = Callable[[bytes], list[Hit]]


def has_hyperscan() -> bool:
    """Whether the fast scanner can be used here (the `fast` extra)."""
    try:
        import hyperscan  # noqa: F401 - whether it is there
    except ImportError:
        return False
    return True


def scanner(
    literals: Sequence[bytes],
    fast: bool = True,
    patterns: Sequence[bytes] = (),
    database: Any = None,
) -> Scan:
    """A function from a block to the places where literals end in it, letter case aside.

    `patterns` are expressions, numbered after the literals. They need Hyperscan. `database` is what
    `compiled` gave for them, if it is there already.

    With Hyperscan (`fast`) every occurrence is given. With RE2 at least one in each line that has
    any, and then each literal of that line once.
    """
    return _hyperscan(literals, patterns, database) if fast else _re2(literals)


def count(sample: bytes, literals: Iterable[bytes]) -> Counter[bytes]:
    """How often each literal occurs in a sample, letter case aside. Needs Hyperscan."""
    words = sorted(set(literals))
    return Counter(words[index] for index, _ in scanner(words)(sample))


def where(sample: bytes, patterns: Iterable[bytes]) -> dict[bytes, set[int]]:
    """The lines, by the offset of their end, in which expressions find something. Those that
    Hyperscan cannot read are left out. Needs it."""
    there = list(patterns)
    try:
        hits = scanner([], True, there)(sample)
    except ValueError:
        if len(there) == 1:
            return {}
        half = len(there) // 2
        return where(sample, there[:half]) | where(sample, there[half:])
    found: dict[bytes, set[int]] = {pattern: set() for pattern in there}
    for index, end in hits:
        found[there[index]].add(sample.find(b"\n", end))
    return found


def compiled(literals: Sequence[bytes], patterns: Sequence[bytes] = ()) -> Any:
    """A Hyperscan database of the literals and expressions, in their order.

    Raises ValueError where it cannot read an expression.
    """
    import hyperscan

    every = [*map(as_pattern, literals), *patterns]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=every,
            ids=list(range(len(every))),
            elements=len(every),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(every),
        )
    except hyperscan.error as error:
        raise ValueError(str(error)) from error
    return database


def packed(database: Any) -> bytes:
    """A database as bytes, for `unpacked` on a machine of the same kind."""
    import hyperscan

    return bytes(hyperscan.dumpb(database))


def unpacked(data: bytes) -> Any:
    """The database that `packed` made the bytes of. Raises ValueError if they are no such thing, or
    were made elsewhere or by another release."""
    import hyperscan

    try:
        return hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
    except hyperscan.error as error:
        raise ValueError(str(error)) from error


def _hyperscan(literals: Sequence[bytes], patterns: Sequence[bytes], database: Any) -> Scan:
    import hyperscan

    if not literals and not patterns:
        return lambda _data: []
    database = compiled(literals, patterns) if database is None else database
    scratch = hyperscan.Scratch(database)

    def scan(data: bytes) -> list[Hit]:
        found: list[Hit] = []
        add = found.append

        def hit(index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add((index, end - 1))

        database.scan(data, match_event_handler=hit, scratch=scratch)
        return found

    return scan


def _re2(literals: Sequence[bytes]) -> Scan:
    import re2

    if not literals:
        return lambda _data: []
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    options.max_mem = 512 << 20
    options.never_capture = True
    find = re2.compile(b"|".join(map(as_pattern, literals)), options).search

    def scan(data: bytes) -> list[Hit]:
        hits: list[Hit] = []
        place = 0
        while (found := find(data, place)) is not None:
            start = data.rfind(b"\n", 0, found.start() + 1) + 1
            end = data.find(b"\n", found.end())
            place = len(data) if end < 0 else end
            line = data[start:place].lower()
            hits += [(i, found.end() - 1) for i, word in enumerate(literals) if word in line]
        return hits

    return scan
