r"""An RE2 search as Lucene regexes, which must match the whole text and know no assertions.

`^`, `$`, `\b` are taken out by intersecting what stands before and after them with what may stand
there. Alternatives that hold one become regexes of their own, any of which may match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from .ranges import ANY, WORD, Ranges, common, negated, of, union, written
from .re2tree import Alt, Assert, Char, Node, Repeat, Seq, Unsaid, parse

# `index.max_regex_length`, which nobody raises for one rule.
MAX_LENGTH = 1000
_MAX_ALTERNATIVES = 256
_MAX_REPEAT = 1000
_ANYTHING = Repeat(Char(ANY), 0, None)


def whole(pattern: str, flags: str) -> list[str]:
    """Lucene regexes (flag INTERSECTION) one of which matches a whole text just if RE2 finds the
    pattern in it. Raises `Unsaid`."""
    return list(_whole(pattern, flags))


@lru_cache(maxsize=1 << 13)
def _whole(pattern: str, flags: str) -> tuple[str, ...]:
    sequences = _sequences(Seq((_ANYTHING, parse(pattern, flags), _ANYTHING)))
    return tuple(dict.fromkeys(text for parts in sequences for text in _short_enough(_flat(parts))))


def _short_enough(parts: tuple[Node, ...]) -> Iterator[str]:
    """The regex of some parts, or several if it would be too long and has alternatives."""
    text = _regex(parts)
    if text is None:
        return
    if len(text) <= MAX_LENGTH:
        yield text
        return
    place = next((n for n, part in enumerate(parts) if isinstance(part, Alt)), None)
    if place is None:
        raise Unsaid(f"a pattern that is longer than {MAX_LENGTH} characters in Lucene's spelling")
    found = parts[place]
    assert isinstance(found, Alt)
    for part in found.parts:
        yield from _short_enough(_flat((*parts[:place], part, *parts[place + 1 :])))


def _flat(parts: tuple[Node, ...]) -> tuple[Node, ...]:
    found: list[Node] = []
    for part in parts:
        found += _flat(part.parts) if isinstance(part, Seq) else (part,)
    return tuple(found)


def _holds_assertion(node: Node) -> bool:
    if isinstance(node, Assert):
        return True
    if isinstance(node, Repeat):
        return _holds_assertion(node.part)
    return isinstance(node, (Seq, Alt)) and any(map(_holds_assertion, node.parts))


def _sequences(node: Node) -> list[tuple[Node, ...]]:
    """The node as alternatives of parts, none of which has an assertion inside it."""
    if not _holds_assertion(node) or isinstance(node, Assert):
        return [(node,)]
    if isinstance(node, Alt):
        plain = tuple(part for part in node.parts if not _holds_assertion(part))
        odd = [one for p in node.parts if _holds_assertion(p) for one in _sequences(p)]
        return [*odd, (Alt(plain),)] if plain else odd
    if isinstance(node, Seq):
        found: list[tuple[Node, ...]] = [()]
        for part in node.parts:
            found = [(*one, *more) for one in found for more in _sequences(part)]
            if len(found) > _MAX_ALTERNATIVES:
                raise Unsaid("too many alternatives with ^, $ or \\b in them")
        return found
    if isinstance(node, Repeat) and node.most is not None and node.most <= 4:
        return [
            one
            for count in range(node.least, node.most + 1)
            for one in _sequences(Seq((node.part,) * count))
        ]
    raise Unsaid("^, $ or \\b inside a repetition")


def _regex(parts: tuple[Node, ...]) -> str | None:
    """Parts with assertions between them as one Lucene regex; None if nothing can match."""
    place = next((n for n, part in enumerate(parts) if isinstance(part, Assert)), None)
    if place is None:
        return "".join(map(_write, parts))
    kind = parts[place]
    assert isinstance(kind, Assert)
    found = []
    for before_is, after_is in _SIDES[kind.kind]:
        held = _held(parts[:place], before_is, at_end=True)
        left = None if held is None else _regex(held)
        after = [_regex_after(parts[place + 1 :], one) for one in after_is]
        rights = [one for one in after if one is not None]
        if left is not None and rights:
            found.append(left + _any_of(rights))
    return _any_of(found) if found else None


def _any_of(texts: list[str]) -> str:
    """One of several regexes, of which the empty text may be one."""
    if len(texts) == 1:
        return texts[0]
    full = [text for text in texts if text]
    return "(" + "|".join(full) + ")" + ("?" if len(full) < len(texts) else "")


def _regex_after(parts: tuple[Node, ...], must: str) -> str | None:
    """The parts after an assertion, which may hold further ones, beginning as it says."""
    if must == "empty":
        return _regex_of_nothing(parts)
    place = next((n for n, part in enumerate(parts) if isinstance(part, Assert)), len(parts))
    held = _held(parts[:place], must, at_end=False)
    # What must begin so, but may be empty up to the next assertion, begins behind that.
    if must != "any" and all(map(_nullable, parts[:place])) and place < len(parts):
        raise Unsaid("assertions that may stand side by side")
    return None if held is None else _regex((*held, *parts[place:]))


def _regex_of_nothing(parts: tuple[Node, ...]) -> str | None:
    """Parts after which, and in which, nothing stands; None if they need something."""
    if not all(isinstance(part, Assert) or _nullable(part) for part in parts):
        return None
    if any(isinstance(part, Assert) and part.kind not in ("$", "m$") for part in parts):
        raise Unsaid("assertions that may stand side by side")
    return ""


class _Both(NamedTuple):
    """What matches both."""

    one: Seq
    other: Seq


_EDGES = {"word": WORD, "other": negated(WORD), "newline": of("\n")}


def _held(parts: tuple[Any, ...], must: str, *, at_end: bool) -> tuple[Any, ...] | None:
    """The parts, held to an edge: `at_end` theirs on the right, else on the left. None: cannot."""
    if must == "any":
        return parts
    if must == "empty":
        return () if all(map(_nullable, parts)) else None
    wanted = _EDGES[must]
    found, nullable = _edge(Seq(parts), at_end=at_end)
    if not common(found, wanted):
        return None
    if not nullable and not common(found, negated(wanted)):
        return parts
    held = (_ANYTHING, Char(wanted)) if at_end else (Char(wanted), _ANYTHING)
    if parts == (_ANYTHING,):
        return held
    return (_Both(Seq(parts), Seq(held)),)


def _edge(node: Any, *, at_end: bool) -> tuple[Ranges, bool]:
    """The characters that may stand at one end, and whether it may be empty."""
    if isinstance(node, Char):
        return node.ranges, False
    if isinstance(node, Repeat):
        return _edge(node.part, at_end=at_end)[0], _nullable(node)
    if isinstance(node, _Both):
        one, other = _edge(node.one, at_end=at_end), _edge(node.other, at_end=at_end)
        return common(one[0], other[0]), False
    if isinstance(node, Alt):
        return union(*(_edge(p, at_end=at_end)[0] for p in node.parts)), _nullable(node)
    found: Ranges = ()
    for part in reversed(node.parts) if at_end else node.parts:
        ranges, nullable = _edge(part, at_end=at_end)
        found = union(found, ranges)
        if not nullable:
            return found, False
    return found, True


# For each assertion, what may stand before and after it.
_SIDES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "^": (("empty", ("any",)),),
    "$": (("any", ("empty",)),),
    "m^": (("empty", ("any",)), ("newline", ("any",))),
    "m$": (("any", ("empty", "newline")),),
    "b": (("word", ("other", "empty")), ("other", ("word",)), ("empty", ("word",))),
    "B": (
        ("word", ("word",)),
        ("other", ("other", "empty")),
        ("empty", ("other", "empty")),
    ),
}


def _nullable(node: Any) -> bool:
    if isinstance(node, (Char, _Both)):
        return False
    if isinstance(node, Repeat):
        return node.least == 0 or _nullable(node.part)
    if isinstance(node, Alt):
        return any(map(_nullable, node.parts))
    return isinstance(node, Seq) and all(map(_nullable, node.parts))


def _write(node: Any) -> str:
    if isinstance(node, Char):
        # Nothing is in the empty set: an intersection of two characters says so.
        return written(node.ranges) if node.ranges else "(a&b)"
    if isinstance(node, _Both):
        return "((" + _write(node.one) + ")&(" + _write(node.other) + "))"
    if isinstance(node, Seq):
        return "".join(map(_write, node.parts)) or "()"
    if isinstance(node, Alt):
        return "(" + "|".join(map(_write, node.parts)) + ")"
    assert isinstance(node, Repeat)
    return _grouped(node.part) + _times(node.least, node.most)


def _grouped(node: Any) -> str:
    text = _write(node)
    return text if isinstance(node, (Char, Alt)) else f"({text})"


def _times(least: int, most: int | None) -> str:
    if (least, most) in ((0, None), (1, None), (0, 1)):
        return {(0, None): "*", (1, None): "+", (0, 1): "?"}[least, most]
    if max(least, most or 0) > _MAX_REPEAT:
        raise Unsaid("a repetition of more than a thousand times")
    return f"{{{least},}}" if most is None else f"{{{least},{most}}}"


def alternatives(texts: Iterable[str]) -> Iterator[str]:
    """Regexes joined with `|` as far as each stays short enough."""
    current = ""
    for text in texts:
        if current and len(current) + len(text) + 1 > MAX_LENGTH:
            yield current
            current = ""
        current = f"{current}|{text}" if current else text
    if current:
        yield current
