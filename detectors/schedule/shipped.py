"""What the SQL of molehunt's own pack says, as it ships with the rules: neither parsed nor is the
parser imported where the pack is as it came. `python -m molehunt.detectors.schedule.shipped`
writes it anew (`make pack`), and tests/test_shipped_sql.py says when that is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from molehunt.data import builtin_rules_path, load_yaml, read_bytes
from molehunt.schema import tables

from .binding import Binder
from .kept import SHAPES, schema_digest
from .queries import pack_schedule

FILE = "data/pack_sql.json"


def shipped(binder: Binder) -> list[Any] | None:
    """The plain shapes of a binder's queries, if all of them ship."""
    try:
        found = orjson.loads(read_bytes(FILE))
    except (OSError, ValueError):
        return None
    known = found["shapes"]
    shapes = [None if views else known.get(sql) for sql, views in binder.statements()]
    return None if None in shapes or found["schema"] != schema_digest().hex() else shapes


def rendered() -> bytes:
    """The text of the file, made anew from the pack: a line for each query."""
    binder = Binder([("config", pack_schedule(load_yaml("pack.yml")))], tables())
    plain = {
        sql: SHAPES.plain(shape)
        for (sql, _), shape in zip(binder.statements(), binder.shapes(), strict=True)
    }
    lines = [orjson.dumps(sql) + b": " + orjson.dumps(one) for sql, one in plain.items()]
    head = orjson.dumps(schema_digest().hex())
    return b'{"schema": ' + head + b', "shapes": {\n' + b",\n".join(lines) + b"\n}}\n"


if __name__ == "__main__":
    Path(builtin_rules_path(), FILE).write_bytes(rendered())
