"""The targets there are: every folder here that says it has some."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from . import __path__ as _folders
from .model import Target


@cache
def targets() -> tuple[Target, ...]:
    """All targets, by folder and in each folder's own order."""
    found: list[Target] = []
    for module in sorted(iter_modules(_folders), key=lambda module: module.name):
        if module.ispkg:
            folder = import_module(f"{__package__}.{module.name}")
            found += getattr(folder, "targets", tuple)()
    return tuple(found)


def target(name: str) -> Target:
    """The target of that name. Raises KeyError with the names there are."""
    for one in targets():
        if one.name == name:
            return one
    raise KeyError(", ".join(one.name for one in targets()))
