"""The part of the engine that is written in C: `judge.c`, which looks at every line.

It is built where there is a C compiler, with Python's headers, when molehunt is installed. Without
it everything works the same, slower.
"""

from __future__ import annotations

from types import ModuleType

# Of what the two sides tell each other: changed in judge.h too.
FORM = 5


def part_in_c() -> ModuleType | None:
    """The module, if it was built here from sources that fit this code."""
    try:
        from . import _judge
    except ImportError:
        return None
    return _judge if _judge.FORM == FORM else None
