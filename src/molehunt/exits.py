"""The one exit table of every command."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Exit codes. `BAD_INPUT` beats `FOUND`; the good part is still done and shown."""

    DONE = 0
    FOUND = 1
    BAD_INPUT = 2
    USAGE = 3


def leave(code: Exit) -> NoReturn:
    """End this process, which has nothing left to do, without taking apart what it made: that is
    a twentieth of a second for thousands of queries."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
