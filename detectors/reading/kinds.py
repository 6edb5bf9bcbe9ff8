"""The kinds of logs and the ways of storing them that are known, and which of them a document may
be of, told from the names of its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, cast

from ..records import Locator, Row
from . import (
    collected,
    delivered,
    elastic,
    entra,
    entra_audit,
    entra_csv,
    events,
    filebeat,
    fleet,
    okta,
    okta_csv,
    osquery,
    osquery_manager,
    pages,
    shipped,
    splunk,
    tls,
    workspace,
    workspace_csv,
)
from .wrapping import Unwrapped

# Documents of the same keys are asked about once; those of very many keys each time.
MAX_KNOWN, MAX_KEYS = 4096, 128


class Kind(Protocol):
    """What readers and wrappers share. Every document that is claimed has one of `KEYS`; a name
    with `*` behind it stands for all that begin so."""

    KEYS: tuple[str, ...]

    def claims(self, document: Mapping[str, Any]) -> bool:
        """Whether the document is of this kind; must be cheap and must not raise."""


class Reader(Kind, Protocol):
    """What a module for one kind of log offers; see `osquery` for the model."""

    NAME: str

    def rows(self, document: Mapping[str, Any], where: Locator) -> Iterator[Row]:
        """The rows of a claimed document, numbered from `where.row`."""


class Wrapper(Kind, Protocol):
    """What a module for one way of storing logs offers; see `elastic` for the model."""

    MARKS: tuple[bytes, ...]

    def unwrap(self, document: Mapping[str, Any], where: Locator) -> Unwrapped:
        """What a claimed document holds."""


# Their keys are tuples of a certain length, which mypy does not take for tuples of any.
READERS = cast("tuple[Reader, ...]", (osquery, okta, entra, entra_audit, workspace))
WRAPPERS = cast(
    "tuple[Wrapper, ...]",
    (
        tls,
        elastic,
        filebeat,
        osquery_manager,
        splunk,
        fleet,
        okta_csv,
        entra_csv,
        workspace_csv,
        pages,
        delivered,
        collected,
        shipped,
    ),
)
_MARKED: tuple[tuple[bytes, ...], ...] = (
    entra.MARKS,
    entra_audit.MARKS,
    workspace.MARKS,
    events.MARKS,
)
MARKS = frozenset(mark for marks in (*(one.MARKS for one in WRAPPERS), *_MARKED) for mark in marks)


class Possible(NamedTuple):
    """What documents with certain keys may be, in the order in which they are asked."""

    readers: tuple[Reader, ...]
    wrappers: tuple[Wrapper, ...]


_known: dict[tuple[str, ...], Possible] = {}


def possible(document: Mapping[str, Any]) -> Possible:
    """The readers and wrappers that may claim a document."""
    keys = tuple(document)
    found = _known.get(keys)
    if found is None:
        found = Possible(
            tuple(one for one in READERS if has_one(one.KEYS, document)),
            tuple(one for one in WRAPPERS if has_one(one.KEYS, document)),
        )
        if len(keys) <= MAX_KEYS:
            if len(_known) >= MAX_KNOWN:
                _known.clear()
            _known[keys] = found
    return found


def claimant(document: Mapping[str, Any]) -> tuple[Reader | None, Wrapper | None]:
    """The reader or else the wrapper that claims a document, if there is one."""
    readers, wrappers = possible(document)
    for reader in readers:
        if reader.claims(document):
            return reader, None
    for wrapper in wrappers:
        if wrapper.claims(document):
            return None, wrapper
    return None, None


def has_one(keys: tuple[str, ...], document: Mapping[str, Any]) -> bool:
    """Whether a document has one of the keys."""
    beginnings = tuple(key[:-1] for key in keys if key.endswith("*"))
    return any(key in document for key in keys) or (
        bool(beginnings) and any(key.startswith(beginnings) for key in document)
    )
