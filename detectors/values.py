"""What a logged value is as text and as number, and what "the same letter" means.

These few definitions are shared by the evaluator and the engine; everything built on them exists
twice. They are explained in docs/semantics.md.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache

from .records import Scalar

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\Z")
# Longer ones are no quantities; Python refuses to read 4,300 digits, and a double ends at 309.
_MAX_DIGITS, _MAX_NUMBER = 300, 10**300


def as_text(value: Scalar) -> str:
    """A logged value as the text that strings, wildcards and regexes see.

    JSON true and false are `true` and `false`; numbers as Python prints them (`1.0`, `1e+20`,
    which is also how osquery prints doubles as text).
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def as_number(value: Scalar) -> int | float | None:
    """A logged value as a number, or None. Text counts if it is a plain decimal number.

    osquery logs numbers as text unless `--logger_numerics` is set. Hexadecimal text, exponents in
    text and surrounding spaces are no numbers, nor is text of more than 300 characters or what
    is not below 10^300; a boolean is none.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        if len(value) > _MAX_DIGITS or not _NUMBER.match(value):
            return None
        return float(value) if "." in value else int(value)
    return value if abs(value) < _MAX_NUMBER else None


def fold(text: str) -> str:
    """The text with case taken away: every character's simple lower-case form.

    One character to one, whatever stands beside it. An ASCII letter has only its own two forms, so
    U+212A KELVIN SIGN is not `k` and U+0130 is not `i`.
    """
    return text.lower() if text.isascii() else "".join(map(_fold_character, text))


@cache
def near_case() -> str:
    """Every character that has another in the other case, among some that have none, in order."""
    # There is none above the second plane (Unicode 16), nor among surrogates.
    runs = (
        "".join(map(chr, range(at, at + 256)))
        for at in (*range(0, 0xD800, 256), *range(0xE000, 0x20000, 256))
    )
    return "".join(run for run in runs if run.lower() != run or run.upper() != run)


def _fold_character(character: str) -> str:
    lower = character.lower()
    if len(lower) != 1 or (lower.isascii() and not character.isascii()):
        return character
    return lower


def as_time(value: Scalar) -> datetime | None:
    """A logged value as a moment: ISO 8601 text as it stands, or seconds since 1970 in UTC.

    The specification says the time modifiers convert no time zones, so text is taken at its word.
    """
    number = as_number(value)
    try:
        if number is not None:
            return datetime.fromtimestamp(number, UTC)
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
