"""Which clause of each rule is scanned for: the one that the fewest lines hold.

Guessed from the literals alone first; then, for rules whose literals turn out common in a sample of
the user's own data, by counting. The choice decides how fast lines are skipped, never which match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from .necessary import Clause, Price, price
from .needles import Branch, can_pair, pattern_of

# A rule whose clause holds in more lines than this share is worth a better one.
COMMON = 0.0005
# Above so many times as many lines an expression pays, which slows the search down in all lines.
DEAR = 8
# And one that holds in more than this share is not worth scanning for.
EVERYWHERE = 0.4
MAX_OTHERS = 4
MAX_ASKED = 64
# Expressions are looked for instead of literals if that leaves no more than this share of the
# lines, and two leaves together if it costs no more than twice this share of what one costs.
PAYS = 0.3
# What it costs to look for the second of two leaves in a line that has the first, as a share of
# what it costs to look into a line.
WIDE = 0.15

# None for a rule that can never match; a rule without clauses must see every line.
Ruled = Sequence[list[Clause] | None]
Count = Callable[[bytes, Iterable[bytes]], Counter[bytes]]
# The lines in which expressions find something.
Where = Callable[[bytes, Iterable[bytes]], dict[bytes, set[int]]]
Again = Callable[[int, Price], list[Clause] | None]
Branches = Callable[[int], list[Branch]]


class Choice(NamedTuple):
    """What to scan for. Rules are bits of a mask, the first rule the lowest.

    `masks` has for each literal the rules that it may be a sign of, `patterns` the same for
    expressions; `others`, for each rule, the literals of further clauses, which a line must hold
    too; `always` are rules to ask of every line.
    """

    masks: dict[bytes, int]
    patterns: dict[bytes, int]
    others: tuple[tuple[tuple[bytes, ...], ...], ...]
    always: int


def guess(rules: Ruled) -> Choice:
    """A choice made without data."""
    return _chosen(rules, {}, price, {})


def tune(
    rules: Ruled, again: Again, branches: Branches, sample: bytes, count: Count, where: Where
) -> Choice:
    """A choice that fits a sample of the data (whole lines).

    `again` gives the clauses of a rule anew, made with a price of the caller's, `branches` its
    branches; `count` counts the occurrences of literals in a sample, `where` tells the lines in
    which expressions find something.
    """
    lines = max(1, sample.count(b"\n"))
    first = guess(rules)
    counts = count(sample, first.masks)
    common = {literal for literal, number in counts.items() if number > COMMON * lines}
    measured = {literal: counts[literal] / lines for literal in first.masks}
    noisy = [
        index
        for index, clauses in enumerate(rules)
        if clauses and not common.isdisjoint(min(clauses, key=price).literals)
    ]
    blank = [index for index, clauses in enumerate(rules) if clauses is not None and not clauses]
    if not noisy and not blank:
        return first
    asked: set[bytes] = set()

    def note(clause: Clause) -> float:
        """The guess, while every literal that could be chosen is noted."""
        asked.update(clause.literals)
        return price(clause)

    for index in noisy:
        for clause in again(index, note) or ():
            asked.update(clause.literals)
    missing = asked - measured.keys()
    counts = count(sample, missing)
    measured.update((literal, counts[literal] / lines) for literal in missing)

    def rate(clause: Clause) -> float:
        """What was counted, and next to nothing for what did not occur. What was not counted is no
        better than anything that was."""
        guessed = min(price(clause), 1 / lines)
        try:
            return sum(measured[literal] for literal in clause.literals) + guessed
        except KeyError:
            return 1.0 + price(clause)

    better = list(rules)
    for index in noisy:
        better[index] = again(index, rate)
    dear = {
        index: least * lines
        for index in (*noisy, *blank)
        if (clauses := better[index]) is not None
        and (least := min(map(rate, clauses), default=1.0)) > DEAR * COMMON
    }
    return _chosen(better, measured, rate, _needles(dear, branches, sample, where))


def _needles(
    dear: dict[int, float], branches: Branches, sample: bytes, where: Where
) -> dict[int, list[Branch]]:
    """For rules whose best clause is common: leaves, alone or two together, that leave fewer lines
    than it does (`dear` says how many)."""
    tried = {index: found for index in dear if all(found := branches(index)) and found}
    leaves = {leaf for found in tried.values() for branch in found for leaf in branch}
    lines = where(sample, sorted({leaf.pattern for leaf in leaves}))
    needles: dict[int, list[Branch]] = {}
    for index, found in tried.items():
        chosen = [_rarest(branch, lines) for branch in found]
        if None in chosen:
            continue
        left = set().union(*(there for one in chosen if one for there in (one[1],)))
        if len(left) <= PAYS * dear[index]:
            needles[index] = list(dict.fromkeys(one[0] for one in chosen if one))
    return needles


def _rarest(branch: Branch, lines: dict[bytes, set[int]]) -> tuple[Branch, set[int]] | None:
    """The leaf or the two leaves of a branch that the fewest lines have, with those lines."""
    known = [(leaf, lines[leaf.pattern]) for leaf in branch if leaf.pattern in lines]
    if not known:
        return None
    best, there = min(known, key=lambda one: (len(one[1]), one[0].pattern))
    found: tuple[Branch, set[int]] = (best,), there
    fewest = 2 * PAYS * len(there)
    for (one, ours), (other, theirs) in combinations(known, 2):
        both = ours & theirs
        cost = len(both) + WIDE * (len(ours) + len(theirs))
        if cost < fewest and can_pair(one, other):
            found, fewest = ((one, other), both), cost
    return found


def _chosen(
    rules: Ruled, measured: dict[bytes, float], rate: Price, needles: dict[int, list[Branch]]
) -> Choice:
    masks: dict[bytes, int] = {}
    patterns: dict[bytes, int] = {}
    others: list[tuple[tuple[bytes, ...], ...]] = []
    always = 0
    for index, clauses in enumerate(rules):
        bit = 1 << index
        for branch in needles.get(index, ()):
            only = branch[0].words if len(branch) == 1 else ()
            for word in only:
                masks[word] = masks.get(word, 0) | bit
            for pattern in () if only else pattern_of(branch):
                patterns[pattern] = patterns.get(pattern, 0) | bit
        if not clauses:
            always |= bit if clauses is not None and index not in needles else 0
            others.append(())
            continue
        ranked = sorted(clauses, key=lambda clause: (rate(clause), price(clause)))
        further = ranked[1:]
        if index in needles:
            further = ranked
        elif measured and rate(ranked[0]) > EVERYWHERE:
            always |= bit
            further = ranked
        else:
            for literal in ranked[0].literals:
                masks[literal] = masks.get(literal, 0) | bit
        further = [clause for clause in further if len(clause.literals) <= MAX_ASKED]
        others.append(
            tuple(
                tuple(sorted(clause.literals, key=lambda word: -measured.get(word, 0.0)))
                for clause in dict.fromkeys(further[:MAX_OTHERS])
            )
        )
    return Choice(masks, patterns, tuple(others), always)
