"""Files that ship inside the package, in a checkout and in a wheel alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from functools import cache
from hashlib import sha256
from importlib import import_module
from typing import Any

from .cache import keep, recall

# A file with more values is not kept.
MAX_VALUES = 20_000


class NotYamlError(ValueError):
    """What was read is no YAML; says where and why."""


@cache
def builtin_rules_path() -> str:
    """The folder of the rules inside the package, in a checkout and in a wheel."""
    return str(next(iter(import_module("molehunt.rules").__path__)))


def read_bytes(name: str) -> bytes:
    """The bytes of a file of the rules folder, by its path there (`data/attack_v18.1.json`)."""
    with open(os.path.join(builtin_rules_path(), *name.split("/")), "rb") as stream:
        return stream.read()


def load_yaml(name: str) -> Any:
    """A YAML file of the rules folder as plain values."""
    return yaml_of(read_bytes(name))


def yaml_of(content: bytes) -> Any:
    """YAML as plain values, kept from one run to the next where JSON has the same values.

    Raises NotYamlError.
    """
    key = f"yaml-{sha256(content).hexdigest()}"
    found = recall(key)
    if isinstance(found, dict) and found.keys() == {"yaml"}:
        return _restored(found["yaml"])
    import orjson
    import yaml

    from .yamlloader import SAFE_LOADER

    try:
        made = yaml.load(content, SAFE_LOADER)  # noqa: S506 - one of the safe loaders
    except yaml.YAMLError as error:
        raise NotYamlError(str(error)) from None
    try:
        plain = orjson.loads(orjson.dumps(_plain(made, [MAX_VALUES])))
    except (TypeError, RecursionError):  # a moment, say
        return made
    if repr(_restored(plain)) == repr(made):
        keep(key, {"yaml": plain})
    return made


def _plain(value: Any, left: list[int]) -> Any:
    """Lists with what they are in front: keys need not be texts, and JSON has no dates. What has
    anchors can be without end, so that no more values are taken than are `left`."""
    left[0] -= 1
    if left[0] < 0:
        raise TypeError("too much to be kept")
    if type(value) is dict:
        return ["{}", *(_plain(one, left) for pair in value.items() for one in pair)]
    if type(value) is list:
        return ["[]", *(_plain(one, left) for one in value)]
    if type(value) is date:
        return ["date", value.isoformat()]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(type(value).__name__)


def _restored(plain: Any) -> Any:
    if type(plain) is not list:
        return plain
    kind, *parts = plain
    values = [_restored(part) if type(part) is list else part for part in parts]
    if kind == "{}":
        return dict(zip(values[::2], values[1::2], strict=True))
    return date.fromisoformat(values[0]) if kind == "date" else values


@cache
def techniques() -> Mapping[str, Mapping[str, Any]]:
    """ATT&CK Enterprise v18.1 by technique id: name, tactics, platforms."""
    import orjson

    found: Mapping[str, Mapping[str, Any]] = orjson.loads(read_bytes("data/attack_v18.1.json"))[
        "techniques"
    ]
    return found
