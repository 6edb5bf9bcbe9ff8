"""Which files hold rules."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from .problems import Problem

# Files of the rules folder that are data.
_NOT_RULES = frozenset(("taxonomy.yml", "pack.yml", "deprecated.yml"))
# The folder of tools that rules are made from, told by the schema beside it.
_CATALOGUE = "catalogue"
# The folder of joins, which are no Sigma rules.
JOINS = "joins"


def builtin_rules_path() -> str:
    """The folder of the rules inside the package, in a checkout and in a wheel."""
    return str(next(iter(import_module("molehunt.rules").__path__)))


def rule_files(paths: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, str, bool]]:
    """Path, path below the named folder, and whether the user named the very file."""
    for path in paths:
        if os.path.isdir(path):
            catalogue = Path(path, f"{_CATALOGUE}.schema.json").is_file()
            found = sorted(
                file
                for file in Path(path).rglob("*.y*ml")
                if file.suffix in (".yml", ".yaml")
                and file.name not in _NOT_RULES
                and file.parent.name != JOINS
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
                and not (catalogue and file.relative_to(path).parts[0] == _CATALOGUE)
            )
            if not found:
                problems.append(Problem("no rule files in this folder", path))
            for file in found:
                yield str(file), file.relative_to(path).as_posix(), False
        elif os.path.exists(path):
            yield path, os.path.basename(path), True
        else:
            problems.append(Problem("no such file or folder", path))
