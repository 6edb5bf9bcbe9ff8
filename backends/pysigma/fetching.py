"""ClickHouse, Spark and VictoriaLogs for the proof, in the cache beside the search servers.

Nothing of them ships with molehunt, and each version lies in a folder of its own, so that a second
run costs nothing. What is fetched is what stands here: packages by their SHA-256, Go modules by
theirs (`h1:`), with which their go.sum vouches for all that they need.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..searching.server import cache

_ATTEMPTS, _PAUSE = 3, 5  # seconds


class NotFetched(Exception):
    """Why a store could not be had, and what the user can do."""


@dataclass(frozen=True, slots=True)
class Package:
    """`named` is `name==version`; `sha256` are of its files, one for each kind of system. `source`
    is built here, with what was installed before it."""

    named: str
    sha256: tuple[str, ...]
    source: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python environment of its own: packages in their order, and nothing that they ask for
    beyond these. The last one gives the name."""

    store: str
    packages: tuple[Package, ...]

    @property
    def called(self) -> str:
        """`name==version` of what it is for."""
        return self.packages[-1].named

    @property
    def home(self) -> Path:
        """Where it lies; by the version of Python too."""
        release = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        return cache() / f"{self.called.replace('==', '-')}-{release}"

    @property
    def site(self) -> Path:
        """Where its packages are."""
        release = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        return self.home / "lib" / release / "site-packages"

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.home / "bin" / "python"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program of a Go module: its `h1:` sum as the checksum database of Go has it."""

    store: str
    module: str
    version: str
    sum: str
    package: str

    @property
    def called(self) -> str:
        """The module and its version."""
        return f"{self.module}@{self.version}"

    @property
    def program(self) -> Path:
        """Where it lies."""
        name = self.package.rpartition("/")[2]
        return cache() / f"{name}-{self.version}" / name


# ClickHouse in a process (Apache-2.0); pandas and pyarrow, which it asks for, are for data frames.
CHDB = Environment(
    "ClickHouse",
    (
        Package(
            "chdb-core==26.9.0",
            (
                "707e2ec3fe0f7953bac97942eaeb7a1ed1d66b1e56ecef3f0aa2130f61f6e735",
                "46148d3fc1edd6d6f701922be0f18e2aa6e60349e418b430e69bbb87ab6b95a9",
                "bc2d2baedc038ba04be59d97d9ded4f87a3fbe05c3820f93d90e508b1e541ad0",
                "0d24d78969f7ab41d5303c148b7cf64880fa017507bbed9c9b8799b29c26723f",
            ),
        ),
    ),
)
# Apache-2.0. It comes as source, with Spark's own files inside.
PYSPARK = Environment(
    "Spark",
    (
        Package(
            "setuptools==84.2.1",
            ("ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2",),
        ),
        Package(
            "py4j==0.10.9.9",
            ("c7c26e4158defb37b0bb124933163641a2ff6e3a3913f7811b0ddbe07ed61533",),
        ),
        Package(
            "pyspark==4.3.0",
            ("e8c517948eff7088a7aa07449aa8eafa4a15a8d50319de2525a6fd26622476c6",),
            source=True,
        ),
    ),
)
# Apache-2.0.
VICTORIALOGS = GoProgram(
    "VictoriaLogs",
    "github.com/VictoriaMetrics/VictoriaLogs",
    "v1.52.1",
    "h1:B83xu4usTNPrpsFZFH/Dei3nWIsQizIeSRghFxj4ZJo=",
    "./app/victoria-logs",
)


def install(wanted: Environment) -> bool:
    """Have the environment; whether it had to be made. Raises NotFetched."""
    if wanted.python.exists():
        return False
    with _made(wanted.home) as folder:
        _run([sys.executable, "-m", "venv", str(folder)], wanted.store)
        for package in wanted.packages:
            listed = folder / "requirements.txt"
            hashes = "".join(f" --hash=sha256:{one}" for one in package.sha256)
            listed.write_text(f"{package.named}{hashes}\n", encoding="utf-8")
            kind = "--no-binary" if package.source else "--only-binary"
            how = ("--no-deps", "--require-hashes", "--no-cache-dir", kind, ":all:")
            built = ("--use-pep517", "--no-build-isolation") if package.source else ()
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, *how, *built, "--requirement", str(listed)], wanted.store, _ATTEMPTS)
    return True


def build(wanted: GoProgram) -> bool:
    """Have the program; whether it had to be made. Raises NotFetched."""
    if wanted.program.exists():
        return False
    if shutil.which("go") is None:
        raise NotFetched(f"{wanted.store} needs Go (go), to build {wanted.called}")
    with _made(wanted.program.parent) as folder:
        # The user's flags and workspaces are for the user's modules.
        settings = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
        told = _run(
            ["go", "mod", "download", "-json", wanted.called],
            wanted.store, _ATTEMPTS, folder, {**settings, "GOFLAGS": "-mod=mod"},
        )  # fmt: skip
        module = json.loads(told)
        if module["Sum"] != wanted.sum:
            found = f"its sum is {module['Sum']}, not {wanted.sum}"
            raise NotFetched(f"{wanted.called} is not what it should be: {found}")
        output = str(folder / wanted.program.name)
        _run(
            ["go", "build", "-trimpath", "-o", output, wanted.package],
            wanted.store, _ATTEMPTS, Path(module["Dir"]), {**settings, "CGO_ENABLED": "0"},
        )  # fmt: skip
    return True


@contextmanager
def _made(place: Path) -> Iterator[Path]:
    """A folder that takes its place only when all of it is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield folder
        # What lies there is broken, or another process was faster; both are no loss.
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    command: Sequence[str],
    store: str,
    attempts: int = 1,
    folder: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> str:
    """What the command prints. Raises NotFetched after that many attempts."""
    environment = {**os.environ, **(settings or {})}
    for attempt in range(attempts):
        if attempt:
            time.sleep(_PAUSE * attempt)
        told = subprocess.run(  # noqa: S603 - what is fetched stands above
            command, capture_output=True, text=True, check=False, cwd=folder, env=environment
        )
        if not told.returncode:
            return told.stdout
    what = " ".join(command[:4])
    raise NotFetched(f"{store} could not be had: {what} ...: {(told.stderr + told.stdout)[-800:]}")
