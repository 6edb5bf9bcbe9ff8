"""Splunk: rules as saved searches in an app."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Target


def targets() -> Sequence[Target]:
    """The targets of this folder."""
    from .target import SPLUNK

    return (SPLUNK,)
