"""A JDK on this machine that is new enough for an engine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def java_home(oldest: int, *variables: str) -> Path | None:
    """The folder of a JDK of the major version `oldest` or newer: what the variables name, then
    JAVA_HOME, /usr/lib/jvm and PATH. None if there is none."""
    named = [os.environ[v] for v in (*variables, "JAVA_HOME") if os.environ.get(v)]
    found = [*map(Path, named), *sorted(Path("/usr/lib/jvm").glob("*"))]
    system = shutil.which("java")
    if system:
        found.append(Path(system).resolve().parents[1])
    good = [home for home in found if _version(home) >= oldest]
    return good[0] if good else None


def _version(home: Path) -> int:
    release = home / "release"
    if not release.exists() or not (home / "bin" / "java").exists():
        return 0
    for line in release.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key == "JAVA_VERSION":
            return int(value.strip('"').partition(".")[0].partition("-")[0])
    return 0
