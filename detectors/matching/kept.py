"""What the engine works out from rules and schedules, kept from one run to the next."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from molehunt.cache import keep, recall
from molehunt.codec import Codec
from molehunt.data import read_bytes
from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..records import Equality, Origin, Shape, TableUse
from ..schedule.binding import Binder
from ..schedule.sql import SqlProblem
from .choose import Ruled
from .necessary import Clause
from .plan import clauses_of

# Changed when clauses are made otherwise or kept in another form.
FORM = 2
_SHAPES = Codec((Shape, TableUse, Origin, Equality, SqlProblem))


def kept_clauses(
    rules: Sequence[Rule], key: str, taxonomy: Taxonomy, binder: Binder
) -> list[list[Clause] | None]:
    """The clauses of the rules, whose set has this key; the binder is spared parsing its SQL."""
    digest = sha256(repr((FORM, key)).encode() + binder.digest())
    digest.update(read_bytes("data/osquery_schema.json"))
    name = f"plan-{digest.hexdigest()}"
    found = recall(name)
    if found is not None:
        try:
            clauses, shapes = found
            binder.restore([_SHAPES.restored(shape) for shape in shapes])
            return [_clauses(one) for one in clauses]
        except (TypeError, ValueError, KeyError, IndexError):
            pass  # not what was kept: made anew
    made = clauses_of(rules, taxonomy, binder)
    keep(name, [_plain(made), [_SHAPES.plain(shape) for shape in binder.shapes()]])
    return made


def _plain(ruled: Ruled) -> list[Any]:
    return [
        None
        if clauses is None
        else [[one.key, *(word.decode("latin-1") for word in one.literals)] for one in clauses]
        for clauses in ruled
    ]


def _clauses(plain: Any) -> list[Clause] | None:
    if plain is None:
        return None
    return [Clause(frozenset(w.encode("latin-1") for w in words), key) for key, *words in plain]
