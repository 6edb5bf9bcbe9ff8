"""A wanted text as a query on a keyword field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from molehunt.conditions import Text, Wild

from .lucene import MAX_LENGTH
from .ranges import literal, of, same_letters, written
from .re2tree import Unsaid

Parts = Sequence[str | Wild]

_ODD = re.compile("[^ -~]")
_SHORT_HIVES = ("HKLM", "HKU", "HKCU", "HKCR", "HKCC")
_LONG_HIVES = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCU": "HKEY_CURRENT_USER",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCC": "HKEY_CURRENT_CONFIG",
}


def text_query(field: str, wanted: Text, parts: Parts) -> dict[str, Any]:
    """The query for one pattern, as exact as `detectors.matching.evaluate.glob`.

    `case_insensitive` folds ASCII letters only, in Elasticsearch and OpenSearch alike
    (`AutomatonQueries`), so that other letters need a regular expression.
    """
    letters = "".join(part for part in parts if isinstance(part, str))
    foreign = () if wanted.cased or letters.isascii() else letters
    if any(not c.isascii() and len(same_letters(c)) > 1 for c in foreign):
        return regexp(field, _as_regex(parts, wanted.cased, escaped=False))
    if all(isinstance(part, str) for part in parts):
        return {"term": {field: {"value": letters} | _case(wanted)}}
    pattern = "".join(_wildcard(part) for part in parts)
    return {"wildcard": {field: {"value": pattern} | _case(wanted)}}


def _case(wanted: Text) -> dict[str, Any]:
    return {} if wanted.cased else {"case_insensitive": True}


def _wildcard(part: str | Wild) -> str:
    if isinstance(part, Wild):
        return "*" if part is Wild.ANY else "?"
    return part.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def regexp(field: str, pattern: str) -> dict[str, Any]:
    """A Lucene regex over the whole text. The only flag is that of `&`."""
    if len(pattern) > MAX_LENGTH:
        raise Unsaid(f"a pattern that is longer than {MAX_LENGTH} characters in Lucene's spelling")
    return {
        "regexp": {
            field: {
                "value": pattern,
                "flags": "INTERSECTION" if "&" in pattern else "NONE",
                "max_determinized_states": 100_000,
            }
        }
    }


def has_escapable(parts: Parts) -> bool:
    r"""Whether osquery may have logged a part of it as `\x0A` (osquery/core/query.cpp)."""
    return any(isinstance(p, str) and _ODD.search(p) is not None for p in parts)


def escaped_query(field: str, wanted: Text, parts: Parts) -> dict[str, Any]:
    """The query for a pattern in a differential row, its odd characters in either spelling."""
    return regexp(field, _as_regex(parts, wanted.cased, escaped=True))


def _as_regex(parts: Parts, cased: bool, *, escaped: bool) -> str:
    return "".join(_regex_part(part, cased, escaped) for part in parts)


def _regex_part(part: str | Wild, cased: bool, escaped: bool) -> str:
    if isinstance(part, Wild):
        return ".*" if part is Wild.ANY else "."
    return "".join(_regex_letter(c, cased, escaped) for c in part)


def _regex_letter(character: str, cased: bool, escaped: bool) -> str:
    same = character if cased else same_letters(character)
    plain = written(of(same))
    if not escaped or " " <= character <= "~":
        return plain
    bytewise = ("".join(f"\\x{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in same)
    return "(" + "|".join([plain, *map(literal, bytewise)]) + ")"


def spellings(parts: Parts, normalisers: Iterable[str]) -> Iterator[Parts]:
    """The patterns of logged texts that a pattern of normalised texts stands for.

    Raises `Unsaid` where they cannot be told as patterns.
    """
    found: list[Parts] = [parts]
    for name in normalisers:
        if name == "control_text":
            continue
        respell = _RESPELLED.get(name)
        if respell is None:
            raise Unsaid(f"the normaliser {name} on a text")
        found = [more for one in found for more in respell(one)]
    return iter(found)


def _quoted(parts: Parts) -> list[Parts]:
    """With and without the quotes of Linux audit."""
    ends = (parts[0], parts[-1])
    if any(e is Wild.ONE or (isinstance(e, str) and '"' in (e[0], e[-1])) for e in ends):
        raise Unsaid("a text that may begin or end with the quotes of Linux audit")
    return [parts, ('"', *parts, '"')]


def _with_hive(parts: Parts) -> list[Parts]:
    """With the long name of a registry hive for the short one."""
    first = parts[0]
    if isinstance(first, str):
        head, slash, rest = first.partition("\\")
        if head.upper() in _LONG_HIVES.values() or (not slash and len(parts) > 1):
            raise Unsaid("a registry path whose hive is not spelt as Sigma does")
        long = _LONG_HIVES.get(head.upper())
        return [parts] if long is None else [parts, (long + slash + rest, *parts[1:])]
    texts = [part for part in parts if isinstance(part, str)]
    if Wild.ONE in parts or not texts or not texts[0].startswith("\\"):
        raise Unsaid("a pattern that may touch the name of a registry hive")
    return [parts]


_RESPELLED = {"audit_quotes": _quoted, "hive": _with_hive}
