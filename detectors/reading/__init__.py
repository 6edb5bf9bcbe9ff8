"""Turn files into rows: `inputs` (files to blocks of lines), `lines` (a line to JSON documents),
and one small module per kind of log with `NAME`, `claims(document)` and `rows(document, where)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ..records import Locator, Row
from . import okta, osquery


class Reader(Protocol):
    """What a module for one kind of log offers; see `osquery` for the model."""

    NAME: str

    def claims(self, document: Mapping[str, Any]) -> bool:
        """Whether the document is of this kind; must be cheap and must not raise."""

    def rows(self, document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
        """The rows of a claimed document, numbered from `where.row`."""


# A module is a Reader: mypy cannot see that, so the names are bound one by one.
READERS = (osquery, okta)


def read_document(document: Mapping[str, Any], where: Locator) -> tuple[Row, ...] | None:
    """The rows of a document, or None if no reader knows it."""
    for reader in READERS:
        if reader.claims(document):
            return tuple(reader.rows(document, where))
    return None
