"""Where literals stand in a block of raw lines: with Hyperscan, or with RE2 where it is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from .choose import Pair

# The literal's index and the offset of its last byte, in the order of the offsets.
Hit = tuple[int, int]


class Scanned(NamedTuple):
    """Where literals end; the newlines before or after which a brace is missing; and those right
    behind the columns or decorations, where a line was cut that looks whole."""

    hits: list[Hit]
    breaks: list[int]
    cuts: list[int]


Scan = Callable[[bytes], Scanned]


def has_hyperscan() -> bool:
    """Whether the fast scanner can be used here (the `fast` extra)."""
    return find_spec("hyperscan") is not None


def scanner(literals: Sequence[bytes], fast: bool = True, pairs: Sequence[Pair] = ()) -> Scan:
    """A function from a block to the places where literals end in it, letter case aside.

    `pairs` are two sets of literals, of each of which one must stand in the line; they are numbered
    after the literals. They need Hyperscan.

    With Hyperscan (`fast`) every occurrence is given. With RE2 at least one in each line that has
    any, and then each literal of that line once.
    """
    return _hyperscan(literals, pairs) if fast else _re2(literals)


def count(sample: bytes, literals: Iterable[bytes]) -> Counter[bytes]:
    """How often each literal occurs in a sample, letter case aside. Needs Hyperscan."""
    words = sorted(set(literals))
    return Counter(words[index] for index, _ in scanner(words)(sample)[0])


def where(sample: bytes, literals: Iterable[bytes]) -> dict[bytes, set[int]]:
    """The lines, by the offset of their end, in which literals occur. Needs Hyperscan."""
    words = sorted(set(literals))
    found: dict[bytes, set[int]] = {}
    for index, end in scanner(words)(sample)[0]:
        found.setdefault(words[index], set()).add(sample.find(b"\n", end))
    return found


def _either_way(pair: Pair) -> bytes:
    """Both of a pair in one line: one behind the other, or sharing bytes."""
    left, right = (b"(?:" + b"|".join(map(_as_pattern, sorted(one))) + b")" for one in pair)
    shared = sorted({text for a in pair[0] for b in pair[1] for text in _shared(a, b)})
    ways = [left + rb"[^\n]*" + right, right + rb"[^\n]*" + left, *map(_as_pattern, shared)]
    return b"|".join(ways)


def _shared(one: bytes, other: bytes) -> Iterator[bytes]:
    """The texts in which two literals overlap."""
    for a, b in ((one, other), (other, one)):
        if a in b:
            yield b
        for size in range(1, min(len(a), len(b))):
            if a.endswith(b[:size]):
                yield a + b[size:]


def compiled(literals: Sequence[bytes], pairs: Sequence[Pair] = ()) -> Any:
    """A Hyperscan database of the literals and pairs, in their order."""
    import hyperscan

    patterns = [*map(_as_pattern, literals), *map(_either_way, pairs), *_BREAKS, *_CUTS]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=patterns,
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
    )
    return database


# A newline without a brace before or after it. A carriage return before it is let pass.
_BREAKS = (rb"[^}\r]\n", rb"[^}]\r\n", rb"\n[^{]")
# A line that ends with an object which is not its last value, as if it were the end of the line.
_CUTS = (rb'"(?:decorations|columns)":\{[^{}\n]*\}\r?\n',)


def _hyperscan(literals: Sequence[bytes], pairs: Sequence[Pair] = ()) -> Scan:
    import hyperscan

    database = compiled(literals, pairs)
    scratch = hyperscan.Scratch(database)
    number = len(literals) + len(pairs)
    after = number + len(_BREAKS) - 1

    def scan(data: bytes) -> Scanned:
        found = Scanned([], [], [])
        add = found.hits.append

        def hit(index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            if index < number:
                add((index, end - 1))
            elif index > after:
                found.cuts.append(end - 1)
            else:
                found.breaks.append(end - 2 if index == after else end - 1)

        database.scan(data, match_event_handler=hit, scratch=scratch)
        return found

    return scan


def _as_pattern(literal: bytes) -> bytes:
    """The literal as a regex: every byte that is not a letter or digit in hexadecimal."""
    return b"".join(bytes([byte]) if chr(byte).isalnum() else b"\\x%02x" % byte for byte in literal)


def _re2(literals: Sequence[bytes]) -> Scan:
    find = _finder(list(map(_as_pattern, literals)))
    find_break, find_cut = _finder(list(_BREAKS)), _finder(list(_CUTS))

    def scan(data: bytes) -> Scanned:
        hits: list[Hit] = []
        place = 0
        while literals and (found := find(data, place)) is not None:
            start = data.rfind(b"\n", 0, found.start() + 1) + 1
            end = data.find(b"\n", found.end())
            place = len(data) if end < 0 else end
            line = data[start:place].lower()
            hits += [(i, found.end() - 1) for i, word in enumerate(literals) if word in line]
        return Scanned(hits, _newlines(find_break, data), _newlines(find_cut, data))

    return scan


def _newlines(find: Any, data: bytes) -> list[int]:
    """The newlines of all occurrences."""
    newlines: list[int] = []
    place = 0
    while (found := find(data, place)) is not None:
        newlines.append(data.index(b"\n", found.start()))
        place = newlines[-1] + 1
    return newlines


def _finder(patterns: list[bytes]) -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    options.max_mem = 512 << 20
    options.never_capture = True
    return re2.compile(b"|".join(patterns), options).search
