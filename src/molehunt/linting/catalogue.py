"""The catalogue of checks: `checks.yml`, read when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from .model import Severity


class Example(NamedTuple):
    """Rule texts by file name."""

    files: Mapping[str, str]


class Check(NamedTuple):
    """One check. `fixes` says that `--fix` can mend it; `ours` that it looks only at rules with a
    `molehunt` block; `failing` and `passing` are rules of which only the first are found."""

    id: str
    name: str
    severity: Severity
    title: str
    why: str
    fixes: bool
    ours: bool
    failing: Example
    passing: Example


@cache
def checks() -> Mapping[str, Check]:
    """Every check by id, in order."""
    import yaml

    from ..data import SAFE_LOADER

    text = files(__package__).joinpath("checks.yml").read_bytes()
    data = yaml.load(text, SAFE_LOADER)  # noqa: S506 - one of the safe loaders
    return {name: _check(name, entry, data["shared"]) for name, entry in data["checks"].items()}


def _check(name: str, entry: Mapping[str, Any], shared: Mapping[str, str]) -> Check:
    return Check(
        name,
        entry["name"],
        Severity(entry["severity"]),
        entry["title"],
        entry["why"].strip(),
        bool(entry.get("fixes")),
        bool(entry.get("ours")),
        _example(entry["fails"], shared),
        _example(entry["passes"], shared),
    )


def _example(entry: Any, shared: Mapping[str, str]) -> Example:
    """A text is a whole file, or, with `detection:` first, the detection of the shared rule."""
    texts = entry if isinstance(entry, dict) else {"rule_as_example.yml": entry}
    return Example({name: _whole(text, shared) for name, text in texts.items()})


def _whole(text: str, shared: Mapping[str, str]) -> str:
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    name = first.removeprefix("...").rstrip(":") if first.startswith("...") else ""
    if name not in shared:
        return text
    rest = text.split("\n", 1)[1]
    return shared[name] + rest


def severities() -> Mapping[str, Severity]:
    """The severity of each check."""
    return {name: check.severity for name, check in checks().items()}
