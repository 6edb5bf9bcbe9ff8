"""A revision of a Git repository as files in a folder."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from ..problems import UsageError


def extract(revision: str, paths: Sequence[str], into: Path) -> list[str]:
    """Write `paths` (files or folders of the working tree) as they were at a revision below `into`;
    the paths there, in order, of those that the revision has.

    Raises UsageError where Git is not there, or knows no such repository or revision.
    """
    top = Path(_git(["rev-parse", "--show-toplevel"], Path.cwd()).decode().strip())
    # A revision that begins with a dash would be read as an option.
    asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    try:
        commit = _git(asked, top)
    except UsageError:
        hint = "a shallow clone may not have it: `git fetch` it first"
        raise UsageError(f"no revision '{revision}' in {top}; {hint}") from None
    found = []
    for path in paths:
        try:
            inside = Path(path).resolve().relative_to(top.resolve()).as_posix()
        except ValueError:
            raise UsageError(f"{path} is outside the repository {top}") from None
        if not _git(["ls-tree", "--name-only", commit.decode().strip(), "--", inside], top):
            continue
        data = _git(["archive", "--format=tar", commit.decode().strip(), "--", inside], top)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(into, filter="data")
        found.append(str(into / inside))
    return found


def _git(arguments: Sequence[str], folder: Path) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the revision cannot be an option
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            check=False,
            capture_output=True,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"git {arguments[0]}: {said[-1] if said else 'failed'}")
    return done.stdout
