"""Texts that are hard to match and to write as JSON, and small edits of them.

The reading of case, numbers and osquery's escaping here is a second one, written from
docs/semantics.md and not from the code under test.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random
from typing import Any

PLAIN = string.ascii_letters + string.digits
MARKS = "\"\\/'<>&%$ -_.:,;=()[]{}|~#@!^`+*?"
# Characters whose case or form is a trap: Kelvin sign, dotted and dotless i, long s, sharp s,
# sigmas, titlecase digraph, Angstrom sign, a combining accent, beyond the basic plane.
TRAPS = "\u212a\u0130\u0131\u017f\u00df\u1e9e\u03a3\u03c3\u03c2\u01c5\u212b\u0301\U0001f600\U00010400"
OTHERS = "\u00e4\u00c9\u00f1\u0416\u0436\ud55c\u4e2d\u3042\u2028\u00a0\ufeff"
CONTROLS = "\n\t\r\x01\x08\x1b\x1f"
FILLER = " =~.0123456789"


class _Nothing:
    """Stands for a column that is not in the row at all."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Nothing()


def token(rng: Random, low: int = 4, high: int = 9) -> str:
    """Letters and digits, a letter at both ends that no number has."""
    inner = "".join(rng.choices(PLAIN, k=max(0, rng.randint(low, high) - 2)))
    return rng.choice("ghkmGHKM") + inner + rng.choice("rstwxyRSTWXY")


def hard(rng: Random, low: int = 3, high: int = 12) -> str:
    """A text with marks, traps and now and then a control character in it."""
    kinds = rng.choices("pmtoc", weights=(70, 14, 6, 7, 3), k=rng.randint(low, high))
    pools = {"p": PLAIN, "m": MARKS, "t": TRAPS, "o": OTHERS, "c": CONTROLS}
    return "".join(rng.choice(pools[kind]) for kind in kinds)


def wanted(rng: Random) -> str:
    """A text that a rule could look for."""
    kind = rng.random()
    if kind < 0.5:
        return token(rng)
    if kind < 0.65:
        return "/".join(["", *(token(rng, 3, 5) for _ in range(rng.randint(1, 3)))])
    if kind < 0.75:
        return "\\".join(["C:", *(token(rng, 3, 5) for _ in range(rng.randint(1, 2)))])
    return hard(rng)


def filler(rng: Random, most: int = 6) -> str:
    """A text around what is looked for; rarely a very long one."""
    if rng.random() < 0.004:
        return rng.choice(FILLER) * rng.randint(5_000, 60_000)
    return "".join(rng.choices(FILLER, k=rng.randint(0, most)))


def lower(char: str) -> str:
    """The simple lower-case form of a character, if that is one character of the same alphabet."""
    small = char.lower()
    return small if len(small) == 1 and (ord(char) < 128) == (ord(small) < 128) else char


def no_case(text: str) -> str:
    """A text with its case taken away, character by character."""
    return "".join([lower(char) for char in text])


def swap_case(rng: Random, text: str, share: float = 0.3) -> str:
    """The same text but for case."""
    return "".join(
        swapped
        if rng.random() < share
        and len(swapped := char.swapcase()) == 1
        and lower(swapped) == lower(char)
        else char
        for char in text
    )


def as_text(value: Any) -> str:
    """A scalar as the text that a rule sees."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


_DECIMAL = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def as_number(value: Any) -> Fraction | None:
    """A scalar as an exact number, if it is one to a rule."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return Fraction(value)
    # A text of decimals is a double here as in JSON.
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Fraction(float(value)) if "." in value else Fraction(value)
    return None


def escaped(text: str, old: bool) -> str:
    r"""A text as osquery writes it into differential rows: `\x0A`; before 5.22 also `\xC3\xA4`."""
    return "".join(
        "".join(f"\\x{byte:02X}" for byte in char.encode())
        if char < " " or (old and char > "\x7f")
        else char
        for char in text
    )


def edits(rng: Random, value: Any) -> Iterator[Any]:
    """Endless values that differ from `value` by one edit."""
    while True:
        if rng.random() < 0.12:
            edited: Any = rng.choice([MISSING, None, ""])
        elif isinstance(value, str):
            edited = rng.choice(_TEXT_EDITS)(rng, value)
        elif isinstance(value, bool):
            edited = rng.choice([not value, as_text(value), int(value)])
        elif isinstance(value, (int, float)):
            edited = rng.choice([value + 1, value - 1, -value, str(value), f"{value} ", value + 0.5])
        elif isinstance(value, tuple) and value:
            items = list(value)
            place = rng.randrange(len(items))
            items[place : place + 1] = [] if rng.random() < 0.3 else [next(edits(rng, items[place]))]
            edited = tuple(None if item is MISSING else item for item in items)
        else:
            edited = token(rng)
        if type(edited) is not type(value) or edited != value:
            yield edited


def _replace(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(PLAIN + MARKS) + text[place + 1 :]


def _insert(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(PLAIN + MARKS + TRAPS) + text[place:]


def _delete(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + text[place + 1 :]


def _case(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + text[place : place + 1].swapcase() + text[place + 1 :]


_LOOKALIKES = {
    "k": "\u212a", "i": "\u0130", "s": "\u017f", "\u00e5": "\u212b", "\u03c3": "\u03c2",
    "\u00df": "\u1e9e", "\n": "\\n", "\t": "\\t", "\\": "\\\\", "/": "\\/", '"': '\\"', "-": "\u2013",
    "*": "\\*", "?": "\\?", ".": "\\.",
}  # fmt: skip


def _lookalike(rng: Random, text: str) -> str:
    """One character for another that careless code takes for the same, an escape among them."""
    places = [place for place, char in enumerate(text) if lower(char) in _LOOKALIKES]
    if not places:
        return _replace(rng, text)
    place = rng.choice(places)
    return text[:place] + _LOOKALIKES[lower(text[place])] + text[place + 1 :]


def _component(rng: Random, text: str) -> str:
    slash = "\\" if "\\" in text else "/"
    parts = text.split(slash)
    parts[rng.randrange(len(parts))] = token(rng, 3, 5)
    return slash.join(parts)


def _around(rng: Random, text: str) -> str:
    return rng.choice([text + rng.choice(PLAIN + " \n"), rng.choice(PLAIN + " /\n") + text])


def _json_escape(rng: Random, text: str) -> str:
    """A character turned into the text of its own JSON escape."""
    if not text:
        return "\\u0020"
    place = rng.randrange(len(text))
    return text[:place] + f"\\u{ord(text[place]) & 0xFFFF:04x}" + text[place + 1 :]


_TEXT_EDITS: list[Callable[[Random, str], str]] = [
    _replace, _replace, _insert, _delete, _case, _lookalike, _component, _around, _json_escape,
]  # fmt: skip
