"""Plain values to JSON and back, for the cache: nothing that is read can run or name a class of its
own, since only the classes that the caller lists are made.

A value becomes itself (null, booleans, numbers, text) or a list that begins with its kind: a class
by its number in the list, or one of the kinds below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

_TUPLE, _TEXTS, _MAPPING, _SET, _NUMBER = "()", "", "{}", "<>", "#"
_BIG = 2**53


class Codec:
    """Knows some NamedTuples, enumerations and dataclasses, whose fields are such values again."""

    def __init__(self, classes: Sequence[type]) -> None:
        self._classes = tuple(classes)
        self._numbers = {one: number for number, one in enumerate(classes)}
        self._fields = {
            one: [field.name for field in fields(one)] for one in classes if is_dataclass(one)
        }

    def plain(self, value: Any) -> Any:
        """`value` as JSON has it. Raises TypeError or ValueError for what cannot be kept."""
        kind = type(value)
        number = self._numbers.get(kind)
        if number is not None:
            if issubclass(kind, Enum):
                return [number, value.value]
            names = self._fields.get(kind)
            parts = value if names is None else [getattr(value, name) for name in names]
            return [number, *map(self.plain, parts)]
        if kind in (int, float) and not -_BIG < value < _BIG:
            # JSON has no infinity, and its readers differ on such integers.
            return [_NUMBER, repr(value)]
        if value is None or kind in (str, int, float, bool):
            return value
        if kind is tuple or kind is list:
            if all(type(part) is str for part in value):
                return [_TEXTS, *value]
            return [_TUPLE, *map(self.plain, value)]
        if isinstance(value, frozenset):
            return [_SET, *sorted(map(self.plain, value))]
        if isinstance(value, Mapping):
            return [_MAPPING, *(self.plain(part) for pair in value.items() for part in pair)]
        raise TypeError(f"{kind.__name__} cannot be kept")

    def restored(self, data: Any) -> Any:
        """The value of `plain` data. Raises TypeError, ValueError, IndexError or KeyError if it is
        not such data."""
        if type(data) is not list:
            return data
        kind = data[0]
        if kind == _TEXTS:
            return tuple(data[1:])
        if kind == _NUMBER:
            _, text = data
            return int(text) if text.lstrip("-").isdigit() else float(text)
        # Most parts are texts, for which a call would take longest.
        restored = self.restored
        parts = [restored(part) if type(part) is list else part for part in data]
        del parts[0]
        if type(kind) is int:
            return self._classes[kind](*parts)
        if kind == _TUPLE:
            return tuple(parts)
        if kind == _SET:
            return frozenset(parts)
        if kind == _MAPPING:
            return dict(zip(parts[::2], parts[1::2], strict=True))
        raise ValueError(f"no such kind: {kind!r}")
