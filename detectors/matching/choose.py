"""Which clause of each rule is scanned for: the one that the fewest lines hold.

Guessed from the literals alone first; then, for rules whose literals turn out common in a sample of
the user's own data, by counting. The choice decides how fast lines are skipped, never which match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .necessary import Clause, Price, price

# A rule whose clause holds in more lines than this share is worth a better one.
COMMON = 0.0005
# And one that holds in more than this share is not worth scanning for.
EVERYWHERE = 0.4
MAX_OTHERS = 4
MAX_ASKED = 64

# None for a rule that can never match; a rule without clauses must see every line.
Ruled = Sequence[list[Clause] | None]
Count = Callable[[bytes, Iterable[bytes]], Counter[bytes]]
Again = Callable[[int, Price], list[Clause] | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to scan for. Rules are bits of a mask, the first rule the lowest.

    `masks` has for each literal the rules that it may be a sign of; `others`, for each rule, the
    literals of further clauses, which a line must hold too; `always` are rules to ask of every
    line.
    """

    masks: dict[bytes, int]
    others: tuple[tuple[tuple[bytes, ...], ...], ...]
    always: int


def guess(rules: Ruled) -> Choice:
    """A choice made without data."""
    return _chosen(rules, {}, price)


def tune(rules: Ruled, again: Again, sample: bytes, count: Count) -> Choice:
    """A choice that fits a sample of the data (whole lines).

    `again` gives the clauses of a rule anew, made with a price of the caller's; `count` counts the
    occurrences of literals in a sample.
    """
    lines = max(1, sample.count(b"\n"))
    first = _chosen(rules, {}, price)
    counts = count(sample, first.masks)
    common = {literal for literal, number in counts.items() if number > COMMON * lines}
    measured = {literal: counts[literal] / lines for literal in first.masks}
    noisy = [
        index
        for index, clauses in enumerate(rules)
        if clauses and not common.isdisjoint(min(clauses, key=price).literals)
    ]
    if not noisy:
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
        """What was counted, and next to nothing for what did not occur."""
        guessed = min(price(clause), 1 / lines)
        try:
            return sum(measured[literal] for literal in clause.literals) + guessed
        except KeyError:
            return price(clause)

    better = list(rules)
    for index in noisy:
        better[index] = again(index, rate)
    return _chosen(better, measured, rate)


def _chosen(rules: Ruled, measured: dict[bytes, float], rate: Price) -> Choice:
    masks: dict[bytes, int] = {}
    others: list[tuple[tuple[bytes, ...], ...]] = []
    always = 0
    for index, clauses in enumerate(rules):
        bit = 1 << index
        if not clauses:
            always |= bit if clauses is not None else 0
            others.append(())
            continue
        ranked = sorted(clauses, key=lambda clause: (rate(clause), price(clause)))
        further = ranked[1:]
        if measured and rate(ranked[0]) > EVERYWHERE:
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
    return Choice(masks, tuple(others), always)
