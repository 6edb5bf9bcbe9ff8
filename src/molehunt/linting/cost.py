"""What a rule costs to run: MH701."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..taxonomy import taxonomy
from .logic import Leaf, branches
from .model import Finding
from .subject import Subject

# Fields of the row that no normaliser shortens: not those of the envelope, not the registry's, and
# of osquery's columns (small letters) no addresses.
_LOGGED = re.compile(r"(?!TargetObject)[A-Z][A-Za-z]+|(?!\w*(?:address|ip|key|path))[a-z][a-z_]*")
# Three letters of which one stands in no number.
_LETTERS = re.compile(
    r"[g-mo-z_ /\\]{3}|[g-mo-z][a-z]{2}|[a-z][g-mo-z][a-z]|[a-z]{2}[g-mo-z]",
    re.IGNORECASE | re.ASCII,
)


def check(subject: Subject) -> Iterator[Finding]:
    """A rule without a literal that a line must hold looks at every row of its log source."""
    source = subject.logsource
    maps = taxonomy().maps(source.get("category"), source.get("product"), source.get("service"))
    if subject.made is None or not maps or _surely(subject):
        return
    rule = subject.rule
    if rule is None:
        return
    from molehunt.detectors.matching.necessary import rule_clauses

    clauses = rule_clauses(rule, taxonomy(), {})
    if clauses is not None and not any(not clause.key for clause in clauses):
        message = "no literal that a line must hold: every row of the log source is looked at"
        hint = "add a value of two or more letters that every match has"
        yield subject.finding("MH701", subject.key(subject.section), message, hint)


def _surely(subject: Subject) -> bool:
    """Whether each way to match asks for a text that is surely a literal. The engine's own answer
    takes longer, and is the same."""
    return all(
        found is not None
        and all(any(map(_is_literal, clause)) for one in found for clause in one.clauses)
        for found in branches(subject)
    )


def _is_literal(leaf: Leaf) -> bool:
    if not leaf.item.field or not _LOGGED.fullmatch(leaf.item.field):
        return False
    return bool(leaf.globs) and all(
        any(isinstance(part, str) and _LETTERS.search(part) for part in glob)
        for glob in leaf.globs or ()
    )
