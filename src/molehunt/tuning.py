"""A Sigma filter from false positives: what they have in common and no true positive has.

Events come in as field values (texts by field); what comes out is the `selection` of a filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Values = Mapping[str, str]
"""One event: its texts by field, empty ones left out."""

# What differs from event to event, and people and hosts: approvals are the place for those.
_VOLATILE = re.compile(
    r"(?:.*\.)?(?:pid|ppid|time|.*_time|.*time|uid|gid|.*Id|.*Guid|counter|size|hash.*|Hashes|serial"
    r"|user|User|username|uuid|host|osquery\..*|decorations\..*)\Z"
)
_MOST_FIELDS = 3
_MOST_GROUPS = 5


class Part(NamedTuple):
    """One line of a selection: the field with its modifier, and the text."""

    field: str
    modifier: str
    text: str

    def holds(self, event: Values) -> bool:
        """Whether an event fulfils it, letter case aside."""
        value, text = event.get(self.field, "").lower(), self.text.lower()
        if self.modifier == "endswith":
            return value.endswith(text)
        return value.startswith(text) if self.modifier == "startswith" else value == text


def propose(false: Sequence[Values], true: Sequence[Values]) -> list[tuple[Part, ...]]:
    """Selections of which each false positive fulfils one and no true positive any.

    Empty if nothing separates them. One selection if the false positives are alike, else one for
    each group of them.
    """
    alone = _selection(false, true)
    if alone:
        return [alone]
    found = []
    for group in _groups(false):
        selection = _selection(group, true)
        if not selection:
            return []
        found.append(selection)
    return found if 0 < len(found) <= _MOST_GROUPS else []


def _selection(false: Sequence[Values], true: Sequence[Values]) -> tuple[Part, ...]:
    """The first few parts in common that together spare every true positive."""
    parts = sorted(_common(false), key=_order)
    chosen: list[Part] = []
    for part in parts:
        if len(chosen) == _MOST_FIELDS:
            break
        chosen.append(part)
    left = [event for event in true if all(part.holds(event) for part in chosen)]
    for part in parts[_MOST_FIELDS:]:
        if not left:
            break
        spared = [event for event in left if part.holds(event)]
        if len(spared) < len(left):
            chosen.append(part)
            left = spared
    return () if left or not chosen else tuple(chosen)


def _common(events: Sequence[Values]) -> Iterator[Part]:
    fields = [name for name in events[0] if all(name in event for event in events)]
    for field in fields:
        if _VOLATILE.match(field):
            continue
        texts = {event[field] for event in events}
        if len({text.lower() for text in texts}) == 1:
            text = events[0][field]
            if text and not text.isdigit():
                yield Part(field, "", text)
            continue
        if tail := _shared(texts, backwards=True):
            yield Part(field, "endswith", tail)
        elif head := _shared(texts, backwards=False):
            yield Part(field, "startswith", head)


def _shared(texts: Iterable[str], backwards: bool) -> str:
    """The path components that all texts end (or begin) with; "" if there are none."""
    split = [re.split(r"(?<=[\\/])" if not backwards else r"(?=[\\/])", text) for text in texts]
    ordered = [list(reversed(parts)) if backwards else parts for parts in split]
    shared: list[str] = []
    for pieces in zip(*ordered, strict=False):
        if len({piece.lower() for piece in pieces}) > 1:
            break
        shared.append(pieces[0])
    if backwards:
        text = "".join(reversed(shared))
        return text if text[:1] in ("/", "\\") and len(text) > 3 else ""
    text = "".join(shared)
    # A drive or the root alone says nothing.
    return text if len(shared) > 2 and text[-1:] in ("/", "\\") else ""


def _order(part: Part) -> tuple[int, int, str]:
    """Paths of programs first, then other texts; whole ones before parts."""
    path = 0 if re.search(r"(?i)image|path|program", part.field) else 1
    return path, 0 if not part.modifier else 1, part.field


def _groups(events: Sequence[Values]) -> list[list[Values]]:
    """The events by the field with the fewest different texts, of those that all have."""
    fields = [
        name
        for name in events[0]
        if not _VOLATILE.match(name) and all(name in event for event in events)
    ]
    if not fields:
        return []
    by = min(fields, key=lambda name: (len({event[name].lower() for event in events}) < 2, name))
    groups: dict[str, list[Values]] = {}
    for event in events:
        groups.setdefault(event[by].lower(), []).append(event)
    return list(groups.values())


def filter_document(
    identifier: str,
    rule: str,
    title: str,
    logsource: Mapping[str, Any],
    found: Sequence[Sequence[Part]],
) -> dict[str, Any]:
    """The Sigma filter (filters specification 2.1.0) as a mapping."""
    selections = [
        {
            part.field + (f"|{part.modifier}" if part.modifier else ""): _literal(part.text)
            for part in selection
        }
        for selection in found
    ]
    return {
        "title": f"Filter - {title}"[:250],
        "id": identifier,
        "description": "Known and accepted here. Say who accepted it, why, and until when.",
        "logsource": {k: v for k, v in logsource.items() if k != "definition"},
        "filter": {
            "rules": [rule],
            "selection": selections[0] if len(selections) == 1 else selections,
            "condition": "not selection",
        },
    }


def _literal(text: str) -> str:
    r"""The text as a Sigma value: wildcards and doubled backslashes stand for themselves."""
    from .linting.texts import written

    return written((text,))
