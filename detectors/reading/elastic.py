"""What comes out of Elasticsearch: search responses, hits, bulk files.

Shapes as in Elasticsearch's reference: search API (`hits.hits`, `_source`, `fields`,
`ignored_field_values`, `_ignored`) and bulk API (an action line before each source line).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Locator
from .wrapping import Trap, Unwrapped, stored

_ACTIONS = ("index", "create", "update", "delete")
KEYS = ("_source", "hits", "responses", "rawResponse", "fields", *_ACTIONS)
MARKS = (b'"_source"', b'"fields"', b'"hits"', b'"responses"', b'"rawresponse"')

UNSEARCHABLE = Trap(
    "Elasticsearch did not index a value over its limit (1,024 characters for a keyword)",
    "it was read here, but searches and rules in Elasticsearch miss it",
)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a search response, a hit, or the action line of a bulk file."""
    if isinstance(document.get("_source"), (dict, str)):
        return True
    if isinstance(document.get("hits"), (dict, list)):
        return True
    # A multi search, and what Kibana shows under Inspect.
    if isinstance(document.get("responses"), list) or isinstance(document.get("rawResponse"), dict):
        return True
    if isinstance(document.get("fields"), dict):
        return "_index" in document or "_id" in document
    return _is_action(document)


def _is_action(document: Mapping[str, Any]) -> bool:
    if len(document) != 1:
        return False
    ((action, target),) = document.items()
    return (
        action in _ACTIONS
        and isinstance(target, dict)
        and all(key.startswith("_") or key == "retry_on_conflict" for key in target)
    )


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The hits of a response, or the stored document of a hit."""
    traps = (UNSEARCHABLE,) if document.get("_ignored") else ()
    source, fields = document.get("_source"), document.get("fields")
    if isinstance(source, str):
        return Unwrapped((stored(source),), traps)
    if isinstance(source, dict) and (source or not isinstance(fields, dict)):
        return Unwrapped((source,), traps)
    if isinstance(fields, dict):
        ignored = document.get("ignored_field_values")
        both = fields | (ignored if isinstance(ignored, dict) else {})
        return Unwrapped(({name: _single(value) for name, value in both.items()},), traps)
    if "rawResponse" in document:
        return Unwrapped((document["rawResponse"],))
    hits = document.get("responses", document.get("hits"))
    if isinstance(hits, dict):
        hits = hits.get("hits")
    return Unwrapped(hits if isinstance(hits, list) else ())


def _single(value: Any) -> Any:
    """`fields` holds a list for each field, however many values there were."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
