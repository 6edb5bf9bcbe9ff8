"""The one exit table of every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. `BAD_INPUT` beats `FOUND`; the good part is still done and shown."""

    DONE = 0
    FOUND = 1
    BAD_INPUT = 2
    USAGE = 3
