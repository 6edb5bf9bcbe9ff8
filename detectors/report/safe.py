"""Text from a log, made safe to show: it can never write to the terminal."""

from __future__ import annotations

from unicodedata import category

from .styled import cells_of

ELLIPSIS = "…"

# Control, format, surrogate, private use, unassigned; line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt) as far
# as the categories above do not hold it: fillers and variation selectors, which show nothing.
_IGNORABLE = frozenset(
    code
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180D)),
        *((0x180F, 0x180F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0)),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
# Marks on one letter. Living scripts need fewer; a longer pile is drawn over other lines.
_MARKS = 8


def printable(text: str, width: int | None = None) -> str:
    r"""`text` as it may stand on a terminal, at most `width` cells wide (None: as long as it is).

    Control, format (bidirectional ones too), zero-width and unassigned characters and lone
    surrogates come out as `\t`, `\n`, `\r`, `\x1b`, `\u202e` or `\U000e0041`; a backslash of the
    text stays one backslash, so that Windows paths can be read (the JSON output keeps the two
    apart). A text that is too wide loses its middle; its last path component stays if that fits.
    """
    if text.isascii() and text.isprintable():
        return text if width is None or len(text) <= width else _shortened(list(text), width)
    units = _units(text)
    return "".join(units) if width is None else _shortened(units, width)


def _units(text: str) -> list[str]:
    """The pieces that must not be cut: a character with its marks, or an escape."""
    from rich.cells import cell_len

    units: list[str] = []
    marks = _MARKS
    for character in text:
        if category(character) in _HIDDEN or ord(character) in _IGNORABLE:
            units.append(_escape(character))
            marks = _MARKS
        elif cell_len(character):
            units.append(character)
            marks = 0
        elif marks < _MARKS:
            units[-1] += character
            marks += 1
        else:
            units.append(_escape(character))
    return units


def _escape(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shortened(units: list[str], width: int) -> str:
    sizes = [cells_of(unit) for unit in units]
    if sum(sizes) <= width:
        return "".join(units)
    if width < 1:
        return ""
    room = width - 1
    last = max((i for i, unit in enumerate(units) if unit in "/\\"), default=len(units))
    name = sum(sizes[last:])
    tail = name if room // 4 <= name <= 2 * room // 3 else room // 2
    end = _fitting(sizes[::-1], tail)
    start = _fitting(sizes, room - sum(sizes[len(sizes) - end :]))
    return "".join(units[:start]) + ELLIPSIS + "".join(units[len(units) - end :])


def _fitting(sizes: list[int], room: int) -> int:
    """How many of the first pieces fit into `room` cells."""
    for count, size in enumerate(sizes):
        room -= size
        if room < 0:
            return count
    return len(sizes)
