"""`entities.csv`: who works here, from when until when, on which laptop, sent where."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType

from molehunt.problems import Problem

from ..values import fold

COLUMNS = ("host", "user", "groups", "start_date", "end_date", "ship_to")
_DAY = 86400.0
_HINT = "docs/inputs.md describes entities.csv"


@dataclass(frozen=True, slots=True)
class Entity:
    """What the file says of one account, over all of its lines.

    `start` is the first day and `end` the last one (None: unknown, or still here); `ship_to` has
    ISO 3166 codes of countries.
    """

    start: date | None = None
    end: date | None = None
    ship_to: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def days_since_start(self, at: float) -> int | None:
        """Whole days since the first day began (UTC); negative before it."""
        return None if self.start is None else int((at - _seconds(self.start)) // _DAY)

    def days_since_end(self, at: float) -> int | None:
        """Whole days since the last day: 0 on it, 1 on the day after; negative before it."""
        return None if self.end is None else int((at - _seconds(self.end)) // _DAY)


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def is_header(head: bytes) -> bool:
    """Whether a file that begins so is an `entities.csv`."""
    line = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode(errors="replace")
    names = {name.strip().casefold() for name in line.split(",")}
    return {"user", "start_date"} <= names <= set(COLUMNS)


def load_entities(path: str) -> tuple[Mapping[str, Entity], list[Problem]]:
    """The entities by account (case folded), and every problem with its line.

    A line with an error is left out; so an error never makes a finding. A file that cannot be
    read is a problem too.
    """
    problems: list[Problem] = []
    found: dict[str, Entity] = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            for user, entity in _lines(path, stream, problems):
                before = found.get(user)
                found[user] = entity if before is None else _both(before, entity)
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror or error}", path))
    except (UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(f"is not CSV in UTF-8: {error}", path, hint=_HINT))
    return MappingProxyType(found), problems


def _lines(
    path: str, stream: Iterator[str], problems: list[Problem]
) -> Iterator[tuple[str, Entity]]:
    rows = csv.reader(stream)
    names = [name.strip().casefold() for name in next(rows, [])]
    unknown = sorted(set(names) - set(COLUMNS))
    if "user" not in names or len(set(names)) < len(names):
        what = "the header needs a column 'user', and each name once"
        problems.append(Problem(what, path, 1, hint=f"columns: {', '.join(COLUMNS)}"))
        return
    if unknown:
        what = f"unknown columns: {', '.join(unknown)}"
        problems.append(Problem(what, path, 1, hint=f"columns: {', '.join(COLUMNS)}"))
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        line = rows.line_num
        if len(cells) != len(names):
            what = f"{len(cells)} cells under a header of {len(names)}: the line was left out"
            problems.append(Problem(what, path, line))
            continue
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
        entity = _entity(row, path, line, problems)
        if entity is not None and row["user"]:
            yield fold(row["user"]), entity


def _entity(row: Mapping[str, str], path: str, line: int, problems: list[Problem]) -> Entity | None:
    days: dict[str, date | None] = {}
    for name in ("start_date", "end_date"):
        text = row.get(name, "")
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            what = f"{name} is no day: {text}: the line was left out"
            problems.append(Problem(what, path, line, hint="write it as 2027-01-31"))
            return None
    start, end = days["start_date"], days["end_date"]
    if start and end and end < start:
        what = "end_date lies before start_date: the line was left out"
        problems.append(Problem(what, path, line))
        return None
    country = row.get("ship_to", "").upper()
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        what = f"ship_to is no ISO 3166 code of two letters: {country}: the line was left out"
        problems.append(Problem(what, path, line, hint="for instance US, DE or JP"))
        return None
    groups = tuple(name.strip() for name in row.get("groups", "").split(";") if name.strip())
    return Entity(start, end, (country,) if country else (), groups)


def _both(one: Entity, other: Entity) -> Entity:
    """Two lines for one account: two laptops, or two contracts. It ends when all have ended."""
    starts = [day for day in (one.start, other.start) if day]
    end = max(one.end, other.end) if one.end and other.end else None
    ship_to = tuple(dict.fromkeys((*one.ship_to, *other.ship_to)))
    groups = tuple(dict.fromkeys((*one.groups, *other.groups)))
    return Entity(min(starts, default=None), end, ship_to, groups)
