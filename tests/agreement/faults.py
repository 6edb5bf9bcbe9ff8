"""Faults to plant in the engine, each of a kind that has lost detections somewhere before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from molehunt.conditions import Not, Or
from molehunt.detectors.matching import (
    choose,
    expressions,
    globs,
    necessary,
    needles,
    predicates,
    rawregex,
    route,
    texts,
)

Plant = Callable[[pytest.MonkeyPatch], None]


def _literals_made_anew(patch: pytest.MonkeyPatch) -> None:
    """What was worked out before the fault was planted must not hide it."""
    patch.setattr(necessary, "value_clauses", necessary.value_clauses.__wrapped__)


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


def question_mark_is_itself(patch: pytest.MonkeyPatch) -> None:
    """`?` that matches only a question mark."""
    right = globs._as_regex
    patch.setattr(globs, "_as_regex", lambda e: right(e if isinstance(e, str) else "?"))


def last_piece_anywhere(patch: pytest.MonkeyPatch) -> None:
    """A wildcard pattern whose end is not held to the end."""
    right = globs._glob
    patch.setattr(globs, "_glob", lambda pieces: right([*pieces, []]))


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
        if not isinstance(condition, Not):
            return right(condition, fields)
        inner = compile_condition(condition.arg, fields)
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
        expressions,
        "_regex",
        lambda values: re2.compile("|".join(f"^(?:{value.pattern})$" for value in values)),
    )


def optional_beside_a_part(patch: pytest.MonkeyPatch) -> None:
    """A part of a regex that asks for what stands beside it even where that may be missing."""
    patch.setattr(rawregex, "_next_to", lambda part: (part[0], 1, 1))


def one_branch_of_or(patch: pytest.MonkeyPatch) -> None:
    """A clause of OR that takes the first child only."""

    def together(alternatives: Any) -> list[Any]:
        found = [[c for c in clauses if c is not None] for clauses in alternatives]
        return [clauses[0] for clauses in found if clauses]

    patch.setattr(necessary, "_together", together)


def no_escapes(patch: pytest.MonkeyPatch) -> None:
    """Literals that ignore other JSON spellings of the same characters."""
    patch.setattr(route, "ESCAPES", (b"\\u002",))


def raw_backslashes(patch: pytest.MonkeyPatch) -> None:
    """Literals not written as JSON writes them."""
    _literals_made_anew(patch)
    patch.setattr(necessary, "_as_json", lambda run: run.lower().encode("ascii"))


def rules_without_clauses_skipped(patch: pytest.MonkeyPatch) -> None:
    """Rules without a literal that are never given a line."""
    right = choose._chosen

    def chosen(*args: Any) -> Any:
        return right(*args)._replace(always=0)

    patch.setattr(choose, "_chosen", chosen)


def number_literals(patch: pytest.MonkeyPatch) -> None:
    """A literal taken from what JSON may spell as another number."""
    _literals_made_anew(patch)
    import re

    patch.setattr(necessary, "_MAYBE_NUMBER", re.compile(r"$^"))
    patch.setattr(necessary, "MIN_LENGTH", 1)


def anchored_anyway(patch: pytest.MonkeyPatch) -> None:
    """Quotes around what may stand bare: a number, true or false."""
    _literals_made_anew(patch)
    patch.setattr(necessary, "_BARE", frozenset())


def one_spelling_of_an_integer(patch: pytest.MonkeyPatch) -> None:
    """An integer looked for between quotes only."""
    _literals_made_anew(patch)
    patch.setattr(necessary, "_AFTER_NUMBER", ())


def anchored_before_normalising(patch: pytest.MonkeyPatch) -> None:
    """Anchors on values whose ends a normaliser changes."""
    _literals_made_anew(patch)
    patch.setattr(necessary, "_KEEPS_ENDS", frozenset(("control_text", "audit_quotes", "hive")))


def clauses_from_not(patch: pytest.MonkeyPatch) -> None:
    """A literal that stands below a NOT taken for necessary."""
    right = necessary.Needs.clauses

    def clauses(self: Any, node: Any) -> Any:
        return right(self, node.arg if isinstance(node, Not) else node)

    patch.setattr(necessary.Needs, "clauses", clauses)


def keys_without_aliases(patch: pytest.MonkeyPatch) -> None:
    """A column's key looked for under its own name only."""
    right = necessary._placed

    def placed(name: Any, table_map: Any, taxonomy: Any, outputs: Any) -> Any:
        place, names = right(name, table_map, taxonomy, outputs)
        return place, frozenset([place.name]) if names else names

    patch.setattr(necessary, "_placed", placed)


def best_of_another_rule(patch: pytest.MonkeyPatch) -> None:
    """Further clauses asked that belong to another rule."""
    right = choose._chosen

    def chosen(*args: Any) -> Any:
        found = right(*args)
        return found._replace(others=tuple(reversed(found.others)))

    patch.setattr(choose, "_chosen", chosen)


def first_query_only(patch: pytest.MonkeyPatch) -> None:
    """Rules that are kept from the queries of their own tables."""
    patch.setattr(route.Router, "_new", lambda self, name: (1, None))


def gates_forget_alternatives(patch: pytest.MonkeyPatch) -> None:
    """A gate that asks of a column what only one of several alternatives asks."""
    right = texts.projected

    def projected(node: Any, names: Any) -> Any:
        if isinstance(node, Or):
            found = [part for c in node.args if (part := right(c, names)) is not None]
            return found[0] if found else None
        return right(node, names)

    patch.setattr(texts, "projected", projected)


def one_order_only(patch: pytest.MonkeyPatch) -> None:
    """Two comparisons looked for in one order."""
    right = needles.pattern_of
    patch.setattr(choose, "pattern_of", lambda branch: right(branch)[:1])


def numbers_as_text_only(patch: pytest.MonkeyPatch) -> None:
    """A number looked for between quotes."""
    right = needles._number

    def number(number: Any, keys: Any) -> Any:
        found = right(number, keys)
        return None if found is None else found.replace(rb"|-?%d" % number, b"|-%d" % number)

    patch.setattr(needles, "_number", number)


FAULTS: tuple[Plant, ...] = (
    lower_instead_of_fold,
    no_folding,
    suffix_for_prefix,
    question_mark_is_itself,
    last_piece_anywhere,
    empty_is_something,
    no_normalisers,
    exclusive_network,
    not_of_nothing_is_nothing,
    text_is_no_number,
    anchored_regex,
    optional_beside_a_part,
    one_branch_of_or,
    raw_backslashes,
    rules_without_clauses_skipped,
    clauses_from_not,
    keys_without_aliases,
    best_of_another_rule,
    first_query_only,
    gates_forget_alternatives,
    one_order_only,
    numbers_as_text_only,
)
# The round that catches what few catch, to be looked at first: those before it take up to 20 s.
# It is a matter of time only: where it catches nothing any more, all others are looked at.
CAUGHT_BY: dict[Plant, int] = {
    last_piece_anywhere: 37,
    no_normalisers: 16,
    exclusive_network: 30,
    raw_backslashes: 4,
    clauses_from_not: 4,
    numbers_as_text_only: 17,
}
# Rare spellings: a case made for each finds them at once, random rounds take long. The rule's item,
# the query, and its columns.
RARE: tuple[tuple[Plant, str, str, bytes], ...] = (
    (
        no_escapes,
        "path|endswith: /x11vnc",
        "processes",
        b'{"pid":"1","name":"x","path":"/bin/x11vn\\u0063"}',
    ),
    (number_literals, "pid|contains: '5901'", "processes", b'{"pid":5.901e3,"name":"x"}'),
    (anchored_anyway, "pid|endswith: '901'", "processes", b'{"pid":5901,"name":"x"}'),
    (one_spelling_of_an_integer, "pid: '5901'", "processes", b'{"pid":5901,"name":"x"}'),
    (
        anchored_before_normalising,
        "CurrentDirectory: /srv/x",
        "process_events",
        b'{"cwd":"\\"/srv/x\\"","pid":"1","path":"/bin/x","syscall":"execve"}',
    ),
)
