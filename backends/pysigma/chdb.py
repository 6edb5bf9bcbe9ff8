"""ClickHouse itself: the package `chdb-core` in an environment of its own (fetching.py)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..model import Engine, Evidence, Profile
from .fetching import CHDB as PACKAGE
from .worker import Session, working

_TOGETHER = 200  # queries in a request


def missing() -> str:
    """What is needed, or ""."""
    return "" if PACKAGE.python.exists() else f"{PACKAGE.called}, which `make stores` gets"


def _open(profile: Profile) -> AbstractContextManager[Session]:
    return working(PACKAGE.python, "chdb_worker.py", profile, _TOGETHER, {})


CHDB = Engine("clickhouse", Evidence.ENGINE, missing, _open)
