"""What was made of the same objects before. Correlations ask again what their members ask, and most
rules are members of several."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Made = TypeVar("_Made")
MOST = 1 << 15
_MADE: dict[tuple[Any, ...], tuple[Any, object]] = {}


def remembered(make: Callable[[], _Made], kind: Hashable, *of: object) -> _Made:
    """What `make` gives, which must be the same for the same objects and must not be changed."""
    key = (kind, *map(id, of))
    known = _MADE.get(key)
    if known is None:
        if len(_MADE) >= MOST:
            _MADE.clear()
        # With what it is of, so that nothing else can come to have these identities.
        known = _MADE[key] = (make(), of)
    made: _Made = known[0]
    return made
