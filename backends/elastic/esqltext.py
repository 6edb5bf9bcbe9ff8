"""Small pieces of ES|QL: texts, lists, numbers that sort as text do.

https://www.elastic.co/docs/reference/query-languages/esql/esql-syntax
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..searching.signins import Compared

_STATES = {"max_determinized_states": 100_000}


def padded(name: str) -> str:
    """A number as 16 digits."""
    return f'RIGHT(CONCAT("0000000000000000", TO_STRING({name})), 16)'


def among(name: str, values: Sequence[str]) -> str:
    """Whether a column has one of the texts."""
    return f"{name} IN ({', '.join(json.dumps(value) for value in values)})"


def in_common(one: str, other: str) -> str:
    """Whether two columns have a text in common in whichever letter case: together they have fewer
    texts than one after the other. Each may have several; what has none has none in common."""
    mine, theirs = f"MV_DEDUPE(TO_LOWER({one}))", f"MV_DEDUPE(TO_LOWER({other}))"
    together = f"MV_COUNT(MV_DEDUPE(MV_APPEND({mine}, {theirs})))"
    return f"COALESCE({together} < MV_COUNT({mine}) + MV_COUNT({theirs}), FALSE)"


def holds(compared: Sequence[Compared]) -> str:
    """That all comparisons are as wanted."""
    tests = (in_common(one.mine, one.other) for one in compared)
    return " AND ".join(
        test if one.wanted else f"NOT {test}" for one, test in zip(compared, tests, strict=True)
    )


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
