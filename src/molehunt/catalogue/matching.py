"""Catalogue values become the selections of a rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .entries import Key
from .writing import Noted

_MODIFIERS: Mapping[str, str] = {
    "is": "",
    "starts": "|startswith",
    "ends": "|endswith",
    "contains": "|contains",
    "matching": "|re|i",
}

# Behind a folder, a file's whole name ends the path, and its beginning stands somewhere in it.
_BEHIND: Mapping[str, str] = {"is": "ends", "starts": "contains"}


def either(field: str, keys: Iterable[Key], prefix: str = "") -> list[dict[str, Any]]:
    r"""One mapping for each way of comparing, to be joined by OR; `prefix` goes before values.

    Behind a prefix an exact value ends the field: it is the whole name of a file.
    """
    found: dict[str, list[Any]] = {}
    for key in keys:
        comparison = _BEHIND.get(key.comparison, key.comparison) if prefix else key.comparison
        text = key.value if comparison == "matching" else escaped(prefix + key.value)
        value = Noted(text, key.note) if key.note else text
        found.setdefault(field + _MODIFIERS[comparison], []).append(value)
    return [{name: values} for name, values in found.items()]


def selection(alternatives: Sequence[Mapping[str, Any]]) -> Any:
    """A mapping if there is one alternative, else the list that Sigma reads as OR."""
    return alternatives[0] if len(alternatives) == 1 else list(alternatives)


def escaped(text: str) -> str:
    """The text as a Sigma value that means these very characters."""
    result = []
    for index, character in enumerate(text):
        after = text[index + 1] if index + 1 < len(text) else ""
        if character in "*?" or (character == "\\" and after in ("*", "?", "\\")):
            result.append("\\")
        result.append(character)
    return "".join(result)
