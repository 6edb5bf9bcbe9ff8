"""What the SQL of schedules says, kept from one run to the next: parsing takes long, and so does
importing the parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, overload

from molehunt import __version__
from molehunt.cache import code_of, keep, recall
from molehunt.codec import Codec
from molehunt.data import read_bytes
from molehunt.installed import release
from molehunt.schema import tables

from ..records import Equality, Origin, Shape, TableUse
from .binding import Binder
from .queries import pack_schedule
from .sql import SqlProblem

# Changed when SQL is read otherwise or kept in another form.
FORM = 1
SHAPES = Codec((Shape, TableUse, Origin, Equality, SqlProblem))


class _Shapes(Sequence[Shape | SqlProblem]):
    """Shapes as they were kept, each made when asked for."""

    def __init__(self, plain: Sequence[Any]) -> None:
        self._plain = plain

    @overload
    def __getitem__(self, index: int) -> Shape | SqlProblem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Shape | SqlProblem]: ...
    def __getitem__(self, index: int | slice) -> Shape | SqlProblem | Sequence[Shape | SqlProblem]:
        if isinstance(index, slice):
            return _Shapes(self._plain[index])
        found: Shape | SqlProblem = SHAPES.restored(self._plain[index])
        return found

    def __len__(self) -> int:
        return len(self._plain)


def know_sql(binder: Binder) -> Binder:
    """The binder, which need not parse what ships parsed or was parsed before."""
    from .shipped import shipped

    known = shipped(binder)
    if known is not None:
        binder.restore(_Shapes(known))
        return binder
    made_of = repr((FORM, __version__, release("sqlglot"))).encode() + code_of(__file__)
    key = f"sql-{sha256(made_of + binder.digest() + schema_digest()).hexdigest()}"
    found = recall(key)
    if isinstance(found, list) and all(isinstance(one, list) and one for one in found):
        try:
            binder.restore(_Shapes(found))
            return binder
        except ValueError:
            pass  # not what was kept: made anew
    keep(key, [SHAPES.plain(shape) for shape in binder.shapes()])
    return binder


def pack_shapes(manifest: Mapping[str, Any]) -> dict[str, Shape | SqlProblem]:
    """What each query of molehunt's pack says, by its SQL."""
    schedule = pack_schedule(manifest)
    binder = know_sql(Binder([("config", schedule)], tables()))
    shapes = zip(schedule.queries, binder.shapes(), strict=True)
    return {query.sql: shape for query, shape in shapes}


@cache
def schema_digest() -> bytes:
    """A hash of all tables and columns that are known."""
    return sha256(read_bytes("data/osquery_schema.json")).digest()
