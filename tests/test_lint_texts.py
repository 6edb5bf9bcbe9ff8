"""What lint says about texts and conditions, against slow and obvious oracles."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.types import SigmaString, SpecialChars

from molehunt.conditions import Wild
from molehunt.linting import across
from molehunt.linting.catalogue import checks
from molehunt.linting.model import Finding
from molehunt.linting.run import analyse
from molehunt.linting.texts import Glob, covers, fold, modified, overlap, parse, written
from molehunt.names import parse_condition, uses

ALL = ["".join(letters) for size in range(6) for letters in product("ab", repeat=size)]
PATTERNS = st.text("ab*?", max_size=5).map(lambda text: fold(parse(text)))


def matched(glob: Glob) -> set[str]:
    """The texts of up to five letters that a pattern matches."""
    pattern = "".join(
        {Wild.ANY: ".*", Wild.ONE: "."}[part] if isinstance(part, Wild) else re.escape(part)
        for part in glob
    )
    return {text for text in ALL if re.fullmatch(pattern, text)}


@given(PATTERNS, PATTERNS)
@settings(max_examples=600)
def test_overlap(one: Glob, other: Glob) -> None:
    """Texts that match both exist if, and only if, it says so. Two patterns of five letters that
    can match one text can match one of ten; short ones are looked for among all texts."""
    both = matched(one) & matched(other)
    if both:
        assert overlap(one, other)
    elif len("".join(map(str, one))) + len("".join(map(str, other))) <= 5:
        assert not overlap(one, other)
    assert overlap(one, other) == overlap(other, one)


@given(PATTERNS, PATTERNS)
@settings(max_examples=600)
def test_covers(wide: Glob, narrow: Glob) -> None:
    """Where it says so, all that the narrow one matches the wide one matches; and it says so of
    the plain cases."""
    if covers(wide, narrow):
        assert matched(narrow) <= matched(wide)
    if Wild.ANY not in narrow and Wild.ONE not in narrow:
        assert covers(wide, narrow) == (matched(narrow) <= matched(wide))


@given(st.text("ab*?\\", max_size=8))
def test_texts_are_read_as_pysigma_reads_them(text: str) -> None:
    """The parts are pySigma's, and what is written is read as the same again."""
    kinds = {SpecialChars.WILDCARD_MULTI: Wild.ANY, SpecialChars.WILDCARD_SINGLE: Wild.ONE}
    theirs = tuple(
        part if isinstance(part, str) else kinds[part]  # type: ignore[index]
        for part in SigmaString(text).s
        if part != ""
    )
    assert parse(text) == theirs
    assert parse(written(parse(text))) == parse(text)


@given(st.text("ab*", max_size=4), st.sampled_from(["contains", "startswith", "endswith"]))
def test_modifiers_add_what_pysigma_adds(text: str, modifier: str) -> None:
    """The same texts match."""
    pattern = {"contains": f"*{text}*", "startswith": f"{text}*", "endswith": f"*{text}"}[modifier]
    assert matched(fold(modified(parse(text), [modifier]))) == matched(fold(parse(pattern)))


NAMES = ("one", "two", "filter_a", "filter_b")
CONDITIONS = st.recursive(
    st.sampled_from([*NAMES, "1 of filter_*", "all of them", "not one"]),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(" or ".join).map(lambda text: f"({text})"),
        st.lists(inner, min_size=2, max_size=3).map(" and ".join),
    ),
    max_leaves=5,
)


@given(CONDITIONS)
def test_conditions_name_what_they_name(text: str) -> None:
    """Every name that stands in a condition is used, and no other."""
    tree = parse_condition(text)
    assert tree is not None
    named = {name for name in NAMES if re.search(rf"\b{name}\b", text)}
    if "filter_*" in text:
        named |= {"filter_a", "filter_b"}
    if "them" in text:
        named |= set(NAMES)
    assert {name for name, _ in uses(tree, NAMES)} == named


SHARED = checks()["MH212"].failing.files["example_rule_file.yml"]
HEAD = SHARED[: SHARED.index("detection:")]
VALUES = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=2, unique=True)
ITEMS = st.tuples(
    st.sampled_from(["Image", "User"]),
    st.sampled_from(["", "|contains", "|startswith", "|endswith"]),
    VALUES,
)


def found_in(
    selection: list[tuple[str, str, list[str]]], removed: tuple[str, str, list[str]]
) -> tuple[list[Finding], bool, bool]:
    """The findings of a rule; whether some event fulfils the selections; whether the filter takes
    anything from it. Decided over all events of two fields of up to three letters."""
    lines = ["detection:"]
    for number, (field, modifier, values) in enumerate(selection):
        lines += [f"    selection_{number}:", f"        {field}{modifier}: {values!r}"]
    field, modifier, values = removed
    lines += ["    filter_main:", f"        {field}{modifier}: {values!r}"]
    lines.append("    condition: all of selection_* and not filter_main")
    text = HEAD + "\n".join(lines) + "\n"
    found = analyse(text.encode(), "file_event_win_x.yml", "file_event_win_x.yml").findings

    def holds(item: tuple[str, str, list[str]], event: dict[str, str]) -> bool:
        text = event[item[0]]
        tests = {
            "": text.__eq__,
            "|contains": text.__contains__,
            "|startswith": text.startswith,
            "|endswith": text.endswith,
        }
        return any(tests[item[1]](value) for value in item[2])

    texts = [text for text in ALL if len(text) <= 5]
    per_field = {
        name: [
            text
            for text in texts
            if all(holds(item, {name: text}) for item in selection if item[0] == name)
        ]
        for name in ("Image", "User")
    }
    possible = all(per_field.values())
    kept = [text for text in per_field[field] if not holds(removed, {field: text})]
    taken = len(kept) < len(per_field[field])
    return list(found), possible and bool(kept), possible and taken


@given(st.lists(ITEMS, min_size=1, max_size=3), ITEMS)
@settings(max_examples=300, deadline=None)
def test_what_never_matches_never_matches(
    selection: list[tuple[str, str, list[str]]], removed: tuple[str, str, list[str]]
) -> None:
    """A rule that is called impossible has no event, a filter that removes nothing removes none."""
    found, possible, taken = found_in(selection, removed)
    checks_found = {one.check for one in found}
    if "MH210" in checks_found:
        assert not possible
    if "MH212" in checks_found:
        assert not taken


def test_the_oracle_sees_both() -> None:
    """The property above is not empty: each check is seen in one rule and not in another."""
    dead, possible, _ = found_in([("Image", "", ["a"]), ("Image", "", ["b"])], ("User", "", ["a"]))
    assert "MH210" in {one.check for one in dead}
    assert not possible
    idle, possible, taken = found_in([("Image", "|endswith", ["a"])], ("Image", "", ["b"]))
    assert "MH212" in {one.check for one in idle}
    assert possible
    assert not taken
    fine, _, taken = found_in([("Image", "|endswith", ["a"])], ("Image", "", ["ba"]))
    assert "MH212" not in {one.check for one in fine}
    assert taken


JUNK = (
    "null",
    "[]",
    "{}",
    "1",
    "true",
    "[1, null]",
    "{a: b}",
    "2020-01-01",
    "'*'",
    "'\\*'",
    "[[]]",
)
ODD = st.tuples(
    st.sampled_from(sorted({t for c in checks().values() for t in c.failing.files.values()})),
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["value", "drop", "indent", "double", "re"])),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(JUNK),
)


@given(ODD)
@settings(max_examples=400, deadline=None)
def test_no_rule_breaks_the_linter(odd: tuple[str, list[tuple[int, str]], str]) -> None:
    """Whatever stands in a rule, findings come out, with places in the file."""
    text, changes, junk = odd
    lines = text.splitlines()
    for number, how in changes:
        at = number % len(lines)
        if how == "value" and ":" in lines[at]:
            lines[at] = f"{lines[at].partition(':')[0]}: {junk}"
        elif how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "indent":
            lines[at] = f"    {lines[at]}"
        elif how == "double":
            lines.insert(at, lines[at])
        else:
            lines[at] = lines[at].replace("|contains", "|re").replace("|endswith", "|cidr")
    record = analyse("\n".join(lines).encode(), "odd_example_rule.yml", "odd_example_rule.yml")
    for finding in record.findings:
        assert 1 <= finding.span.line <= len(lines) + 1
    list(across.check(record.summaries))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("TargetFilename|endswith: '.evtx'", "TargetFilename|re: null", "a regex is a text"),
        ("TargetFilename|endswith: '.evtx'", "TargetFilename|re: {a: b}", ""),
        ("product: windows", "product: {a: b}", "logsource: product is no text"),
        ("category: file_event", "category: [file_event]", "logsource: category is no text"),
    ],
)
def test_values_of_a_wrong_kind_are_errors(old: str, new: str, found: str) -> None:
    """The loader says so with the line, instead of breaking later."""
    assert old in SHARED
    text = SHARED.replace(old, new)
    record = analyse(text.encode(), "odd_example_rule.yml", "odd_example_rule.yml")
    line = text[: text.index(new)].count("\n") + 1
    said = [one for one in record.findings if one.check == "MH002"]
    assert said
    assert found in said[0].message
    assert said[0].span.line == line
