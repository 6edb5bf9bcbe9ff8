"""Rule ids that are made, not written: UUIDv5 in the project's own namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "5f0c1f0e-6b5b-4f0a-9a57-0c6f5be2d3a1"


def generated_id(key: str, template: str, system: str) -> str:
    """The id of a rule made from a catalogue: the same for the same key, template and system."""
    return _made(f"{key}\x1f{template}\x1f{system}")


def content_id(data: Mapping[str, Any]) -> str:
    """An id for a rule that has none: from its title, log source and detection."""
    import json

    parts = {key: data.get(key) for key in ("title", "logsource", "detection")}
    return _made(json.dumps(parts, sort_keys=True, default=str))


def _made(text: str) -> str:
    from uuid import UUID, uuid5

    return str(uuid5(UUID(NAMESPACE), text))
