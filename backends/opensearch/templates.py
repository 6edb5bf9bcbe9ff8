"""What index templates of this target have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Lucene takes terms of 32,766 bytes; a UTF-16 unit is at most three in UTF-8.
LIMIT = 8191

# By it `molehunt deploy` knows what it put on a server.
MARK: Mapping[str, Any] = {"managed_by": "molehunt"}

KEYWORD: Mapping[str, Any] = {"type": "keyword", "ignore_above": LIMIT}


def index_template(
    pattern: str, dynamic: Sequence[Mapping[str, Any]], properties: Mapping[str, Any]
) -> dict[str, Any]:
    """A template for the indices of a pattern: what becomes of names that come, and known names.

    A text that looks like a time stays a text: else the first one would make its field a `date`,
    which refuses documents with another text."""
    mappings = {
        "date_detection": False,
        "dynamic_templates": [dict(one) for one in dynamic],
        "properties": dict(properties),
    }
    return {
        "_meta": dict(MARK),
        "index_patterns": [pattern],
        "priority": 200,
        "template": {"mappings": mappings},
    }
