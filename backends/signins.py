"""Which log a rule reads: rows of osquery, or the sign-ins of an identity provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from .correlating.plan import OSQUERY
from .model import Subject, Unsayable

_Log = TypeVar("_Log")
# A code of reviewed.yml.
CONNECTOR = "connector"


def log_of(subject: Subject, logs: Mapping[str, _Log], reason: str) -> _Log | None:
    """The sign-in log that a rule reads, by the name of its store; None if it reads osquery's rows.
    Raises `Unsayable` with the reason if it is none of them."""
    stores = {bound.fields.store.name for bound in subject.bounds}
    if stores == {OSQUERY}:
        return None
    found = logs.get(stores.pop()) if len(stores) == 1 else None
    if found is None:
        raise Unsayable(CONNECTOR, reason)
    return found
