"""JSON as it is written into files that people read and compare."""

from __future__ import annotations

import json
from typing import Any

import orjson

# The one ASCII character that json escapes and orjson does not.
_DELETE = b"\x7f"
_INDENTS = tuple(b" " * (width // 2) for width in range(200))


def pretty(value: Any) -> bytes:
    """What `json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)` writes, in UTF-8 and
    with a line end, an order of magnitude sooner.

    Numbers are written as orjson writes them (1e16, not 1e+16). Raises TypeError for what JSON has
    not, integers beyond 64 bits among it.
    """
    return pretty_and_line(value)[0]


def line(value: Any) -> bytes:
    """The same without `indent`: a line. What orjson does not write, json does."""
    try:
        return _joined(_bare(_lines(value)))
    except TypeError:
        return (json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n").encode()


def pretty_and_line(value: Any) -> tuple[bytes, bytes]:
    """Both, which is little more than one."""
    lines = _lines(value)
    bare = _bare(lines)
    found = [_indent(len(whole) - len(one)) + one for whole, one in zip(lines, bare, strict=True)]
    return b"\n".join(found) + b"\n", _joined(bare)


def _lines(value: Any) -> list[bytes]:
    # Within texts every line end and control character is escaped, so that a line end here stands
    # between the parts, and what follows it is the indent.
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).split(b"\n")


def _bare(lines: list[bytes]) -> list[bytes]:
    return list(map(bytes.lstrip, lines))


def _indent(width: int) -> bytes:
    """orjson indents by two."""
    return _INDENTS[width] if width < len(_INDENTS) else b" " * (width // 2)


def _joined(bare: list[bytes]) -> bytes:
    return b"\n".join(bare).replace(b",\n", b", ").replace(b"\n", b"") + b"\n"


def indented(value: Any, sort_keys: bool = False) -> str:
    """What `json.dumps(value, indent=2)` writes, sooner where all of it is ASCII. Numbers as in
    `pretty`."""
    option = orjson.OPT_INDENT_2 | (orjson.OPT_SORT_KEYS if sort_keys else 0)
    try:
        text = orjson.dumps(value, option=option)
    except TypeError:
        text = _DELETE
    if text.isascii() and _DELETE not in text:
        return text.decode()
    return json.dumps(value, indent=2, sort_keys=sort_keys)
