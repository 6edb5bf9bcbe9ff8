"""Faults to plant in the engine, each of a kind that has lost detections somewhere before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from molehunt.detectors.matching import globs, literals, predicates, skip
from molehunt.detectors.matching.literals import Cover

Plant = Callable[[pytest.MonkeyPatch], None]


def lower_instead_of_fold(patch: pytest.MonkeyPatch) -> None:
    """str.lower makes an ASCII letter of the Kelvin sign."""
    patch.setattr(predicates, "fold", str.lower)


def no_folding(patch: pytest.MonkeyPatch) -> None:
    """Case-sensitive comparing."""
    patch.setattr(predicates, "fold", lambda text: text)


def suffix_for_prefix(patch: pytest.MonkeyPatch) -> None:
    """startswith and endswith swapped."""
    right = globs._combined
    patch.setattr(globs, "_combined", lambda e, p, s, i, r: right(e, s, p, i, r))


def question_mark_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """`?` that also matches no character."""
    patch.setattr(globs, "_at", lambda piece, text, place: True)


def last_piece_anywhere(patch: pytest.MonkeyPatch) -> None:
    """A wildcard pattern whose end is not held to the end."""
    patch.setattr(globs, "_glob", lambda pieces: lambda text: globs._text_like(pieces) in text)
    patch.setattr(globs, "_text_like", lambda pieces: "".join(map(str, pieces[0])), raising=False)


def empty_is_something(patch: pytest.MonkeyPatch) -> None:
    """Forgetting that "" is nothing in osquery data."""
    right = predicates._clean
    patch.setattr(predicates, "_clean", lambda read, names, _empty: right(read, names, False))


def no_normalisers(patch: pytest.MonkeyPatch) -> None:
    """Values compared as logged."""
    right = predicates._clean
    patch.setattr(predicates, "_clean", lambda read, _names, empty: right(read, (), empty))


def exclusive_network(patch: pytest.MonkeyPatch) -> None:
    """A network without its first and last address, as in osquery's own function."""
    right = predicates._cidr

    def cidr(text: str) -> Any:
        holds = right(text)
        ends = ("192.0.2.0", "192.0.2.255")
        return lambda actual: actual not in ends and holds(actual)

    patch.setattr(predicates, "_cidr", cidr)


def not_of_nothing_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """SQL's reading: a negated comparison with NULL is not true."""
    right = predicates.compile_condition

    def compile_condition(condition: Any, fields: Any) -> Any:
        if type(condition).__name__ != "ConditionNOT":
            return right(condition, fields)
        inner = compile_condition(condition.args[0], fields)
        return lambda row: all(v not in (None, "") for v in row.values.values()) and not inner(row)

    patch.setattr(predicates, "compile_condition", compile_condition)
    patch.setattr("molehunt.detectors.matching.plan.compile_condition", compile_condition)


def text_is_no_number(patch: pytest.MonkeyPatch) -> None:
    """Numbers compared only with JSON numbers."""
    right = predicates.as_number
    patch.setattr(
        predicates, "as_number", lambda value: None if isinstance(value, str) else right(value)
    )


def anchored_regex(patch: pytest.MonkeyPatch) -> None:
    """Regexes that must match the whole text, as in Lucene."""
    import re2

    patch.setattr(
        predicates,
        "_regex",
        lambda value: re2.compile(f"^(?:{value.regexp})$"),
    )


def one_branch_of_or(patch: pytest.MonkeyPatch) -> None:
    """A cover of OR that takes the first child only."""

    def union(covers: Any) -> Cover | None:
        found = [cover for cover in covers if cover is not None]
        return found[0] if found else None

    patch.setattr(literals, "_union", union)


def no_escapes(patch: pytest.MonkeyPatch) -> None:
    """Literals that ignore other JSON spellings of the same characters."""
    patch.setattr(skip, "ESCAPES", (b"\\u002",))


def raw_backslashes(patch: pytest.MonkeyPatch) -> None:
    """Literals not written as JSON writes them."""
    patch.setattr(literals, "_as_json", lambda run: run.lower().encode("ascii"))


def weak_rules_skipped(patch: pytest.MonkeyPatch) -> None:
    """Rules without a literal that are never given a line."""
    patch.setattr(skip.Skipper, "_weak_lines", lambda self, data: set())


def number_literals(patch: pytest.MonkeyPatch) -> None:
    """A literal taken from what JSON may spell as another number."""
    import re

    patch.setattr(literals, "_MAYBE_NUMBER", re.compile(r"$^"))
    patch.setattr(literals, "MIN_LENGTH", 1)


def cover_from_not(patch: pytest.MonkeyPatch) -> None:
    """A literal that stands below a NOT taken for necessary."""
    right = literals.cover_of

    def cover_of(condition: Any, fields: Any) -> Any:
        if type(condition).__name__ == "ConditionNOT":
            return right(condition.args[0], fields)
        return right(condition, fields)

    patch.setattr(literals, "cover_of", cover_of)


FAULTS: tuple[Plant, ...] = (
    lower_instead_of_fold,
    no_folding,
    suffix_for_prefix,
    question_mark_is_nothing,
    last_piece_anywhere,
    empty_is_something,
    no_normalisers,
    exclusive_network,
    not_of_nothing_is_nothing,
    text_is_no_number,
    anchored_regex,
    one_branch_of_or,
    raw_backslashes,
    weak_rules_skipped,
    cover_from_not,
)
# Rare spellings: a case made for each finds them at once, random rounds take long.
RARE: tuple[tuple[Plant, str, bytes], ...] = (
    (no_escapes, "path|endswith: /x11vnc", b'{"pid":"1","name":"x","path":"/bin/x11vn\\u0063"}'),
    (number_literals, "pid|contains: '5901'", b'{"pid":5.901e3,"name":"x","path":"/x"}'),
)
