"""Seconds since 1970 UTC as something to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: float | None, zone: tzinfo = UTC) -> datetime | None:
    """The time in `zone`; None where it is unknown, not finite, or outside the years 1 to 9999."""
    if at is None:
        return None
    try:
        return (_EPOCH + timedelta(seconds=at)).astimezone(zone)
    except (ValueError, OverflowError):
        return None


def iso_time(at: float | None) -> str | None:
    """The time as `2026-11-23T10:22:00Z`, with six decimals if it has a fraction; None as above."""
    at_utc = moment(at)
    return None if at_utc is None else at_utc.replace(tzinfo=None).isoformat() + "Z"


def milliseconds(at: float | None) -> int | None:
    """The time as whole milliseconds since 1970 UTC; None as above."""
    at_utc = moment(at)
    return None if at_utc is None else (at_utc - _EPOCH) // timedelta(milliseconds=1)
