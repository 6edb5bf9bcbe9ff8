"""The catalogue of checks: `checks.yml`, read when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from .model import Severity

_NAME = "example_rule_file.yml"


class Example(NamedTuple):
    """Rule texts by file name, and what is shown of them in the documentation; `recording` is the
    manifest of a recording of two rows, "" without one."""

    files: Mapping[str, str]
    shown: str
    recording: str = ""


class Check(NamedTuple):
    """One check. `fixes` says that `--fix` can mend it; `ours` that it looks only at rules with a
    `molehunt` block; only the first of `failing` and `passing` shows it."""

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

    from ..yamlloader import SAFE_LOADER

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
        _example(entry["passes"], shared, entry["fails"]),
    )


def _example(entry: Any, shared: Mapping[str, str], other: Any = None) -> Example:
    """The files of an entry of the catalogue; `other` is the entry that it stands against."""
    several = entry["files"] if isinstance(entry, dict) and "files" in entry else {_NAME: entry}
    texts, shown = {}, []
    for name, part in several.items():
        texts[name], said = _whole(part, shared)
        if isinstance(part, dict) and "replace" not in part:
            said = _unchanged(texts[name], other)
        shown.append(said if len(several) == 1 and name == _NAME else f"# {name}\n{said}")
    recording = entry.get("recording", "") if isinstance(entry, dict) else ""
    if recording:
        lines = shown[0] if "replace" in entry else ""
        shown = [f"{lines}# tests/recordings/rows/manifest.yml\n{recording}"]
    return Example(texts, "\n".join(shown), recording)


def _unchanged(text: str, other: Any) -> str:
    """The lines that the other example changed, or the beginning of the rule."""
    changed = other.get("replace", {}) if isinstance(other, dict) else {}
    if changed:
        return "".join(f"{line}\n" for line in changed)
    return "".join(f"{line}\n" for line in [*text.splitlines()[:2], "# …"])


def _whole(entry: Any, shared: Mapping[str, str]) -> tuple[str, str]:
    """The text of a file, and the part of it that matters."""
    if isinstance(entry, dict):
        text = shared[entry["of"]]
        for old, new in entry.get("replace", {}).items():
            text = text.replace(f"{old}\n", f"{new}\n" if new else "")
        lines = [new for new in entry.get("replace", {}).values() if new]
        return text, "".join(f"{line}\n" for line in lines)
    first, _, rest = entry.partition("\n")
    if not first.startswith("..."):
        return entry, entry
    whole = shared[first.removeprefix("...")] + rest
    return whole, whole[whole.index("logsource:") : whole.index("falsepositives:")] + (
        whole[whole.rindex("detection:") :]
    )
