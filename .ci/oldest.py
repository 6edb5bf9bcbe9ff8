"""Print pip constraints that hold every direct dependency at its lower bound in pyproject.toml."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

_BOUNDS = ("==", ">=", "~=")


def constraints(dependencies: Iterable[str]) -> Iterator[str]:
    """One `name==bound` for each dependency. Raises ValueError for one that has no lower bound."""
    for dependency in dependencies:
        wanted = Requirement(dependency)
        bounds = [one.version for one in wanted.specifier if one.operator in _BOUNDS]
        if not bounds:
            raise ValueError(f"pyproject.toml: {dependency!r} needs a lower bound")
        yield f"{wanted.name}=={bounds[0]}"


def main() -> None:
    """Read the pyproject.toml of this checkout."""
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"].values()
    dependencies = [*project["dependencies"], *(one for extra in extras for one in extra)]
    sys.stdout.writelines(f"{line}\n" for line in constraints(dependencies))


if __name__ == "__main__":
    main()
