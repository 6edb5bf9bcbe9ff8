"""Numbers in text as Lucene regexes: what docs/semantics.md, "Numbers", takes for a number."""

from __future__ import annotations

from decimal import Decimal

_ANY_FRACTION = r"(\.[0-9]+)?"
# Longer texts are no numbers (detectors/values.py).
_SHORT = "(.{1,300})"


def equal(number: int | float) -> str:
    """A regex (flag INTERSECTION) for the texts that are this number."""
    return f"({spelt(number)})&{_SHORT}"


def compared(operator: str, number: int | float) -> str:
    """A regex (flag INTERSECTION) for the texts that are on the other side of a number."""
    return f"({beyond(operator, number)})&{_SHORT}"


def spelt(number: int | float) -> str:
    """A regex for the texts of any length that are this number; other dialects read it too."""
    return _signed(number)


def beyond(operator: str, number: int | float) -> str:
    """A regex for the texts of any length on the other side of a number; alternatives without
    brackets around them. Other dialects read it too."""
    exact = _exact(number)
    alternatives = {
        "<": _below(exact),
        ">": _above(exact),
        "<=": f"{_below(exact)}|{_signed(number)}",
        ">=": f"{_above(exact)}|{_signed(number)}",
        "!=": f"{_below(exact)}|{_above(exact)}",
    }
    return alternatives[operator]


def _exact(number: int | float) -> Decimal:
    return abs(Decimal(str(number))) if number == 0 else Decimal(str(number))


def _signed(number: int | float) -> str:
    exact = _exact(number)
    if exact == 0:
        return r"[\-\+]?" + _exactly(exact)
    return (r"\-" if exact < 0 else r"\+?") + _exactly(abs(exact))


def _digits(number: Decimal) -> tuple[str, str]:
    """The digits before and after the point, without those that say nothing."""
    whole, _, fraction = format(number, "f").partition(".")
    return whole.lstrip("0"), fraction.rstrip("0")


def _exactly(number: Decimal) -> str:
    whole, fraction = _digits(number)
    before = f"0*{whole}" if whole else "0+"
    return before + (rf"\.{fraction}0*" if fraction else r"(\.0+)?")


def _above(number: Decimal) -> str:
    """Greater than it."""
    if number < 0:
        return rf"\-({_smaller(-number)})|\+?[0-9]+{_ANY_FRACTION}"
    return rf"\+?({_greater(number)})"


def _below(number: Decimal) -> str:
    """Less than it."""
    if number > 0:
        return rf"\+?({_smaller(number)})|\-[0-9]+{_ANY_FRACTION}"
    return rf"\-({_greater(-number)})"


def _greater(number: Decimal) -> str:
    """Without a sign, of greater size: one more digit, or the first other digit is greater."""
    whole, fraction = _digits(number)
    longer = f"0*[1-9][0-9]{{{len(whole)},}}{_ANY_FRACTION}"
    found = [longer]
    for place, digit in enumerate(whole):
        if digit < "9":
            rest = len(whole) - place - 1
            found.append(f"0*{whole[:place]}[{int(digit) + 1}-9][0-9]{{{rest}}}{_ANY_FRACTION}")
    before = f"0*{whole}" if whole else "0+"
    for place, digit in enumerate(fraction):
        if digit < "9":
            found.append(rf"{before}\.{fraction[:place]}[{int(digit) + 1}-9][0-9]*")
    found.append(rf"{before}\.{fraction}[0-9]*[1-9][0-9]*")
    return "|".join(found)


def _smaller(number: Decimal) -> str:
    """Without a sign, of smaller size than a number that is not 0."""
    whole, fraction = _digits(number)
    found = []
    if whole:
        if len(whole) > 1:
            found.append(f"0*[0-9]{{1,{len(whole) - 1}}}{_ANY_FRACTION}")
        for place, digit in enumerate(whole):
            lowest = "0" if place or len(whole) == 1 else "1"
            if digit > lowest:
                rest = len(whole) - place - 1
                found.append(
                    f"0*{whole[:place]}[{lowest}-{int(digit) - 1}][0-9]{{{rest}}}{_ANY_FRACTION}"
                )
    before = f"0*{whole}" if whole else "0+"
    for place, digit in enumerate(fraction):
        shorter = fraction[:place]
        # It may end before this digit, with zeros or without a point.
        found.append(rf"{before}\.{shorter}0*" if shorter else rf"{before}(\.0+)?")
        if digit > "0":
            found.append(rf"{before}\.{shorter}[0-{int(digit) - 1}][0-9]*")
    return "|".join(dict.fromkeys(found))
