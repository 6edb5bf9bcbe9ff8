"""Places and numbers as databases and logs spell them."""

from __future__ import annotations

from typing import Any

_DIGITS = 10


def place_of(latitude: Any, longitude: Any) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, from numbers or texts; None for half a place, or what is
    none on Earth."""
    north, east = _degrees(latitude, 90), _degrees(longitude, 180)
    # Zero and zero lies in the sea: it stands for an unknown place.
    return None if north is None or east is None or (north, east) == (0, 0) else (north, east)


def _degrees(value: Any, most: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if -most <= found <= most else None


def number_of(value: Any) -> int | None:
    """A number from itself or from text, which may have AS before it as networks have. These have
    32 bits (RFC 6793): text of more digits, which a log may hold, is none."""
    if isinstance(value, str):
        digits = value.upper().removeprefix("AS")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS
        return int(digits) if is_number else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
