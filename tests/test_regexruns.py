"""What is certain of whatever a regular expression matches."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from molehunt.detectors.matching.regexruns import least_length, runs_of

REGEXES = (
    r"abc.*def",
    r"(?i).*(set).*&&\s?set.*(environment|invoke|\$\{?input).*&&.*",
    r"a+bc{2}d?ef",
    r"foo(?:bar|qux)+baz",
    r"x{3,}yy",
    r"[a-z]{3}\\temp\\x(y|zz)?",
    r"(?i)risk desk",
    r"(a(b|c)d)e|afe",
    r"a\.b[^]x]c",
    r"(?P<name>kk)*ll(?:m|)n",
    r"\.(woff2?|jpe?g|png)[\"']?",
    r"(ab)?c?(de|f)?gh(i?j){2}",
    r"(?i)k?abs?c(x?|yk?z)w",
)


@pytest.mark.parametrize("pattern", REGEXES)
@given(data=st.data())
def test_runs_stand_in_whatever_matches(pattern: str, data: st.DataObject) -> None:
    """Texts made from the pattern hold one of each set."""
    text = data.draw(st.from_regex(pattern, fullmatch=True)).lower()
    for alternatives in runs_of(pattern, ""):
        assert any(run.lower() in text for run in alternatives), (alternatives, text)


@pytest.mark.parametrize(
    ("pattern", "runs"),
    [
        (r"foo(?:bar|qux)+baz", [{"foo"}, {"bar", "qux"}, {"baz"}]),
        (r"(?i)risk", [{"ri"}]),  # k and s have forms outside ASCII
        (r"a|b", [{"a", "b"}]),
        (r"(a|)b", [{"b"}]),
        (r"\x41bc", []),
        (r"a{0,2}bc", [{"bc"}]),
        (r"\.(woff2?|jpe?g)[\"']?$", [{".woff", ".jpg", ".jpeg"}]),
        (r"x(ab)?y", [{"xy", "xaby"}]),
        (r"ab?c*d", [{"a"}, {"d"}]),
        (r"(?i)ax?k?c", [{"a"}, {"c"}]),
        (r"ab(?=c)", []),
        (r"ab[", []),
    ],
)
def test_runs(pattern: str, runs: list[set[str]]) -> None:
    """What is certain, and nothing where a construct is not known."""
    assert [set(one) for one in runs_of(pattern, "")] == runs


@pytest.mark.parametrize("pattern", REGEXES)
@given(data=st.data())
def test_whatever_matches_is_long_enough(pattern: str, data: st.DataObject) -> None:
    """Texts made from the pattern are not shorter than said."""
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    assert len(text) >= least_length(pattern)


PARTS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", r"\s", r"\.", "^", "$", r"\b", "(?i)"]),
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=4).map("".join),
        st.lists(part, min_size=2, max_size=3).map(lambda all_of: f"({'|'.join(all_of)})"),
        st.tuples(part, st.sampled_from(["*", "+", "?", "{2}", "{1,3}?", "{0}", "{2,}"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=8,
)


@given(PARTS, st.text("aAb. \n", max_size=8))
def test_no_shorter_text_matches(pattern: str, text: str) -> None:
    """Random expressions, asked of RE2: also those in which words may or may not begin."""
    found = re2.compile(pattern).search(text)
    if found is not None:
        assert len(found.group()) >= least_length(pattern)


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"\s[a-fA-F0-9]{64}\s[a-fA-F0-9]{16}", 82),
        (r"[^/]{100,}$", 100),
        (r"^(abc|de)+\b", 2),
        (r"(?i)x(?:yy){0,3}z?", 1),
        (r"(ab|)c", 1),
        (r"\x41{9}", 0),  # not understood
        (r"(?:(?:a{50}){50})b", 2501),
    ],
)
def test_least_length(pattern: str, least: int) -> None:
    """In characters; nothing is certain where a construct is not known."""
    assert least_length(pattern) == least
