"""JSON as it is written into files that people read and compare."""

from __future__ import annotations

from typing import Any

import orjson

_MARK = b"\x01"


def pretty(value: Any) -> bytes:
    """What `json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)` writes, in UTF-8 and
    with a line end, an order of magnitude sooner.

    Numbers are written as orjson writes them (1e16, not 1e+16). Raises TypeError for what JSON has
    not, integers beyond 64 bits among it.
    """
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    # orjson indents by two. Within texts every line end and control character is escaped, so what
    # follows a line end here is the indent. The deepest come first.
    deepest = 0
    while b"\n  " + b"  " * deepest in text:
        deepest += 1
    for depth in range(deepest, 0, -1):
        text = text.replace(b"\n" + b"  " * depth, b"\n" + _MARK * depth)
    return text.replace(_MARK, b" ") + b"\n"
