"""The layout of a raw line: which keys it has, in which order and nesting, without parsing it.

Lines of one query mostly have one layout. A layout is taken from a parsed line and then recognised
in others by their structural bytes: without spaces, a key's first quote follows a comma or a brace,
and such a pair of bytes stands inside a text only at its end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson


class Layout(NamedTuple):
    """`tokens` stand in a line of this layout in this order; it has `keys` keys in all."""

    tokens: tuple[bytes, ...]
    keys: int
    columns: tuple[str, ...]

    def fits(self, line: bytes) -> bool:
        """Whether a line has exactly these keys in this order and nesting."""
        if line.count(b',"') + line.count(b'{"') != self.keys:
            return False
        place, find = 0, line.find
        for token in self.tokens:
            place = find(token, place)
            if place < 0:
                return False
            place += len(token)
        return True


def layout_of(line: bytes) -> Layout | None:
    """The layout of an osquery result line in event format, written without spaces.

    None for any other line, and for one with a text that ends in a comma or a brace.
    """
    try:
        document = orjson.loads(line)
    except ValueError:
        return None
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict) or "snapshot" in document or "diffResults" in document:
        return None
    tokens: list[bytes] = []
    before = b"{"
    for key, value in document.items():
        if isinstance(value, dict):
            tokens.append(before + _key(key) + b"{")
            inner = [_key(name) for name in value]
            tokens += [token if i == 0 else b"," + token for i, token in enumerate(inner)]
            before = b"},"
        else:
            tokens.append(before + _key(key))
            before = b","
    found = Layout(tuple(tokens), len(tokens), tuple(columns))
    return found if _is_flat(document) and found.fits(line) else None


def _key(name: str) -> bytes:
    return orjson.dumps(name) + b":"


def _is_flat(document: dict[str, Any]) -> bool:
    """Scalars, and objects of scalars."""
    return not any(
        isinstance(inner, (dict, list))
        for value in document.values()
        for inner in (value.values() if isinstance(value, dict) else [value])
    )
