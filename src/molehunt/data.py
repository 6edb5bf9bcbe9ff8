"""Files that ship inside the package, in a checkout and in a wheel alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from importlib import import_module
from typing import Any

from .cache import keep, recall


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
    if isinstance(found, dict) and found.keys() == {"yaml", "dates"}:
        return _dated(found["yaml"], found["dates"])
    import orjson
    import yaml

    from .yamlloader import SAFE_LOADER

    try:
        made = yaml.load(content, SAFE_LOADER)  # noqa: S506 - one of the safe loaders
    except yaml.YAMLError as error:
        raise NotYamlError(str(error)) from None
    try:
        plain, dates = orjson.loads(orjson.dumps(made)), list(_dates(made, ()))
        if repr(_dated(plain, dates)) == repr(made):
            keep(key, {"yaml": made, "dates": dates})
    except TypeError:  # keys that are no texts, say
        pass
    return made


def _dates(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Where dates stand, which are texts in JSON."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _dates(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _dates(one, (*path, index))
    elif type(value) is date and path:
        yield path


def _dated(value: Any, dates: Sequence[Sequence[str | int]]) -> Any:
    """`value` with dates again where they stood."""
    for *steps, last in dates:
        place = value
        for step in steps:
            place = place[step]
        place[last] = date.fromisoformat(place[last])
    return value


@cache
def techniques() -> Mapping[str, Mapping[str, Any]]:
    """ATT&CK Enterprise v18.1 by technique id: name, tactics, platforms."""
    import json

    found: Mapping[str, Mapping[str, Any]] = json.loads(read_bytes("data/attack_v18.1.json"))[
        "techniques"
    ]
    return found
