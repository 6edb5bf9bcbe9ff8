"""Log text never writes to the terminal and never grows beyond its cell."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from molehunt.detectors.report.excerpt import excerpt, matched_span
from molehunt.detectors.report.safe import printable

# Every code point, surrogates included, with the dangerous ones often.
_ANY = st.text(
    st.one_of(
        st.characters(codec=None, exclude_categories=()),
        st.sampled_from("\x1b\x9b\x07\r\n\t\u202e\u2066\u200d\ufe0f\u0301\u0e33\u1160\ud800한/\\ "),
    )
)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(_ANY, st.none() | st.integers(0, 60))
def test_no_character_that_acts_or_hides_comes_out(text: str, width: int | None) -> None:
    """Whatever the text, each character of the result is visible and does nothing."""
    shown = printable(text, width)
    assert not {unicodedata.category(character) for character in shown} & _HIDDEN
    assert shown.isascii() or not set(shown) & set("\ufe0f\u1160\u3164\u034f")


def test_every_single_character_is_judged_by_its_category() -> None:
    """Over all of Unicode: what is hidden, or shows nothing by itself, is escaped; no more."""
    fillers = {"\u115f", "\u3164", "\uffa0"}
    for character in map(chr, range(0x110000)):
        hidden = unicodedata.category(character) in _HIDDEN or character in fillers
        escaped = printable(character) != character
        assert escaped == (hidden or cell_len(character) == 0), hex(ord(character))
    assert printable("abc 한글 é 日本") == "abc 한글 é 日本"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u200e\u200f\u061c\u2066\u2069", r"\u200e\u200f\u061c\u2066\u2069"),
        ("\u2028\u2029\u200b\ufeff", r"\u2028\u2029\u200b\ufeff"),
        ("\udc80", r"\udc80"),
        ("\U000e0041\U000f0000", r"\U000e0041\U000f0000"),
        ("\u3164x\ufe0f", r"\u3164x\ufe0f"),
        ("\u0301e\u0301", "\\u0301e\u0301"),
        (r"C:\Users\anna", r"C:\Users\anna"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_hidden_characters_are_shown_by_their_number(text: str, shown: str) -> None:
    """Escapes are those of the docstring; a backslash of the text stays one."""
    assert printable(text) == shown


def test_a_pile_of_marks_is_cut_off() -> None:
    """Eight marks may stand on one letter; more would be drawn over other lines."""
    shown = printable("e" + "\u0301" * 50)
    assert shown.startswith("e" + "\u0301" * 8 + r"\u0301")
    assert shown.count("\u0301") == 8


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_stays_as_it_is(text: str) -> None:
    """Nothing is done to text that is harmless."""
    assert printable(text) == text


@given(_ANY)
def test_what_is_printable_stays_printable(text: str) -> None:
    """A second pass changes nothing."""
    assert printable(printable(text)) == printable(text)


@given(_ANY, st.integers(0, 60))
def test_a_width_is_never_exceeded(text: str, width: int) -> None:
    """A shortened text fits, and one that fits is not shortened."""
    shown = printable(text, width)
    assert cell_len(shown) <= width
    if cell_len(printable(text)) <= width:
        assert shown == printable(text)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("/Users/anna/Library/AnyDesk/ad_svc.conf", 24, "/Users/anna…/ad_svc.conf"),
        ("/Users/anna/Library/AnyDesk/ad_svc.conf", 12, "/Users….conf"),
        ("/opt/rescue/share/", 12, "/opt/r…hare/"),
        ("C:\\Program Files\\AnyDesk\\AnyDesk.exe", 20, "C:\\Prog…\\AnyDesk.exe"),
        ("한글한글한글", 7, "한글…글"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_the_middle_is_left_out(text: str, width: int, shown: str) -> None:
    """The beginning stays, and the last component of a path where it fits."""
    assert printable(text, width) == shown


@given(_ANY, st.integers(1, 60), st.data())
def test_an_excerpt_fits_and_keeps_what_matched(
    value: str, width: int, data: st.DataObject
) -> None:
    """However long the value, the part that matched stays in sight and the whole fits."""
    start = data.draw(st.integers(0, len(value)))
    part = value[start : start + data.draw(st.integers(0, 9))]
    found = excerpt(value, f"contains '{part}'", width)
    assert sum(map(cell_len, found)) <= max(width, 3)
    assert not {unicodedata.category(character) for character in "".join(found)} & _HIDDEN
    if part and cell_len(printable(part)) <= width - 2:
        assert found.matched.casefold() == printable(part).casefold()


@pytest.mark.parametrize(
    ("value", "wanted", "part"),
    [
        ("/usr/bin/X11VNC", "ends with '/x11vnc'", "/X11VNC"),
        ("ssh -R 1 -R 2", "contains ' -R '", " -R "),
        ("AnyDesk.exe", "starts with 'any' (case matters)", "Any"),
        ("a/b/c/b", "ends with '/b'", "/b"),
        ("one two three", "is like '*two*e'", "two"),
        ("it's", "contains 't's'", "t's"),
        ("10.0.0.1", "in 10.0.0.0/8", None),
        ("abc", "matches /b/", None),
        ("abc", "is 'abc'", None),
        ("abc", "contains 'x'", None),
    ],
)
def test_the_matched_part_is_found_by_the_words_of_the_reason(
    value: str, wanted: str, part: str | None
) -> None:
    """Case is aside; what names no single text marks nothing."""
    span = matched_span(value, wanted)
    assert (None if span is None else value[slice(*span)]) == part


def test_the_end_is_marked_where_the_end_was_wanted() -> None:
    """`ends with` means the last occurrence."""
    assert matched_span("/b/c/b", "ends with '/b'") == (4, 6)
