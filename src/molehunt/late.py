"""Values of which a part is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self


class Late:
    """A base for dataclasses with slots: `early` makes one that lacks some of its fields."""

    __slots__ = ("_rest",)

    @classmethod
    def early(cls, there: Mapping[str, Any], rest: Callable[[], Mapping[str, Any]]) -> Self:
        """One with the fields that are `there`; what `rest` gives is asked for with the first of
        the others."""
        made = object.__new__(cls)
        put = object.__setattr__
        for name, value in there.items():
            put(made, name, value)
        put(made, "_rest", rest)
        return made

    def but(self, **changes: Any) -> Self:
        """The same with other values for some fields, as `dataclasses.replace` makes it; what is
        not there yet is still to come."""
        there = {}
        for name in getattr(self, "__dataclass_fields__"):  # noqa: B009 - of whoever derives
            with suppress(AttributeError):
                there[name] = object.__getattribute__(self, name)
        return self.early(there | changes, getattr(self, "_rest", dict))

    if not TYPE_CHECKING:  # else no name would be wrong

        def __getattr__(self, name: str) -> Any:
            if name == "_rest":  # all fields were there from the beginning
                raise AttributeError(name)
            found = self._rest()
            if name not in found:
                raise AttributeError(name)
            for one, value in found.items():
                object.__setattr__(self, one, value)
            return found[name]
