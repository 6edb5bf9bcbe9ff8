"""What a rule says to people and to tools: MH401 to MH417."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from .model import Finding
from .subject import Subject

_LEVELS = ("informational", "low", "medium", "high", "critical")
_STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
_NAMES = re.compile(r"[a-z0-9_]{10,90}\.ya?ml")
_EXPECTED = ("id", "status", "description", "author", "date", "level", "falsepositives", "tags")
_MOVING = re.compile(
    r"https://github\.com/[^/]+/[^/]+/(?:blob|tree)/(?:main|master|HEAD|develop)/", re.IGNORECASE
)
_ATTACK_PAGE = re.compile(r"https?://attack\.mitre\.org/(?:techniques|tactics)/", re.IGNORECASE)
_BANNED = frozenset(("none", "pentest", "pentests", "penetration test", "tbd", "n/a"))
# Allowed by SigmaHQ's conventions.
_VAGUE = frozenset(("unknown", "unlikely"))


def check(subject: Subject) -> Iterator[Finding]:
    """Missing and wrong metadata."""
    yield from _keys(subject)
    yield from _dates(subject)
    yield from _words(subject)
    yield from _references(subject)
    yield from _related(subject)
    if subject.ours:
        yield from _block(subject)


def _keys(subject: Subject) -> Iterator[Finding]:
    data = subject.data
    expected = _EXPECTED if subject.kind != "filter" else ("id", "description")
    missing = [key for key in expected if data.get(key) in (None, "", [])]
    if missing:
        message = f"{', '.join(missing)} missing"
        yield subject.finding("MH401", subject.first, message)
    if subject.id and not _is_uuid(subject.id):
        message = "id is no UUID"
        yield subject.finding("MH402", subject.node_at("id"), message, "make one: uuidgen")
    for key, known in (("level", _LEVELS), ("status", _STATUSES)):
        found = data.get(key)
        if isinstance(found, str) and found not in known and found.lower() in known:
            message = f"{key} is written in lower case"
            yield subject.finding("MH403", subject.node_at(key), message)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _dates(subject: Subject) -> Iterator[Finding]:
    found = {key: _date(subject.data.get(key)) for key in ("date", "modified")}
    for key, value in found.items():
        if value is None and subject.data.get(key) is not None:
            message = f"{key} is no date"
            yield subject.finding("MH404", subject.node_at(key), message, "write YYYY-MM-DD")
    first, last = found["date"], found["modified"]
    if first and last and last < first:
        message = "modified lies before date"
        yield subject.finding("MH405", subject.node_at("modified"), message)


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    for form in ("%Y-%m-%d", "%Y/%m/%d"):
        try:
            return dt.datetime.strptime(str(value), form).date()  # noqa: DTZ007 - a day
        except ValueError:
            continue
    return None


def _words(subject: Subject) -> Iterator[Finding]:
    data = subject.data
    title, level = str(data.get("title") or ""), data.get("level")
    low = level in ("informational", "low")
    if title and len(title) > 110:
        message = f"the title has {len(title)} characters"
        yield subject.finding("MH406", subject.node_at("title"), message, "110 at most")
    if subject.ours and (
        (low and re.match(r"(?:Suspicious|Malicious)\b", title))
        or (level in ("high", "critical") and re.match(r"Potential(?:ly)?\b", title))
    ):
        message = f"the title says '{title.split(maxsplit=1)[0]}', the level says {level}"
        yield subject.finding("MH407", subject.node_at("title"), message, "make them agree")
    text = data.get("description")
    if isinstance(text, str) and text:
        if len(text) < 16:
            message = "a description of a few letters"
            yield subject.finding("MH408", subject.node_at("description"), message)
        elif subject.ours and subject.kind == "rule" and not text.startswith("Detects"):
            message = "the description does not begin with 'Detects'"
            yield subject.finding("MH408", subject.node_at("description"), message)
        if "://" in text:
            message = "a link in the description"
            yield subject.finding("MH409", subject.node_at("description"), message, "references")
    listed = data.get("falsepositives")
    for index, value in enumerate(listed if isinstance(listed, list) else ()):
        said = str(value).strip().lower().rstrip(".")
        if said in _BANNED or (subject.ours and said in _VAGUE):
            message = f"'{value}' helps nobody who gets the alert"
            node = subject.node_at("falsepositives", index)
            yield subject.finding("MH410", node, message, "name the software, team or situation")
    if not _NAMES.fullmatch(subject.name.rpartition("/")[2]) and subject.name:
        message = "file name: lower case, digits and underscores, 10 to 90 letters, .yml"
        yield subject.finding("MH411", subject.first, message)


def _references(subject: Subject) -> Iterator[Finding]:
    listed = subject.data.get("references")
    for index, value in enumerate(listed if isinstance(listed, list) else ()):
        node = subject.node_at("references", index)
        text = str(value)
        if _MOVING.match(text):
            message = "this link shows another text tomorrow"
            yield subject.finding("MH412", node, message, "link a commit (press y on GitHub)")
        elif _ATTACK_PAGE.match(text):
            message = "a page of ATT&CK as reference"
            yield subject.finding("MH413", node, message, "say it with a tag")
        elif not re.match(r"[a-z][a-z0-9+.-]*://\S+\Z", text) and "://" in text:
            yield subject.finding("MH414", node, "no address that can be followed")
    if listed is not None and not isinstance(listed, list):
        yield subject.finding("MH414", subject.node_at("references"), "references is no list")


def _related(subject: Subject) -> Iterator[Finding]:
    listed = subject.data.get("related")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict) and subject.id and str(entry.get("id")) == subject.id:
            node = subject.node_at("related", index, "id")
            yield subject.finding("MH415", node, "the rule is related to itself")


def _block(subject: Subject) -> Iterator[Finding]:
    if subject.kind == "rule" and "identity" not in subject.block:
        message = "molehunt: identity missing"
        hint = "the fields that separate one finding from another; [] if none does"
        yield subject.finding("MH417", subject.key("molehunt"), message, hint)
