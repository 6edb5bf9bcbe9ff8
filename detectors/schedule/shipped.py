"""What the SQL of molehunt's own pack says, as it ships with the rules: neither parsed nor is the
parser imported where the pack is as it came. `python -m molehunt.detectors.schedule.shipped`
writes it anew (`make pack`), and tests/test_stored_sql.py says when that is due.
"""

from __future__ import annotations

from hashlib import sha256
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
    """The plain shapes of a binder, if they are those that ship."""
    try:
        found = orjson.loads(read_bytes(FILE))
    except (OSError, ValueError):
        return None
    known: list[Any] | None = found["shapes"] if found["of"] == _digest(binder) else None
    return known


def _digest(binder: Binder) -> str:
    return sha256(binder.digest() + schema_digest()).hexdigest()


def rendered() -> bytes:
    """The text of the file, made anew from the pack: a line for each query."""
    binder = Binder([("config", pack_schedule(load_yaml("pack.yml")))], tables())
    lines = [orjson.dumps(SHAPES.plain(shape)) for shape in binder.shapes()]
    head = orjson.dumps(_digest(binder))
    return b'{"of": ' + head + b', "shapes": [\n' + b",\n".join(lines) + b"\n]}\n"


if __name__ == "__main__":
    Path(builtin_rules_path(), FILE).write_bytes(rendered())
