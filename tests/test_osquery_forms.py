"""Which queries of the pack a rule need not be asked of."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from molehunt.backends.osquery.bounded import can_hold, forms_of
from molehunt.backends.osquery.compiling import pack_sources
from molehunt.backends.osquery.forms import Any, Form, like
from molehunt.conditions import AnyOf, FieldIs, Not, Text, Wild
from molehunt.detectors.matching.evaluate import value_matches
from molehunt.detectors.matching.fields import Place

LETTERS = "ab\\"
LONGEST = 5
units = st.sampled_from([*LETTERS, *Any])
FORMS = st.lists(units, max_size=5).map(lambda parts: Form(tuple(parts)))
WANTED = st.lists(st.sampled_from([*LETTERS, *Wild]), min_size=1, max_size=5).map(
    lambda parts: Text(tuple(parts))
)


def _texts(parts: tuple[str | Any, ...], room: int) -> set[str]:
    """All texts of a form over three letters, up to a length: slow and obvious."""
    if room < 0:
        return set()
    if not parts:
        return {""}
    first, rest = parts[0], parts[1:]
    if isinstance(first, str):
        return {first + one for one in _texts(rest, room - len(first))}
    if first is Any.ONE:
        return {letter + one for letter in LETTERS for one in _texts(rest, room - 1)}
    allowed = LETTERS if first is Any.RUN else LETTERS.replace("\\", "")
    runs = ("".join(some) for n in range(room + 1) for some in product(allowed, repeat=n))
    return {run + one for run in runs for one in _texts(rest, room - len(run))}


@given(FORMS, WANTED)
@example(Form((Any.NAME, "\\", Any.NAME)), Text(("a\\b", Wild.ONE, "\\")))
@example(Form(("a", Any.RUN)), Text(("b",)))
def test_a_form_is_a_wanted_text_if_one_of_its_texts_is(form: Form, wanted: Text) -> None:
    """A text that meets both is no longer than the known parts of both together."""
    held = any(value_matches(wanted, text) for text in _texts(form.parts, 2 * LONGEST - 4))
    if held:
        assert form.can_be(wanted)
    if sum(one not in (Any.RUN, Any.NAME) for one in form.parts) + len(wanted.parts) <= 6:
        assert form.can_be(wanted) == held


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"HKEY_USERS\%\Run", Text((r"hkey_users\s-1\run",)), True),
        (r"HKEY_USERS\%\Run", Text((r"hkey_users\s-1\a\run",)), False),
        (r"HKEY_USERS\%%", Text((r"hkey_users\s-1\a\run",)), True),
        (r"HKEY_USERS\%\Run", Text((Wild.ANY, "\\Enum\\", Wild.ANY)), True),
        (r"HKEY_USERS\%\Run", Text((Wild.ANY, "\\Enum\\USB\\", Wild.ANY)), False),
        (r"HKEY_USERS\_\Run", Text(("HKEY_USERS\\", Wild.ONE, "\\Run")), True),
        (r"HKEY_USERS\_\Run", Text((r"HKEY_USERS\x\Run",)), False),
        ("%\\\u0130", Text(("\u0130",)), True),
    ],
)
def test_like(pattern: str, text: Text, expected: bool) -> None:
    """A percent sign stays within the name of a registry key."""
    assert like(pattern, keys=True).can_be(text) is expected


def test_elsewhere_an_underscore_is_any_character() -> None:
    """As in SQL."""
    assert like("_:\\%").can_be(Text((r"c:\a\b",)))
    assert like("_").can_be(Text(("\u0130",)))
    assert not like("_").can_be(Text(("ab",)))


def test_a_rule_is_not_asked_of_a_query_about_other_keys() -> None:
    """By the key, by the value's name and by the path that both make; only if that is certain."""
    sql = (
        "SELECT key, path, name FROM registry WHERE (key LIKE 'HKEY_USERS\\%\\Run' OR "
        "key LIKE 'HKEY_LOCAL_MACHINE\\Run') AND name IN ('A', 'B')"
    )
    forms = forms_of(sql)
    path = {"f": Place("column", "path", ("hive",))}

    def held(places: dict[str, Place], *parts: str | Wild) -> bool:
        return can_hold(FieldIs("f", Text(parts)), places, forms)

    assert held(path, "HKU\\x\\Run\\b")
    assert held(path, "HKLM\\Run\\A")
    assert not held(path, "HKLM\\x\\Run\\A")
    assert not held(path, "HKEY_USERS\\x\\Run\\A"), "rules see the short name of the hive"
    assert not held(path, Wild.ANY, "\\C")
    assert not held({"f": Place("column", "name")}, "C")
    assert held({"f": Place("column", "data")}, "C"), "nothing is known of this column"
    assert held({"f": Place("column", "name", ("ip",))}, "C"), "nor of what this makes of it"
    assert not held({"f": Place("column", "key")}, Wild.ANY, "\\Enum\\USB\\", Wild.ANY)
    both = Not(FieldIs("f", AnyOf((Text(("A",)), Text(("b",))))))
    assert not can_hold(both, {"f": Place("column", "name")}, forms), "no row has another name"
    one = Not(FieldIs("f", Text(("A",))))
    assert can_hold(one, {"f": Place("column", "name")}, forms)
    assert can_hold(Not(FieldIs("f", Text(("x",)))), {"f": Place("column", "key")}, forms)


@pytest.mark.parametrize(
    "where",
    ["key LIKE 'a' OR name = 'b'", "key <> 'a'", "(key LIKE 'a' OR name LIKE 'b')", "name = data"],
)
def test_other_tests_tell_nothing(where: str) -> None:
    """What is not plainly understood leaves every value possible."""
    assert forms_of(f"SELECT key, name FROM registry WHERE {where}") == {}


def test_the_pack_s_registry_queries_have_forms() -> None:
    """Each of them is below known keys, so that rules about other keys pass it by."""
    queries = [one for one in pack_sources().values() if one.table == "registry"]
    assert queries
    for one in queries:
        assert {"key", "path"} <= one.forms.keys(), one.sql
