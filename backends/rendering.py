"""JSON as it is written into files that people read and compare."""

from __future__ import annotations

import json
from typing import Any

import orjson

# The one ASCII character that json escapes and orjson does not.
_DELETE = b"\x7f"


def pretty(value: Any) -> bytes:
    """What `json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)` writes, in UTF-8 and
    with a line end, an order of magnitude sooner.

    Numbers are written as orjson writes them (1e16, not 1e+16). Raises TypeError for what JSON has
    not, integers beyond 64 bits among it.
    """
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(value, option=option)


def line(value: Any) -> bytes:
    """The same on one line, without spaces. What orjson does not write, json does."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        bare = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return f"{bare}\n".encode()


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
