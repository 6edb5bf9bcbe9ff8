"""What is seen of a rule's document before it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .correlation import KEYS as CORRELATION_KEYS
from .metadata import BLOCK, check_metadata
from .problems import Problem, Severity
from .rulechecks import check_regexes, check_selectors
from .yamlfile import Document

# Top-level keys of rules, correlations and filters (Sigma specification 2.1), and ours.
_KEYS = frozenset(
    "title id name related taxonomy status description license author references date modified "
    "tags logsource detection fields falsepositives level scope action correlation filter generate "
    "correlations regression_tests_path simulation custom".split()
) | {BLOCK}
_LOGSOURCE_KEYS = frozenset(("category", "product", "service", "definition"))


def is_rule(data: Any) -> bool:
    """Whether a YAML document is meant to be a rule, a correlation or a filter."""
    if not isinstance(data, dict):
        return True  # refused later, with its line
    return any(key in data for key in ("detection", "correlation", "filter", "action")) or (
        "title" in data and "logsource" in data
    )


def shape_problems(document: Document, path: str) -> list[Problem]:
    """What is seen of a rule's document before it is loaded."""
    problems: list[Problem] = []
    shape_is_good(document, path, problems)
    return problems


def shape_is_good(document: Document, path: str, problems: list[Problem]) -> bool:
    """Refuse what pySigma would trip over, and keys that are only misspelt."""
    data = document.data
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        problems.append(Problem("a rule is a mapping with text keys", path, document.line))
        return False
    rule = str(data["id"]) if data.get("id") else None
    found = [*_misspelt(data, _KEYS, (), document, path, rule)]
    logsource = data.get("logsource")
    if isinstance(logsource, dict):
        found += _misspelt(logsource, _LOGSOURCE_KEYS, ("logsource",), document, path, rule)
        for key in sorted(_LOGSOURCE_KEYS & logsource.keys()):
            if logsource[key] is not None and not isinstance(logsource[key], str):
                line = document.near(("logsource", key))
                found.append(Problem(f"logsource: {key} is no text", path, line, rule))
    if isinstance(data.get("correlation"), dict):
        section = data["correlation"]
        found += _misspelt(section, CORRELATION_KEYS, ("correlation",), document, path, rule)
    if "detection" in data:
        found += check_regexes(data["detection"], document, path, rule)
        found += check_selectors(data["detection"], document, path, rule)
    if BLOCK in data:
        found += check_metadata(data[BLOCK], document, path, rule or "")
    problems += found
    return not any(problem.severity is Severity.ERROR for problem in found)


def _misspelt(
    data: Mapping[Any, Any],
    known: Iterable[str],
    place: tuple[str, ...],
    document: Document,
    path: str,
    rule: str | None,
) -> Iterator[Problem]:
    """Unknown keys close to a known one; other unknown keys are legal in Sigma."""
    for key in data:
        if key in known:
            continue
        import difflib

        close = difflib.get_close_matches(str(key), known, 1, 0.8)
        if close and close[0] not in data:
            what = f"unknown key '{key}'"
            line = document.near((*place, key))
            yield Problem(what, path, line, rule, f"did you mean '{close[0]}'?")
