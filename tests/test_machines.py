"""Expressions as tables of states find what RE2 finds in texts of ASCII."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from molehunt.detectors.matching.machines import ASCII, MATCHED, holds, machine

SINGLE = (
    "a", "b", "S", "k", ".", " ", "-", "[ab]", "[^a]", "[^\\s\\\\]", "[a-cK-]", "[]x]", "[\\d.]",
    r"\s", r"\S", r"\w", r"\W", r"\d", r"\D", r"\.", r"\\", r"\n", r"\t", r"\"", "^", "$", r"\A",
    r"\z", r"\b", r"\B", "(?i)", "(?s)", "(?-s:.)",
)  # fmt: skip
PARTS = st.recursive(
    st.sampled_from(SINGLE),
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=4).map("".join),
        st.lists(part, min_size=1, max_size=3).map(lambda all_of: f"({'|'.join(all_of)}|)"),
        st.lists(part, min_size=2, max_size=3).map("|".join),
        st.tuples(
            st.sampled_from(["(?:", "(", "(?i:", "(?s:", "(?P<n>", "(?i-s:"]),
            part,
            st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}?", "{0}", "{2,}", "*?", "{0,2}"]),
        ).map(lambda three: f"{three[0]}{three[1]}){three[2]}"),
    ),
    max_leaves=10,
)


def compiled(pattern: str, flags: str) -> Any:
    """As the engine asks RE2."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    options.dot_nl = "s" in flags
    return re2.compile(pattern, options)


@given(
    PARTS,
    st.sampled_from(["", "i", "s", "is"]),
    st.lists(st.text('aAbBsSkK.\\\n\t -x_1"]', max_size=9)),
)
def test_random_expressions(pattern: str, flags: str, texts: list[str]) -> None:
    """What RE2 refuses is no expression of a rule."""
    try:
        regex = compiled(pattern, flags)
    except re2.error:
        assume(False)
    made = machine(pattern, flags)
    assume(made is not None)
    assert made is not None
    for text in ("", *texts):
        assert holds(made, text) == (regex.search(text) is not None), text


SHIPPED = (
    (r"\sclient\s(\S+\s+)*R:(socks|[0-9]+|[0-9A-Za-z.:*-]+:[0-9]+)(\s|:|/|$)", ""),
    (r"\s[a-fA-F0-9]{8}\s[a-fA-F0-9]{4}", ""),
    (r"net\s+config", ""),
    (r"-k\s\w{1,64}(?:\s?(?:-p|-s))?", ""),
    (r"""^("[^"]*"|\S+)(\s+--?\S+)*\s+["']?(\S*[/\\])?[^\s/\\"']+\.(woff2?|png)["']?(\s|$)""", "i"),
    (r"\|\s*((sudo|env)\s+)*(/\S*/)?(((ba|z)?sh(\s|$|[\"';&]))|(python[0-9.]*(\s+-)?\s*$))", ""),
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "flags"), SHIPPED)
@given(data=st.data())
def test_texts_made_from_an_expression(pattern: str, flags: str, data: st.DataObject) -> None:
    """Which match, and those that are one edit away, which may not."""
    made, regex = machine(pattern, flags), compiled(pattern, flags)
    assert made is not None
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(max_codepoint=ASCII - 1)))
    rng = data.draw(st.randoms(use_true_random=False))
    for _ in range(3):
        assert holds(made, text) == (regex.search(text) is not None), text
        text = edited(rng, text)


def edited(rng: Random, text: str) -> str:
    """A character more, less or another."""
    place = rng.randint(0, len(text))
    return (
        text[:place] + rng.choice(["", "a", " ", "-", "0", "|"]) + text[place + rng.randint(0, 1) :]
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "\u00e4", "(?m)^a", "(?m:a)", r"\x41", r"\pL", r"\Qa.b\E", r"\07", "[[:alpha:]]", "a{,2}",
        "a{2", r"\C", "a]", "a{300}b{300}", "(?=a)", "x*+", "[b-a]", r"[\w-z]", "[a", "(a",
    ],
)  # fmt: skip
def test_what_is_not_understood_has_none(pattern: str) -> None:
    """It is left to RE2, which may refuse it."""
    assert machine(pattern, "") is None


def test_flags_for_lines_are_left_to_re2() -> None:
    """There `^` and `$` mean more."""
    assert machine("^a", "m") is None


def test_a_table_is_whole() -> None:
    """Each state has a column for each class of bytes and one for the end; all lead somewhere."""
    made = machine(r"^a\b.*(b|c)$", "")
    assert made is not None
    numbers = memoryview(made.table).cast("H").tolist()
    assert len(made.classes) == ASCII
    assert max(made.classes) == made.width - 2
    states = len(numbers) // made.width
    assert states * made.width == len(numbers)
    assert all(number < states or number == MATCHED for number in numbers)
