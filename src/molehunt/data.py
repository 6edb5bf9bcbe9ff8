"""Files that ship inside the package, in a checkout and in a wheel alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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


SAFE_LOADER: Any = SafeLoader


def read_bytes(name: str) -> bytes:
    """The bytes of a file of the rules folder, by its path there (`data/attack_v18.1.json`)."""
    place = files("molehunt.rules")
    for part in name.split("/"):
        place = place.joinpath(part)
    return place.read_bytes()


def load_yaml(name: str) -> Any:
    """A YAML file of the rules folder as plain values."""
    return yaml.load(read_bytes(name), SAFE_LOADER)  # noqa: S506 - one of the safe loaders


@cache
def techniques() -> Mapping[str, Mapping[str, Any]]:
    """ATT&CK Enterprise v18.1 by technique id: name, tactics, platforms."""
    import json

    found: Mapping[str, Mapping[str, Any]] = json.loads(read_bytes("data/attack_v18.1.json"))[
        "techniques"
    ]
    return found
