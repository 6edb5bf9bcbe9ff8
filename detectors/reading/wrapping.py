"""What readers of stored logs share: a wrapper is opened, and what it holds is read as if it stood
alone.

The module of a wrapper offers `claims(document)` and `unwrap(document, where) -> Unwrapped`.
`MARKS` are byte strings of which every document that it claims holds one, however it is written as
JSON (escapes aside); the raw scan must not skip a line with a mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from molehunt.problems import Problem, Severity

from ..records import Locator
from .lines import parse_line


class Trap(NamedTuple):
    """Something the user has to know about a way of storing logs. `what` begins a message."""

    what: str
    hint: str = ""
    severity: Severity = Severity.WARNING


class Stored(NamedTuple):
    """A log line that was stored as text."""

    line: bytes


class Unwrapped(NamedTuple):
    """The documents inside a wrapper, or the lines that hold some (`Stored`), in order, and what
    was noticed on the way."""

    documents: Sequence[Any] = ()
    traps: Sequence[Trap] = ()


class Traps:
    """Counts traps by kind, so that a file is warned about once and not a million times."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Trap], tuple[int, int]] = {}

    def note(self, where: Locator, traps: Sequence[Trap]) -> None:
        """Count the traps of one document; the line of the first of a kind is kept."""
        for trap in traps:
            key = (where.file, trap)
            line, count = self._seen.get(key, (where.line, 0))
            self._seen[key] = (line, count + 1)

    def take(self) -> dict[tuple[str, Trap], tuple[int, int]]:
        """What was noted since the last call, by file and kind: the first line and how often."""
        taken, self._seen = self._seen, {}
        return taken

    def merge(self, taken: Mapping[tuple[str, Trap], tuple[int, int]], lines: int) -> None:
        """Take in what was noted of a later part of a file, before which `lines` stand."""
        for key, (line, count) in taken.items():
            first, before = self._seen.get(key, (line + lines, 0))
            self._seen[key] = (first, before + count)

    def tell(self) -> list[Problem]:
        """One problem for each file and kind noted since the last call."""
        told = [
            Problem(
                trap.what + (f" ({count:,} times)" if count > 1 else ""),
                file,
                line,
                hint=trap.hint,
                severity=trap.severity,
            )
            for (file, trap), (line, count) in self._seen.items()
        ]
        self._seen.clear()
        return told


CUT = Trap(
    "a value of exactly 1,024 characters, which may have been cut there",
    "what stood behind is not searched; compare with the log on the host",
)
MERGED = Trap(
    "rows were merged into lists, and which values belong together cannot be told: left out",
    "export whole documents (_source, _raw), or log one row a line (docs/inputs.md)",
    Severity.ERROR,
)
DOTTED = Trap(
    "a column name with a dot: a flattened key, or an alias, cannot be told",
    "export the nested documents instead",
)
STORED_TIME = Trap(
    "the export does not say when the query ran, so times are those of storing",
    "--since and --until go by them",
)
NO_TIME = Trap(
    "the export does not say when the query ran", "--since and --until let such rows through"
)
NO_NAME = Trap(
    "the export does not name its query, so it is tied to a table by its columns only",
    "rows whose columns fit several tables are not looked at; --stats lists them",
)
BROKEN_INSIDE = Trap(
    "the log line inside a stored document is cut short or broken: left out",
    "stores and syslog cut long lines; raise their limit (docs/inputs.md)",
    Severity.ERROR,
)

_LIMIT = 1024
# Documents of one store have the same keys, and are looked at once; those of very many each time.
_MOST_KEYS = 128


def branch(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What stands below `name`, whether nested (`{name: {a: 1}}`) or dotted (`{name.a: 1}`)."""
    nested = document.get(name)
    found = dict(nested) if isinstance(nested, dict) else {}
    for key, rest in _below(document, name):
        found.setdefault(rest, document[key])
    return found


def has_branch(document: Mapping[str, Any], name: str) -> bool:
    """Whether anything can stand below `name`."""
    return isinstance(document.get(name), dict) or bool(_below(document, name))


def _below(document: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
    """The keys that stand below `name`, with what is behind its dot."""
    keys = tuple(document)
    return _dotted(keys, name) if len(keys) <= _MOST_KEYS else _dotted.__wrapped__(keys, name)


@lru_cache(4096)
def _dotted(keys: tuple[str, ...], name: str) -> tuple[tuple[str, str], ...]:
    prefix = name + "."
    return tuple((key, key[len(prefix) :]) for key in keys if key.startswith(prefix))


def stored(text: str) -> Stored:
    """A log line that was stored as text, often with the end of the line."""
    return Stored(text.rstrip("\r\n").encode(errors="replace"))


def documents_in(text: str) -> Sequence[dict[str, Any]]:
    """The documents of a log line that was stored as text; none if not all of it can be read."""
    parsed = parse_line(stored(text).line)
    return () if parsed.broken else parsed.documents


def seconds(value: Any) -> float | None:
    """A stored time (ISO 8601, or seconds or milliseconds since 1970) as seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _iso(value) if isinstance(value, str) else None
    if not isfinite(number):
        return None
    # Milliseconds before 1973 would be seconds after 5138.
    return number / 1000 if number > 1e11 else number


def _iso(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def noticed(columns: Mapping[str, Any]) -> list[Trap]:
    """What a row of a store that limits lengths or flattens names makes one wonder."""
    found = []
    if any(isinstance(value, str) and len(value) == _LIMIT for value in columns.values()):
        found.append(CUT)
    if any("." in name for name in columns):
        found.append(DOTTED)
    return found


def is_merged(columns: Mapping[str, Any]) -> bool:
    """Whether values are lists, which no osquery row has."""
    return any(isinstance(value, list) for value in columns.values())


def first_text(*values: Any) -> str:
    """The first value that is a text with something in it, or a number as text."""
    for value in values:
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""
