"""Which files hold rules."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .data import builtin_rules_path as builtin_rules_path  # noqa: PLC0414 - told on
from .problems import Problem

# Files of the rules folder that are data.
_NOT_RULES = frozenset(("taxonomy.yml", "pack.yml", "deprecated.yml"))
# The folder of tools that rules are made from, told by the schema beside it.
_CATALOGUE = "catalogue"
# The folder of joins, which are no Sigma rules.
JOINS = "joins"


def rule_files(paths: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, str, bool]]:
    """Path, path below the named folder, and whether the user named the very file."""
    for path in paths:
        if os.path.isdir(path):
            catalogue = Path(path, f"{_CATALOGUE}.schema.json").is_file()
            found = sorted(_below(path, catalogue))
            if not found:
                problems.append(Problem("no rule files in this folder", path))
            base = str(Path(path))
            for parts in found:
                whole = os.path.join(*parts) if base == "." else os.path.join(base, *parts)
                yield whole, "/".join(parts), False
        elif os.path.exists(path):
            yield path, os.path.basename(path), True
        else:
            problems.append(Problem("no such file or folder", path))


def _below(path: str, catalogue: bool) -> Iterator[tuple[str, ...]]:
    """The rule files of a folder, each as the steps to it. Hidden folders and files are none."""
    for place, folders, names in os.walk(path):
        steps = Path(place).relative_to(path).parts
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not (catalogue and not steps and name == _CATALOGUE)
        ]
        if steps[-1:] == (JOINS,) or (not steps and Path(path).name == JOINS):
            continue
        for name in names:
            if name.endswith((".yml", ".yaml")) and name[0] != "." and name not in _NOT_RULES:
                yield (*steps, name)
