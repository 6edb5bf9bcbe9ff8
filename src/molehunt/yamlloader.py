"""The YAML loader that everything here is read with, and a dumper for what is large; apart from
`data`, since PyYAML takes long to import."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WORD = 100
_RESOLVER: Any = yaml.resolver.Resolver()


class SafeLoader(_LOADER):  # type: ignore[misc]
    """The safe loader of PyYAML, on libyaml where it is there. It tells the kind of a word once:
    a folder of rules has the same words over and over."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node without one."""
        if kind is yaml.ScalarNode:
            return _tag(value) if implicit[0] else _LOADER.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)


@lru_cache(maxsize=1 << 14)
def _tag(value: str) -> str:
    found: str = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return found


class SafeDumper(_DUMPER):  # type: ignore[misc]
    """The safe dumper, which tells the kind of a word once too."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag that a reader would give to a node without one."""
        # A long text stands but once.
        if kind is yaml.ScalarNode and len(value) < _WORD:
            return _tag(value) if implicit[0] else _LOADER.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)


SAFE_LOADER: Any = SafeLoader
SAFE_DUMPER: Any = SafeDumper
