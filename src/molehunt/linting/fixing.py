"""Mends what is safe to mend: text is replaced by position, so comments stay.

A file is written only if what it says to the engine is the same afterwards, and no finding is new.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..problems import Problem
from ..yamlfile import decoded, read_text
from .model import Edit, Finding
from .run import analyse

_BOM = b"\xef\xbb\xbf"


class Fixed(NamedTuple):
    """How many findings were mended in how many files, and files that were left alone, with why."""

    findings: int
    files: int
    left: tuple[Problem, ...]


def fix(findings: Iterable[Finding]) -> Fixed:
    """Apply the edits of findings to their files."""
    by_path: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.edits:
            by_path[finding.path].append(finding)
    mended = files = 0
    left: list[Problem] = []
    for path, listed in by_path.items():
        try:
            with open(path, "rb") as stream:
                content = stream.read()
            changed, count = _mended(content, path, listed)
            if isinstance(changed, str):
                left.append(Problem(changed, path))
            elif count:
                _write(path, changed)
                mended, files = mended + count, files + 1
        except OSError as error:
            left.append(Problem(f"cannot be mended: {error.strerror or error}", path))
    return Fixed(mended, files, tuple(left))


def _mended(content: bytes, path: str, findings: Sequence[Finding]) -> tuple[bytes | str, int]:
    """The new content and how many findings it mends, or why there is none."""
    text = decoded(content, path)
    if isinstance(text, Problem):
        return text.what, 0
    edits, count = _together(findings)
    new = text
    for edit in sorted(edits, reverse=True):
        new = new[: edit.start] + edit.text + new[edit.end :]
    bom = _BOM if content.startswith(_BOM) else b""
    changed = bom + new.encode()
    if _meaning(text, path) != _meaning(new, path):
        return "not mended: the rule would mean something else", 0
    name = os.path.basename(path)
    before = Counter(one.check for one in analyse(content, path, name).findings)
    after = Counter(one.check for one in analyse(changed, path, name).findings)
    if after - before:
        return f"not mended: {', '.join(sorted(after - before))} would be new", 0
    return changed, count


def _together(findings: Sequence[Finding]) -> tuple[list[Edit], int]:
    """The edits that do not touch each other, in order; how many findings they are from."""
    taken: list[Edit] = []
    count = 0
    for finding in sorted(findings, key=lambda one: one.edits):
        if all(
            edit.end <= other.start or other.end <= edit.start
            for edit in finding.edits
            for other in taken
        ):
            taken += finding.edits
            count += 1
    return taken, count


def _meaning(text: str, path: str) -> object:
    """What the engine reads: the conditions without values said twice."""
    from ..conditions import AnyOf, Condition, FieldIs, Keyword, Not, Or
    from ..ruleset import is_rule, load_documents

    def plain(node: Condition) -> object:
        if isinstance(node, (FieldIs, Keyword)):
            field = node.field if isinstance(node, FieldIs) else ""
            values = node.value.values if isinstance(node.value, AnyOf) else (node.value,)
            return ("is", frozenset((field, _lower(repr(value))) for value in values))
        if isinstance(node, Not):
            return ("not", plain(node.arg))
        kind = "or" if isinstance(node, Or) else "and"
        parts = frozenset(plain(arg) for arg in node.args)
        # Alternatives of one field may be one list or several.
        return next(iter(parts)) if len(parts) == 1 else (kind, parts)

    documents, problems = read_text(text, path)
    found: list[object] = [problem.what for problem in problems]
    for document in documents:
        if is_rule(document.data):
            rules, _, wrong = load_documents([document], path, path)
            found += [problem.what for problem in wrong]
            found += [(rule.id, [plain(node) for node in rule.conditions]) for rule in rules]
    return found


def _lower(text: str) -> str:
    return text if "Regex(" in text or "cased=True" in text else text.lower()


def _write(path: str, content: bytes) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    handle, name = tempfile.mkstemp(dir=folder, prefix=".molehunt-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(name, os.stat(path).st_mode & 0o777)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
