"""Sigma's rule levels as ordered values."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Sigma's levels, in order. Critical and high are actions, medium is a recommendation."""

    INFORMATIONAL = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name.lower()
