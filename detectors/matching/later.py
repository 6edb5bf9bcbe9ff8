"""Which atoms the judge in C need not look for in every new text: see `native/judge.h`.

A rule is looked at where a rare atom of it is true. What else it asks is often common, and nearly
always looked for in vain; it is cheaper to look for it where such a rule is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

# Of what it costs to find a literal on the way through a text, looking for it alone takes so much.
ALONE = 8
# What may be true then has to be asked of the caller, line by line: only where rules are looked at
# as seldom as this.
SELDOM = 2e-4


def put_off(
    wanted: Collection[int],
    needing: Collection[int],
    asked_by: Mapping[int, Collection[int]],
    gates: Sequence[Collection[int] | None],
    prices: Sequence[float],
) -> frozenset[int]:
    """Those of the atoms `wanted` that are looked for later, where a rule asks.

    `asked_by` are the rules that ask for each atom, by their places in `gates`: the atoms of which
    one is true where a rule is looked at, None if it always is. `prices` are the shares of rows in
    which atoms are true.
    """
    needed = frozenset[int]().union(*(gate for gate in gates if gate is not None))
    looks = [1.0 if gate is None else sum(prices[atom] for atom in gate) for gate in gates]

    def looked_at(atom: int) -> float:
        return sum(looks[place] for place in asked_by.get(atom, ()))

    return frozenset(
        [
            *(one for one in wanted if one not in needed and ALONE * looked_at(one) < prices[one]),
            *(one for one in needing if one not in needed and looked_at(one) < SELDOM),
        ]
    )
