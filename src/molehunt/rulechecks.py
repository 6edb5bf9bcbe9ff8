"""Checks of one rule that pySigma leaves to others, each with the line it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import re2

from .problems import Problem
from .yamlfile import Document, KeyPath

_QUOTED = re.compile(r"'([^']+)'")
_SELECTOR = re.compile(r"\b(?:1|any|all)\s+of\s+([A-Za-z0-9_*]+)")


def line_of(text: str, document: Document) -> int:
    """The line that an error text is most likely about: where a word it quotes stands as a key."""
    for word in _QUOTED.findall(text):
        for path, line in document.lines.items():
            key = str(path[-1])
            if key == word or word in key.split("|"):
                return line
    return document.near(("detection",)) if "odifier" in text else document.line


def check_regexes(
    detection: Any, document: Document, path: str, rule: str | None
) -> Iterator[Problem]:
    """Regexes that RE2 refuses: the engine must not hang on a log line.

    The specification allows only constructs that RE2 has; pySigma 1.5 does not check.
    """
    for place, pattern in _regexes(detection, ("detection",)):
        reason = _refusal(pattern)
        if reason:
            what = f"regex is not supported: {reason}: {pattern}"
            hint = "Sigma allows no look-around and no back-references"
            yield Problem(what, path, document.near(place), rule, hint)


def _regexes(node: Any, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            below = (*place, str(key))
            if "re" in str(key).split("|")[1:]:
                for item in value if isinstance(value, list) else [value]:
                    if isinstance(item, str):
                        yield below, item
            else:
                yield from _regexes(value, below)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _regexes(item, (*place, index))


def check_selectors(
    detection: Any, document: Document, path: str, rule: str | None
) -> Iterator[Problem]:
    """`1 of x_*` where no detection is named so: pySigma 1.5 drops it without a word."""
    if not isinstance(detection, dict):
        return
    written = detection.get("condition")
    names = [str(name) for name in detection if name not in ("condition", "timeframe")]
    for condition in written if isinstance(written, list) else [written]:
        for pattern in _SELECTOR.findall(condition if isinstance(condition, str) else ""):
            if pattern != "them" and not any(fnmatchcase(name, pattern) for name in names):
                what = f"condition: no detection is named like '{pattern}'"
                yield Problem(what, path, document.near(("detection", "condition")), rule)


def _refusal(pattern: str) -> str:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else "invalid"
        return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return ""
