"""The targets there are: every folder here that says it has some."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from . import __path__ as _paths
from .model import Target


@cache
def targets() -> tuple[Target, ...]:
    """All targets, by folder and in each folder's own order."""
    return tuple(one for folder in _folders() for one in _targets_of(folder))


def target(name: str) -> Target:
    """The target of that name. Raises KeyError with the names there are.

    A folder is named as its targets are up to a colon, so that no other needs to be imported.
    """
    folder = name.partition(":")[0]
    near = _targets_of(folder) if folder in _folders() else ()
    for one in near:
        if one.name == name:
            return one
    for one in targets():
        if one.name == name:
            return one
    raise KeyError(", ".join(one.name for one in targets()))


@cache
def _folders() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(_paths) if module.ispkg))


@cache
def _targets_of(folder: str) -> Sequence[Target]:
    found = import_module(f"{__package__}.{folder}")
    return tuple(getattr(found, "targets", tuple)())
