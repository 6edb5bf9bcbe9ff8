"""Expressions that are compiled into one find what each of them finds alone."""

from __future__ import annotations

import re2
from hypothesis import given
from hypothesis import strategies as st

from molehunt.conditions import Regex, Wild
from molehunt.detectors.matching import expressions
from molehunt.detectors.matching.expressions import regex_test
from molehunt.detectors.matching.globs import string_test

PIECES = ("a", "B", "k", "\\n", ".", "x|y", "^a", "b$", "(a|b)+", "[^ab]", "\\Qa", "(?i)c", "\\bz")
TEXTS = st.text("abABkKxyzcC\nQ\u017f\u212a ", max_size=12)
FLAGS = ("", "i", "m", "s", "im", "ims")


def alone(value: Regex, text: str) -> bool:
    """The same by an object of its own, its flags as options."""
    options = re2.Options()
    options.case_sensitive = "i" not in value.flags
    options.dot_nl = "s" in value.flags
    start = "(?m)" if "m" in value.flags else ""
    return re2.compile(start + value.pattern, options).search(text.encode()) is not None


EXPRESSIONS = st.builds(
    Regex,
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    st.sampled_from(FLAGS),
)


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4), TEXTS)
def test_expressions_together_find_what_each_finds(values: list[Regex], text: str) -> None:
    """Whatever their flags, and whether one could change what stands behind it."""
    assert regex_test(values)(text) == any(alone(value, text) for value in values)


def test_flags_end_with_their_expression() -> None:
    """A flag of one would else serve for all."""
    test = regex_test([Regex("a", "i"), Regex("b")])
    assert test("A") and test("b") and not test("B")
    assert not regex_test([Regex("(?i)a"), Regex("b")])("B")
    assert not regex_test([Regex("\\Qa"), Regex("b")])("a)|(?:b)x"[1:3])


def test_expressions_too_large_for_one_are_compiled_apart() -> None:
    """And nothing is lost."""
    large = [Regex(f"(?:ab{n}){{500,1000}}") for n in range(40)]
    test = regex_test([*large, Regex("found")])
    assert test("it is found") and not test("it is not")
    assert sum(len(one.pattern) for one in large) < expressions.MAX_JOINED


GLOBS = st.lists(
    st.one_of(st.sampled_from(("a", "b.", "\n", "\u00e9", "|")), st.sampled_from(Wild)), max_size=6
)


@given(st.lists(GLOBS, min_size=1, max_size=4), st.text("ab.|\n\u00e9", max_size=8))
def test_patterns_together_match_what_each_matches(
    globs: list[list[str | Wild]], text: str
) -> None:
    """With `?` or without."""
    assert string_test(globs)(text) == any(matches(one, text) for one in globs)


def matches(pattern: list[str | Wild], text: str) -> bool:
    """One pattern, slowly."""
    if not pattern:
        return not text
    first, *rest = pattern
    if first is Wild.ANY:
        return any(matches(rest, text[start:]) for start in range(len(text) + 1))
    if first is Wild.ONE:
        return bool(text) and matches(rest, text[1:])
    return text.startswith(first) and matches(rest, text[len(first) :])
