"""One line of bytes to JSON documents, recovering what safely can be.

Several documents in one line are no defect: Kinesis records carry no newline, so that objects made
of them in S3 read `{…}{…}{…}`.

Safe means: every document handed on was in the log, whole. A line cut short is never completed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

# How a document of a known log begins; so one can be told inside a broken line.
BEGINNING = r'\{\s*"(?:name|snapshot|diffResults|hostIdentifier|actor|uuid)"'
_BEGIN = re.compile(BEGINNING)
_ENVELOPE = frozenset(("hostIdentifier", "hostname", "published"))
_MAX_FAILURES = 64
_BLANK = re.compile("[\x00-\x20]*")
_LONE = re.compile(r"\\u[dD]")
_SURROGATES = re.compile("[\ud800-\udfff]")


class Parsed(NamedTuple):
    """`documents` in order; `recovered` says what was mended; `broken` what was lost."""

    documents: tuple[dict[str, Any], ...]
    recovered: str = ""
    broken: str = ""


class Located(NamedTuple):
    """A document, or a few, with the place in the file: byte offset and line (from 1)."""

    offset: int
    line: int
    parsed: Parsed


def parse_line(line: bytes, loads: Callable[[bytes], Any] = orjson.loads) -> Parsed:
    """The JSON objects of one line (without its newline).

    A JSON array of objects counts as its objects. An empty line is no document and no defect.
    """
    try:
        value = loads(line)
    except ValueError:
        return _recover(line)
    return Parsed((value,)) if type(value) is dict else _documents(value, "")


def _documents(value: Any, recovered: str) -> Parsed:
    items = value if isinstance(value, list) else [value]
    good = tuple(item for item in items if isinstance(item, dict))
    if len(good) == len(items):
        return Parsed(good, recovered)
    return Parsed(good, recovered, "a JSON value that is not an object")


def _recover(line: bytes) -> Parsed:
    bare = line.strip(b"\x00 \t\r\n\xef\xbb\xbf")
    if not bare:
        return Parsed(())
    try:
        text, notes = bare.decode(), []
    except UnicodeDecodeError:
        text = bare.decode(errors="replace")
        notes = ["bytes that are not UTF-8 replaced"]
    try:
        return _documents(mend(json.loads(text, strict=False)), "; ".join(notes) or "mended")
    except (ValueError, RecursionError):
        found, end = _glued(text)
    if end == len(text):
        return Parsed(tuple(found), "; ".join(notes))
    rest = _search(text[end:], notes)
    return rest._replace(documents=(*found, *rest.documents))


def _glued(text: str) -> tuple[list[dict[str, Any]], int]:
    """The documents that stand one after another from the start, and where they end."""
    decoder = json.JSONDecoder(strict=False)
    clean = _LONE.search(text) is None
    found: list[dict[str, Any]] = []
    place = 0
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
            if not isinstance(value, dict):
                break
            found.append(value if clean else mend(value))
        except (ValueError, RecursionError):
            break
        blank = _BLANK.match(text, end)
        place = blank.end() if blank else end
    return found, place


def _search(text: str, notes: list[str]) -> Parsed:
    """Whole documents inside a line that is not one: glued together, or after a cut-off one."""
    decoder = json.JSONDecoder(strict=False)
    found: list[dict[str, Any]] = []
    place, lost, failures = 0, False, 0
    while failures < _MAX_FAILURES:
        begin = _BEGIN.search(text, place)
        if begin is None:
            break
        lost = lost or _is_loss(text[place : begin.start()])
        try:
            value, end = decoder.raw_decode(text, begin.start())
            value, place = mend(value), end
        except (ValueError, RecursionError):
            lost, place, failures = True, begin.start() + 1, failures + 1
            continue
        # A nested object of a cut-off line can look like a beginning, but has no envelope.
        if _ENVELOPE.isdisjoint(value):
            lost, failures = True, failures + 1
        else:
            found.append(value)
    lost = lost or _is_loss(text[place:])
    if not found:
        return Parsed((), "", _why(text))
    notes = [*notes, "documents found inside a broken line"]
    return Parsed(tuple(found), "; ".join(notes), "part of the line is not JSON" if lost else "")


def _is_loss(text: str) -> bool:
    """Whether text between documents was part of one; a syslog prefix was not."""
    return "{" in text or '"' in text or "}" in text


def _why(text: str) -> str:
    if text.startswith("{") and not text.endswith("}"):
        return "the line is cut short"
    return "not JSON"


def mend(value: Any) -> Any:
    """The JSON value with lone surrogates, which no UTF-8 text can hold, replaced."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [mend(item) for item in value]
    if isinstance(value, dict):
        return {mend(key): mend(item) for key, item in value.items()}
    return value
