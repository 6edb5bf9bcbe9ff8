r"""What a value can look like, and whether a wanted text can be among it.

A query of the pack reads the registry below a few keys, `key LIKE 'HKEY_USERS\%\Environment'`. The
values of such a column have a form; a rule whose text no value of that form can meet need not be
asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from molehunt.conditions import Text, Wild

_PARTS = re.compile(r"%+|_|[^%_]+")
_KEY_PARTS = re.compile(r"%+|[^%]+")


class Any(IntEnum):
    """A part of a form that is not known: one character, a run, a run without a backslash."""

    ONE = 0
    RUN = 1
    NAME = 2


@dataclass(frozen=True)
class Form:
    """Known texts and unknown parts, in order."""

    parts: tuple[str | Any, ...]

    @property
    def exact(self) -> str | None:
        """The one text of this form; None if there are several."""
        known = [one for one in self.parts if isinstance(one, str)]
        return "".join(known) if len(known) == len(self.parts) else None

    def can_be(self, wanted: Text) -> bool:
        """Whether some text of this form is a wanted one, letter case aside."""
        reached = self._onwards(1)
        for step in _steps(wanted):
            if step is Wild.ANY:
                # What the form may still have in front of a place, the wildcard takes.
                reached = self._all & -(reached & -reached)
            else:
                reached = self._after(reached, step)
            if not reached:
                return False
        return bool(reached >> len(self._units))

    @cached_property
    def _units(self) -> tuple[str | Any, ...]:
        units: list[str | Any] = []
        for part in self.parts:
            units += part.lower() if isinstance(part, str) else [part]
        return tuple(units)

    @cached_property
    def _all(self) -> int:
        return (1 << (len(self._units) + 1)) - 1

    @cached_property
    def _places(self) -> dict[object, int]:
        """The places of each unit, as bits."""
        places: dict[object, int] = {}
        for number, unit in enumerate(self._units):
            places[unit] = places.get(unit, 0) | 1 << number
        return places

    def _onwards(self, reached: int) -> int:
        """Runs may be empty: the places behind them are reached with those before them."""
        runs = self._places.get(Any.RUN, 0) | self._places.get(Any.NAME, 0)
        while (more := reached | (reached & runs) << 1) != reached:
            reached = more
        return reached

    def _after(self, reached: int, step: str | Wild) -> int:
        """The places reached by one more character; a `Wild.ONE` is any."""
        at = self._places.get
        if step is Wild.ONE:
            runs = at(Any.RUN, 0) | at(Any.NAME, 0)
            return self._onwards(reached & runs | (reached & ~runs & self._all >> 1) << 1)
        runs = at(Any.RUN, 0) | (0 if step == "\\" else at(Any.NAME, 0))
        ones = at(step, 0) | at(Any.ONE, 0)
        return self._onwards(reached & runs | (reached & ones) << 1)


def like(pattern: str, *, keys: bool = False) -> Form:
    r"""What `LIKE pattern` finds. With `keys`, as osquery reads registry keys: `_` is itself, `%`
    stays within a key's name, `%%` does not (expandRegistryGlobs in osquery's
    tables/system/windows/registry.cpp).
    """
    parts: list[str | Any] = []
    for part in (_KEY_PARTS if keys else _PARTS).findall(pattern):
        if part[0] == "%":
            parts.append(Any.NAME if keys and len(part) == 1 else Any.RUN)
        else:
            parts.append(Any.ONE if part == "_" and not keys else part)
    return Form(tuple(parts))


def _steps(wanted: Text) -> Iterator[str | Wild]:
    """Character by character; those whose other letter case may be two characters are not held to
    anything."""
    for part in wanted.parts:
        if isinstance(part, Wild):
            yield part
        else:
            yield from (one if one.isascii() else Wild.ANY for one in part.lower())
