"""Small pieces of ES|QL: texts, lists, numbers that sort as text do.

https://www.elastic.co/docs/reference/query-languages/esql/esql-syntax
"""

from __future__ import annotations

import json
from collections.abc import Sequence

_STATES = {"max_determinized_states": 100_000}


def padded(name: str) -> str:
    """A number as 16 digits."""
    return f'RIGHT(CONCAT("0000000000000000", TO_STRING({name})), 16)'


def among(name: str, values: Sequence[str]) -> str:
    """Whether a column has one of the texts."""
    return f"{name} IN ({', '.join(json.dumps(value) for value in values)})"


def qstr(text: str) -> str:
    """A query of Lucene's syntax as a condition."""
    options = json.dumps(_STATES)
    # A text in three quotes has no escapes and no ends of lines.
    if '"""' in text or text.endswith('"') or "\n" in text or "\r" in text:
        return f"QSTR({_escaped(text)}, {options})"
    return f'QSTR("""{text}""", {options})'


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, written)
    return f'"{text}"'
