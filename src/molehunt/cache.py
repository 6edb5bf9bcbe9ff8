"""Files that only save time: kept by the hash of all that they depend on, and made anew whenever
anything about them is not as it should be.

They are JSON, so that reading one can run nothing. They count only if the folder and the file
belong to this user and nobody else can write them. `MOLEHUNT_CACHE` names another folder; empty, it
turns keeping off.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

KEPT_FILES = 64
_DIGEST = 64


@cache
def code_of(file: str) -> bytes:
    """A hash of the modules beside a module, which is named by its `__file__`: a checkout changes
    from one version to the next."""
    digest = sha256()
    for path in sorted(Path(file).parent.glob("*.py")):
        digest.update(path.name.encode() + sha256(path.read_bytes()).digest())
    return digest.digest()


def folder() -> Path | None:
    """Where files are kept; None if nowhere safe."""
    named = os.environ.get("MOLEHUNT_CACHE")
    if named == "" or not hasattr(os, "geteuid"):
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = Path(named) if named else Path(base, "molehunt")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place if _is_ours(place.lstat(), stat.S_ISDIR) else None
    except OSError:
        return None


def _is_ours(found: os.stat_result, kind: Any) -> bool:
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return bool(kind(found.st_mode)) and found.st_uid == os.geteuid() and not others


def recall(key: str) -> Any:
    """What was kept under a key; None if nothing whole and safe is there."""
    place = folder()
    if place is None:
        return None
    try:
        with open(place / f"{key}.json", "rb") as stream:
            if not _is_ours(os.fstat(stream.fileno()), stat.S_ISREG):
                return None
            digest, body = stream.read(_DIGEST), stream.read()
        return orjson.loads(body) if sha256(body).hexdigest().encode() == digest else None
    except (OSError, ValueError):
        return None


def keep(key: str, value: Any, named: bool = False) -> None:
    """Keep a JSON value under a key; with `named` it may hold named tuples, which come back as
    lists. That it cannot be kept is no error."""
    place = folder()
    if place is None:
        return
    try:
        body = orjson.dumps(value, _listed if named else None)
    except TypeError:  # half a surrogate pair, say
        return
    import tempfile

    with suppress(OSError):
        handle, name = tempfile.mkstemp(dir=place, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(sha256(body).hexdigest().encode() + body)
            os.replace(name, place / f"{key}.json")
        except OSError:
            os.unlink(name)
            raise
        _forget(place)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(type(value).__name__)


def _forget(place: Path) -> None:
    """Delete all but the newest files."""
    files = sorted(place.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEPT_FILES:]:
        file.unlink(missing_ok=True)
