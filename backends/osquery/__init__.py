"""osquery: the pack that collects, and the rules as queries that run on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import Target


def targets() -> Sequence[Target]:
    """The one target here."""
    from .target import TARGET

    return (TARGET,)
