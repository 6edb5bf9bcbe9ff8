r"""Sigma texts with wildcards, and which of two can match the same value.

Values are read as pySigma reads them: `\*`, `\?` and `\\` are the plain characters, any other
backslash is itself (Sigma rules specification 2.1.0, "Escape Character").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..conditions import Wild

Glob = tuple[str | Wild, ...]
"""Plain parts and wildcards in turn; plain parts are folded by `fold`."""


def parse(text: str) -> Glob:
    """The parts of a value as it stands in a rule, letter case kept."""
    if "*" not in text and "?" not in text and "\\\\" not in text:
        return (text,) if text else ()
    parts: list[str | Wild] = []
    plain: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in ("*", "?", "\\"):
            plain.append(text[position + 1])
            position += 2
            continue
        if character in "*?":
            if plain:
                parts.append("".join(plain))
                plain = []
            parts.append(Wild.ANY if character == "*" else Wild.ONE)
        else:
            plain.append(character)
        position += 1
    if plain:
        parts.append("".join(plain))
    return tuple(parts)


def written(glob: Glob) -> str:
    """The shortest text that `parse` reads as these parts."""
    texts = []
    for part in glob:
        if isinstance(part, Wild):
            texts.append("*" if part is Wild.ANY else "?")
            continue
        escaped = part.replace("*", "\\*").replace("?", "\\?")
        texts.append(escaped.replace("\\\\", "\\\\\\\\"))
    text = "".join(texts)
    return text if parse(text) == glob else "".join(map(_careful, glob))


def _careful(part: str | Wild) -> str:
    if isinstance(part, Wild):
        return "*" if part is Wild.ANY else "?"
    return part.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def fold(glob: Glob) -> Glob:
    """The same without letter case and without doubled `*`."""
    parts: list[str | Wild] = []
    for part in glob:
        if part is Wild.ANY and parts and parts[-1] is Wild.ANY:
            continue
        parts.append(part if isinstance(part, Wild) else part.lower())
    return tuple(parts)


def modified(glob: Glob, modifiers: Sequence[str]) -> Glob:
    """With what `contains`, `startswith` and `endswith` add."""
    before = "contains" in modifiers or "endswith" in modifiers
    after = "contains" in modifiers or "startswith" in modifiers
    if before and (not glob or glob[0] is not Wild.ANY):
        glob = (Wild.ANY, *glob)
    if after and (glob[-1:] != (Wild.ANY,)):
        glob = (*glob, Wild.ANY)
    return glob


def overlap(one: Glob, other: Glob) -> bool:
    """Whether some text matches both (both folded)."""
    if Wild.ANY not in one:
        return covers(other, one) if Wild.ONE not in one else _walk(one, other)
    if Wild.ANY not in other:
        return covers(one, other) if Wild.ONE not in other else _walk(one, other)
    return _agree(_head(one), _head(other)) and _agree(
        list(reversed(_tail(one))), list(reversed(_tail(other)))
    )


def _head(glob: Glob) -> list[str | Wild]:
    found: list[str | Wild] = []
    for part in glob:
        if part is Wild.ANY:
            break
        found.extend([part] if isinstance(part, Wild) else part)
    return found


def _tail(glob: Glob) -> list[str | Wild]:
    return list(reversed(_head(tuple(_turned(part) for part in reversed(glob)))))


def _turned(part: str | Wild) -> str | Wild:
    return part if isinstance(part, Wild) else part[::-1]


def _agree(one: Sequence[str | Wild], other: Sequence[str | Wild]) -> bool:
    return all(
        isinstance(a, Wild) or isinstance(b, Wild) or a == b
        for a, b in zip(one, other, strict=False)
    )


def _tokens(glob: Glob) -> list[str | Wild]:
    found: list[str | Wild] = []
    for part in glob:
        found.extend([part] if isinstance(part, Wild) else part)
    return found


def _walk(one: Glob, other: Glob) -> bool:
    """The same for patterns of which one has a fixed length, place by place."""
    a, b = _tokens(one), _tokens(other)
    reachable = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if i == len(a) and j == len(b):
            return True
        following = []
        if i < len(a) and a[i] is Wild.ANY:
            following += [(i + 1, j), *([(i, j + 1)] if j < len(b) else [])]
        elif j < len(b) and b[j] is Wild.ANY:
            following += [(i, j + 1), *([(i + 1, j)] if i < len(a) else [])]
        elif i < len(a) and j < len(b) and _agree([a[i]], [b[j]]):
            following.append((i + 1, j + 1))
        for place in following:
            if place not in reachable:
                reachable.add(place)
                waiting.append(place)
    return False


@lru_cache(maxsize=1 << 16)
def covers(wide: Glob, narrow: Glob) -> bool:
    """Whether every text that `narrow` matches is matched by `wide` too (both folded).

    May say no where the answer is yes; never the other way round.
    """
    if wide in (narrow, (Wild.ANY,)):
        return True
    if len(wide) == 1 and isinstance(wide[0], str):
        return False
    if len(wide) == 3 and wide[0] is Wild.ANY and wide[2] is Wild.ANY and isinstance(wide[1], str):
        return any(isinstance(part, str) and wide[1] in part for part in narrow)
    if len(wide) == 2 and wide[0] is Wild.ANY and isinstance(wide[1], str):
        return bool(narrow) and isinstance(narrow[-1], str) and narrow[-1].endswith(wide[1])
    if len(wide) == 2 and wide[1] is Wild.ANY and isinstance(wide[0], str):
        return bool(narrow) and isinstance(narrow[0], str) and narrow[0].startswith(wide[0])
    return _covers(_tokens(wide), _tokens(narrow))


def _covers(wide: list[str | Wild], narrow: list[str | Wild]) -> bool:
    """Glob matching where the wildcards of `narrow` are letters that only wildcards match."""
    i = j = 0
    star = mark = -1
    while j < len(narrow):
        if i < len(wide) and wide[i] is Wild.ANY:
            star, mark = i, j
            i += 1
        elif i < len(wide) and (
            wide[i] == narrow[j] or (wide[i] is Wild.ONE and narrow[j] is not Wild.ANY)
        ):
            i += 1
            j += 1
        elif star >= 0:
            mark += 1
            i, j = star + 1, mark
        else:
            return False
    return all(part is Wild.ANY for part in wide[i:])
