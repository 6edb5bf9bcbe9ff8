"""A rule as plain values becomes YAML text as docs/rule_style.md wants it.

The standard YAML writers cannot: they know no comments, quote by need rather than by place, and
break long lines where they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import yaml

from ..yamlloader import SAFE_LOADER

INDENT = "    "
# Short lists of words that read best on one line.
_FLOW = frozenset(("behaviours", "identity", "platforms", "tables", "flags", "group-by", "rules"))
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_PLAIN = re.compile(r"(?:[A-Za-z0-9/(]|-(?=\S))(?:[^:#\x00-\x1f]|:(?=[^\s])|(?<=\S)#)*")


class Noted(NamedTuple):
    """A value, or the first entry of a mapping, with a comment that says why it is there."""

    value: Any
    note: str


def write_rule(rule: Mapping[str, Any], comment: str = "") -> str:
    """The text of a rule file.

    `rule` holds the keys in the order in which they are to stand; `comment` becomes the first
    line. Texts with line breaks are written as blocks. Values of the detection are quoted, its
    lists of one become the value, and `Noted` adds a comment behind a value or a key's list.
    Raises ValueError for a value that YAML would not give back.
    """
    head = [f"# {comment}"] if comment else []
    lines = [*head, *_mapping(rule, 0, quoted=False)]
    return "\n".join(lines) + "\n"


def _mapping(data: Mapping[str, Any], depth: int, *, quoted: bool) -> Iterator[str]:
    for key, value in data.items():
        inside = quoted or (depth == 0 and key == "detection")
        yield from _entry(str(key), value, depth, quoted=inside and key != "condition")


def _entry(key: str, value: Any, depth: int, *, quoted: bool) -> Iterator[str]:
    note = ""
    if isinstance(value, Noted):
        value, note = value.value, _comment(value)
    if quoted and isinstance(value, list) and len(value) == 1 and not _nested(value[0]):
        value = value[0]
        if isinstance(value, Noted):
            value, note = value.value, note or _comment(value)
    head = f"{INDENT * depth}{key}:"
    if isinstance(value, Mapping) and value:
        yield head + note
        yield from _mapping(value, depth + 1, quoted=quoted)
    elif isinstance(value, list) and value and (quoted or not _flows(key, value)):
        yield head + note
        for item in value:
            yield from _item(item, depth + 1, quoted=quoted)
    elif isinstance(value, str) and "\n" in value and not quoted:
        yield head + " |" + note
        yield from (INDENT * (depth + 1) + line if line else "" for line in value.splitlines())
    else:
        yield f"{head} {_scalar(value, quoted=quoted)}{note}"


def _item(item: Any, depth: int, *, quoted: bool) -> Iterator[str]:
    note = ""
    if isinstance(item, Noted):
        item, note = item.value, _comment(item)
    dash = INDENT * depth + "- "
    if isinstance(item, Mapping) and item:
        lines = list(_mapping(item, 0, quoted=quoted))
        yield dash + lines[0] + note
        yield from (INDENT * depth + "  " + line for line in lines[1:])
    else:
        yield dash + _scalar(item, quoted=quoted) + note


def _flows(key: str, value: Sequence[Any]) -> bool:
    return key in _FLOW and not any(_nested(item) for item in value)


def _comment(noted: Noted) -> str:
    return f" # {noted.note}" if noted.note else ""


def _nested(value: Any) -> bool:
    inner = value.value if isinstance(value, Noted) else value
    return isinstance(inner, (Mapping, list))


def _scalar(value: Any, *, quoted: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):  # an empty one: the others have lines of their own
        return "{}"
    if isinstance(value, (int, float, date)):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_scalar(item, quoted=quoted) for item in value) + "]"
    text = str(value)
    if not text.isprintable():
        return _escaped(text, quoted=quoted)
    if quoted and "'" in text and not set(text) & set('"\\'):
        return f'"{text}"'
    if not quoted and _is_plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str, *, quoted: bool) -> str:
    """A value of the detection with line breaks or tabs."""
    found = "".join(_ESCAPES.get(character, character) for character in text)
    if not quoted or not found.isprintable():
        raise ValueError(f"not printable on one line: {text!r}")
    return f'"{found}"'


def _is_plain(text: str) -> bool:
    """Whether YAML reads the bare text as that very text."""
    if not _PLAIN.fullmatch(text) or text != text.strip() or text.endswith(":"):
        return False
    try:
        return bool(yaml.load(text, SAFE_LOADER) == text)  # noqa: S506 - one of the safe loaders
    except yaml.YAMLError:
        return False
