"""Which clause of each rule is scanned for: the one that the fewest lines hold.

Guessed from the literals alone first; then, for rules whose literals turn out common in a sample of
the user's own data, by counting. The choice decides how fast lines are skipped, never which match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from .necessary import Clause, Price, price

# A rule whose clause holds in more lines than this share is worth a better one.
COMMON = 0.0005
# And one that holds in more than this share is not worth scanning for.
EVERYWHERE = 0.4
MAX_OTHERS = 4
MAX_ASKED = 64
MAX_TRIED = 6
# Two clauses are looked for together if that leaves no more than this share of the lines.
PAYS = 0.3

# None for a rule that can never match; a rule without clauses must see every line.
Ruled = Sequence[list[Clause] | None]
Count = Callable[[bytes, Iterable[bytes]], Counter[bytes]]
Where = Callable[[bytes, Iterable[bytes]], dict[bytes, set[int]]]
Again = Callable[[int, Price], list[Clause] | None]


Pair = tuple[frozenset[bytes], frozenset[bytes]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to scan for. Rules are bits of a mask, the first rule the lowest.

    `masks` has for each literal the rules that it may be a sign of, `pairs` the same for two
    clauses of which both must hold; `others`, for each rule, the literals of further clauses, which
    a line must hold too; `always` are rules to ask of every line.
    """

    masks: dict[bytes, int]
    pairs: dict[Pair, int]
    others: tuple[tuple[tuple[bytes, ...], ...], ...]
    always: int


def guess(rules: Ruled) -> Choice:
    """A choice made without data."""
    return _chosen(rules, {}, price, {})


def tune(rules: Ruled, again: Again, sample: bytes, count: Count, where: Where) -> Choice:
    """A choice that fits a sample of the data (whole lines).

    `again` gives the clauses of a rule anew, made with a price of the caller's; `count` counts the
    occurrences of literals in a sample, `where` tells the lines that they stand in.
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
    dear = {
        index: clauses
        for index in noisy
        if (clauses := better[index]) and min(map(rate, clauses)) > COMMON
    }
    return _chosen(better, measured, rate, _paired(dear, sample, where, rate))


def _paired(
    dear: dict[int, list[Clause]], sample: bytes, where: Where, rate: Price
) -> dict[int, Pair]:
    """For rules whose best clause is common: two clauses that seldom hold in one line."""
    tried = {
        index: [
            clause
            for clause in sorted(clauses, key=rate)[:MAX_TRIED]
            if len(clause.literals) <= MAX_ASKED
        ]
        for index, clauses in dear.items()
    }
    words = {word for clauses in tried.values() for one in clauses for word in one.literals}
    found = where(sample, words)
    pairs: dict[int, Pair] = {}
    for index, clauses in tried.items():
        lines = [
            (one.literals, set().union(*(found.get(w, ()) for w in one.literals)))
            for one in clauses
        ]
        fewest = PAYS * len(min((there for _, there in lines), key=len, default=set()))
        for (left, ours), (right, theirs) in combinations(lines, 2):
            both = len(ours & theirs)
            if both <= fewest:
                pairs[index], fewest = (left, right), both
    return pairs


def _chosen(
    rules: Ruled, measured: dict[bytes, float], rate: Price, paired: dict[int, Pair]
) -> Choice:
    masks: dict[bytes, int] = {}
    pairs: dict[Pair, int] = {}
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
        if index in paired:
            pair = paired[index]
            pairs[pair] = pairs.get(pair, 0) | bit
            further = [one for one in ranked if one.literals not in pair]
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
    return Choice(masks, pairs, tuple(others), always)
