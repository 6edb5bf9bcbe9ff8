"""Install molehunt with every other supported Python on this machine, import it all, start it.

A Python that is not here is passed over with a line that says so. Exit code 1 if one fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).resolve().parents[1]
IMPORT_ALL = """
import importlib, pkgutil, molehunt
for module in pkgutil.walk_packages(molehunt.__path__, "molehunt."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def candidates(version: str) -> Iterator[str]:
    """Programs that may be that Python: on the path, or kept by pyenv without being active."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from (str(path) for path in sorted(kept.glob(f"{version}.*/bin/python")))


def runs(python: str) -> bool:
    """Whether the program starts (a shim may be there without a Python behind it)."""
    done = subprocess.run([python, "-c", "import venv"], check=False, capture_output=True)
    return done.returncode == 0


def smoke(python: str, folder: str) -> None:
    """Raises CalledProcessError with the output already shown if any step fails."""
    home = Path(folder, "venv")
    subprocess.run([python, "-m", "venv", str(home)], check=True)
    inside = str(home / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check", "--only-binary", "hyperscan"]
    subprocess.run([inside, "-m", "pip", "install", *quiet, f"{ROOT}[fast]"], check=True)
    subprocess.run([inside, "-c", IMPORT_ALL], check=True, cwd=folder)
    subprocess.run([str(home / "bin" / "molehunt"), "--version"], check=True, cwd=folder)


def main() -> int:
    """Each version in turn."""
    here = "{}.{}".format(*sys.version_info)
    failed = False
    for version in (one for one in VERSIONS if one != here):
        python = next(filter(runs, candidates(version)), None)
        if python is None:
            print(f"Python {version}: not on this machine, passed over", flush=True)
            continue
        print(f"Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                smoke(python, folder)
            except subprocess.CalledProcessError as error:
                print(f"Python {version}: failed: {error}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
