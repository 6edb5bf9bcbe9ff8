"""Microsoft Defender XDR: custom detections over Defender's own tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Target


def targets() -> Sequence[Target]:
    """What Defender's sensor on Windows sees by itself, without osquery."""
    from .target import DEFENDER

    return (DEFENDER,)
