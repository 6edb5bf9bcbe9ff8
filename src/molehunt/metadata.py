"""The `molehunt:` block of a rule, checked against `rules/rule.schema.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from .data import read_bytes
from .late import Late
from .problems import Problem

if TYPE_CHECKING:
    from .yamlfile import Document

BLOCK = "molehunt"


@dataclass(frozen=True, slots=True)
class Metadata(Late):
    """What a rule says beyond Sigma; docs/rule_style.md explains each key."""

    subject: str = ""
    identity: tuple[str, ...] = ()
    platforms: frozenset[str] = frozenset()
    tables: tuple[str, ...] = ()
    min_version: str = ""
    flags: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    validate: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    context_only: bool = False
    removed: bool = False
    place: str = ""
    behaviours: tuple[str, ...] = ()


def parse_metadata(block: Any) -> Metadata:
    """The block as values; `check_metadata` must have found nothing wrong with it."""
    needs = block.get("needs", {})
    return Metadata(
        subject=block.get("subject", ""),
        identity=tuple(block.get("identity", ())),
        platforms=frozenset(block.get("platforms", ())),
        tables=tuple(needs.get("tables", ())),
        min_version=needs.get("min_version", ""),
        flags=tuple(needs.get("flags", ())),
        inputs=tuple(needs.get("inputs", ())),
        blind_spots=tuple(block.get("blind_spots", ())),
        validate=tuple(block.get("validate", ())),
        next_steps=tuple(block.get("next_steps", ())),
        context_only=block.get("context_only", False),
        removed=block.get("removed", False),
        place=block.get("place", ""),
        behaviours=tuple(block.get("behaviours", ())),
    )


def check_metadata(block: Any, document: Document, path: str, rule: str) -> Iterator[Problem]:
    """Every way in which the block breaks the schema, with the key's line."""
    if accepts(block):
        return
    for error in sorted(_validator().iter_errors(block), key=lambda error: list(error.path)):
        place = (BLOCK, *error.path)
        what = f"{'.'.join(map(str, place))}: {error.message}"
        yield Problem(what, path, document.near(place), rule, "see docs/rule_style.md")


def accepts(block: Any) -> bool:
    """Whether nothing at all is wrong with the block, as is so for nearly every rule.

    fastjsonschema tells in a twentieth of the time that jsonschema takes, which then is not even
    imported (with its formats, that alone takes two seconds). What it refuses is left to
    jsonschema, which has the last word and the better ones.
    """
    from fastjsonschema import JsonSchemaValueException

    try:
        _quick()(block)
    except JsonSchemaValueException:
        return False
    return True


def _schema() -> Any:
    import json

    return json.loads(read_bytes("rule.schema.json"))


@cache
def _quick() -> Any:
    import fastjsonschema

    # It knows drafts up to 7; the schema uses nothing that is newer but `$defs`, which is only a
    # place to point to.
    return fastjsonschema.compile(_schema(), use_default=False)


@cache
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(_schema())
