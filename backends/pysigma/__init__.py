"""Any installed pySigma backend as a target: `pysigma:sqlite`, `pysigma:clickhouse`, ..."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Target


def targets() -> Sequence[Target]:
    """A target for each backend that is installed beside molehunt."""
    from .target import installed

    return installed()
