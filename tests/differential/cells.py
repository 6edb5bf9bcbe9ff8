"""Places of a record and what stands in them: as it was, as osquery logs it, as a rule sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol

from .texts import MISSING, escaped


class Unknown:
    """What a rule sees of a value that was not made but stumbled upon."""


UNKNOWN = Unknown()
_LOOKS_ESCAPED = re.compile(r"\\x[0-9A-F]{2}")


class Field(NamedTuple):
    """A field as a rule names it, and the place of its value.

    `kind` is `column`, `decoration` or `envelope`; `use` the table use (`t` for the table itself, or
    the name of a declared join).
    """

    name: str
    kind: str
    use: str
    key: str
    normalisers: tuple[str, ...] = ()


class Logged(Protocol):
    """A cell. `diff` says whether it stands in a differential row, where osquery escapes bytes."""

    def logged(self, diff: bool) -> Any:
        """The JSON value in the log."""

    def plain(self, diff: bool) -> Any:
        """The value with osquery's escaping undone: what keywords look into."""

    def meant(self, diff: bool) -> Any:
        """The value as a rule sees it in this field."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in osquery. `seen` is what a field's own normalisers make of it.

    `old` is the escaping of osquery before 5.22. `raw` values are never escaped (Okta, decorations,
    the envelope).
    """

    value: Any
    seen: Any
    old: bool = False
    raw: bool = False

    def logged(self, diff: bool) -> Any:
        """See `Logged`."""
        if not diff or self.raw:
            return self.value
        if isinstance(self.value, tuple):
            return tuple(escaped(v, self.old) if isinstance(v, str) else v for v in self.value)
        return escaped(self.value, self.old) if isinstance(self.value, str) else self.value

    def plain(self, diff: bool) -> Any:
        """See `Logged`."""
        return UNKNOWN if self._ambiguous(diff, self.value) else self.value

    def meant(self, diff: bool) -> Any:
        """See `Logged`."""
        return UNKNOWN if self._ambiguous(diff, self.value) else self.seen

    def _ambiguous(self, diff: bool, value: Any) -> bool:
        """osquery does not escape its escapes: a `\\x0A` that somebody typed reads as a newline."""
        values = value if isinstance(value, tuple) else (value,)
        return diff and not self.raw and any(
            isinstance(v, str) and _LOOKS_ESCAPED.search(v) is not None for v in values
        )


@dataclass(frozen=True, slots=True)
class Trap:
    r"""A text with `\x..` in it that is logged as it stands, and what it says in either row."""

    text: str
    decoded: str

    def logged(self, diff: bool) -> Any:
        """See `Logged`."""
        return self.text

    def plain(self, diff: bool) -> Any:
        """See `Logged`."""
        return self.decoded if diff else self.text

    meant = plain


def make_cell(rng: Random, where: Field, value: Any, store: str = "osquery") -> Logged:
    """A cell that a rule sees as `value`, spelled in one of the ways that its field allows."""
    raw = store != "osquery" or where.kind != "column"
    old = rng.random() < 0.2
    if isinstance(value, str):
        return Cell(_spelled(rng, where.normalisers, value), value, old, raw)
    return Cell(value, value, old, raw)


def _spelled(rng: Random, normalisers: tuple[str, ...], value: str) -> str:
    if "audit_quotes" in normalisers:
        quoted = len(value) > 1 and value[0] == value[-1] == '"'
        if quoted or rng.random() < 0.6:
            return f'"{value}"'
    if "hive" in normalisers:
        head, slash, rest = value.partition("\\")
        long = _HIVES.get(head)
        if long is not None and rng.random() < 0.8:
            return (long if rng.random() < 0.8 else long.lower()) + slash + rest
    return value


# Names of the registry's root keys: Microsoft's documentation, "Predefined Keys".
_HIVES = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCU": "HKEY_CURRENT_USER",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCC": "HKEY_CURRENT_CONFIG",
}


@dataclass(slots=True)
class State:
    """A record in the making: cells by field, and the envelope of its row.

    `variant` is the number of the query in its group that logged it. `base` is the state that this
    one is an edit of, `edited` what was edited (a construct, or a description).
    """

    cells: dict[Field, Logged]
    action: str
    variant: int
    host: str
    counter: int
    serial: int = -1
    base: int = -1
    edited: str = ""
    fillers: dict[str, Any] = field(default_factory=dict)

    @property
    def diff(self) -> bool:
        """Whether the row is one of those in which osquery escapes bytes."""
        return self.action in ("added", "removed")


class Seen:
    """A state as a rule sees it: only what its query supplies."""

    def __init__(self, state: State, supplied: frozenset[Field], name: str, store: str) -> None:
        self._state = state
        self._supplied = supplied
        self._name = name
        self.store = store

    def meant(self, where: Field) -> Any:
        """The value in a field; MISSING or UNKNOWN among them."""
        state = self._state
        if where.kind == "envelope":
            envelope = {"action": state.action, "host": state.host, "counter": state.counter}
            return self._name if where.key == "name" else envelope[where.key]
        if where not in self._supplied or where not in state.cells:
            return MISSING
        return state.cells[where].meant(state.diff)

    def values(self, where: Field) -> list[Any] | None:
        """The values in a field, those that count as nothing left out; None if unknown."""
        return self._something(self.meant(where))

    def texts(self) -> list[Any] | None:
        """Every value of every column; None if one is unknown."""
        found: list[Any] = [v for v in self._state.fillers.values() if v not in (None, "")]
        for where in self._supplied:
            if where.kind == "column" and where in self._state.cells:
                values = self._something(self._state.cells[where].plain(self._state.diff))
                if values is None:
                    return None
                found += values
        return found

    def _something(self, value: Any) -> list[Any] | None:
        if value is UNKNOWN:
            return None
        items = value if isinstance(value, tuple) else (value,)
        empty = (None, MISSING, "") if self.store == "osquery" else (None, MISSING)
        return [item for item in items if not any(item is e or item == e for e in empty)]
