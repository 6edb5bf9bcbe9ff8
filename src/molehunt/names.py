"""Sigma's condition language as a tree of detection names (rules specification 2.1.0).

pySigma's parsed tree no longer knows the names, which selections and filters are told by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, TypeAlias

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


class Name(NamedTuple):
    """One detection."""

    name: str


class Some(NamedTuple):
    """`1 of pattern` (`every` is false) or `all of pattern`; `them` is a pattern too."""

    every: bool
    pattern: str


class Negated(NamedTuple):
    """`not`."""

    arg: Tree


class Both(NamedTuple):
    """`and`."""

    args: tuple[Tree, ...]


class Either(NamedTuple):
    """`or`."""

    args: tuple[Tree, ...]


Tree: TypeAlias = Name | Some | Negated | Both | Either


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Tree | None:
    """The tree of a condition; None if it is none (the loader says what is wrong)."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()) or "|" in text or len(tokens) > 2000:
        return None
    try:
        tree, end = _either(tokens, 0)
    except (IndexError, ValueError, RecursionError):
        return None
    return tree if end == len(tokens) else None


def _either(tokens: list[str], at: int) -> tuple[Tree, int]:
    args = []
    while True:
        tree, at = _both(tokens, at)
        args.append(tree)
        if at >= len(tokens) or tokens[at].lower() != "or":
            return (args[0] if len(args) == 1 else Either(tuple(args))), at
        at += 1


def _both(tokens: list[str], at: int) -> tuple[Tree, int]:
    args = []
    while True:
        tree, at = _one(tokens, at)
        args.append(tree)
        if at >= len(tokens) or tokens[at].lower() != "and":
            return (args[0] if len(args) == 1 else Both(tuple(args))), at
        at += 1


def _one(tokens: list[str], at: int) -> tuple[Tree, int]:
    word = tokens[at]
    if word.lower() == "not":
        tree, at = _one(tokens, at + 1)
        return Negated(tree), at
    if word == "(":
        tree, at = _either(tokens, at + 1)
        if tokens[at] != ")":
            raise ValueError("no closing parenthesis")
        return tree, at + 1
    if word == ")" or word.lower() in ("and", "or", "of"):
        raise ValueError("not a name")
    if at + 1 < len(tokens) and tokens[at + 1].lower() == "of":
        if word.lower() not in ("1", "any", "all"):
            raise ValueError("not a quantity")
        return Some(word.lower() == "all", tokens[at + 2]), at + 3
    return Name(word), at + 1


def meant(pattern: str, names: Iterable[str]) -> list[str]:
    """The detections that a pattern selects; `them` leaves out those that begin with `_`."""
    if pattern.lower() == "them":
        return [name for name in names if not name.startswith("_")]
    return [name for name in names if fnmatchcase(name, pattern)]


def uses(tree: Tree, names: Iterable[str], negative: bool = False) -> Iterator[tuple[str, bool]]:
    """Each use of a detection, and whether it is under an odd number of `not`."""
    if isinstance(tree, Name):
        yield tree.name, negative
    elif isinstance(tree, Some):
        for name in meant(tree.pattern, names):
            yield name, negative
    elif isinstance(tree, Negated):
        yield from uses(tree.arg, names, not negative)
    else:
        for arg in tree.args:
            yield from uses(arg, names, negative)
