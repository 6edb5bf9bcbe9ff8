"""Recorded rows as the table of the profile holds them: texts only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text

from ..model import Profile
from .pipeline import NOTHING

PLACE = "molehunt_place"


def row(record: Record, profile: Profile) -> dict[str, str]:
    """The columns of the line in the table, by name; what it lacks is not in them."""
    found = {
        profile.query: record.query,
        profile.action: record.action,
        profile.host: record.host,
        profile.counter: "" if record.counter is None else str(record.counter),
    }
    for name, value in record.values.items():
        found[profile.column.format(name)] = _text(value)
    for name, text in record.decorations.items():
        found[profile.decoration.format(name)] = text
    return found


@contextmanager
def written(records: Sequence[Record], profile: Profile) -> Iterator[tuple[Path, list[str]]]:
    """A file with a JSON object for each row of osquery, which has its place as `PLACE`; and the
    columns of the table. Those of other logs are left out."""
    # What every row has, and what none has.
    every = (profile.query, profile.action, profile.host, profile.counter, NOTHING)
    columns = dict.fromkeys(every)
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.json")
        with path.open("w", encoding="utf-8") as file:
            for place, record in enumerate(records):
                if record.binding.how != "source":
                    texts = row(record, profile)
                    columns.update(dict.fromkeys(texts))
                    file.write(json.dumps({PLACE: place, **texts}) + "\n")
        yield path, list(columns)


def _text(value: Any) -> str:
    return as_text(value[0] if isinstance(value, tuple) and value else value)
