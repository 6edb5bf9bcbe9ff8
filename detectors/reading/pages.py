"""Pages of sign-in logs: the answers of Microsoft Graph (`value`) and of Google's Reports API
(`items`), and the batches that Azure's diagnostic settings write (`records`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molehunt.problems import Severity

from ..records import Locator
from .wrapping import Trap, Unwrapped

KEYS = ("@odata.context", "records", "kind", "value")
MARKS = (b'"@odata.context"', b'"records"', b"#activities", b'"value":[', b'"value": [')
# A page of Graph as scripts write it on, without what Graph says of it.
_BARE = frozenset(("value", "@odata.nextLink", "@odata.count"))

MORE = Trap(
    "the first page only: the answer names a next page",
    "follow @odata.nextLink or nextPageToken until there is none",
    Severity.WARNING,
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a page of one of the three."""
    return _items(document) is not None


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """What is on the page; that there are more is said."""
    more = document.get("@odata.nextLink") or document.get("nextPageToken")
    return Unwrapped(_items(document) or (), (MORE,) if more else ())


def _items(document: Mapping[str, Any]) -> list[Any] | None:
    if "@odata.context" in document or ("value" in document and document.keys() <= _BARE):
        found = document.get("value")
    elif "records" in document:
        found = document.get("records")
    elif str(document.get("kind")).endswith("#activities"):
        found = document.get("items", [])
    else:
        return None
    return found if isinstance(found, list) else None
