"""What other rules need to know of a rule: ids, references, and its meaning in short.

Plain lists and texts all through, so that it can be kept from one run to the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..levels import Level
from .logic import Branch, Leaf, branches
from .model import Span, span_of
from .subject import Subject

# A leaf: field, its texts as parts (None where it is something else), and all of it as text.
PlainLeaf = tuple[str, "tuple[tuple[str | int, ...], ...] | None", str]
PlainClause = tuple[PlainLeaf, ...]


_ARO = ("blind_spots", "validate", "next_steps")


class Summary(NamedTuple):
    """One rule, correlation or filter. `clauses` is None where the condition is too involved.

    `refers` are the ids and names that it needs, each with its place; `source` is the log source;
    `lacks` are the texts for people that its `molehunt` block has not; `meaning` is equal for two
    rules that match the same; `removed` are the negated parts.
    """

    path: str
    kind: str
    id: str
    called: str
    title: str
    level: int
    silent: bool
    ours: bool
    experimental: bool
    generates: bool
    lacks: tuple[str, ...]
    place: Span
    id_place: Span
    refers: tuple[tuple[str, Span], ...]
    source: tuple[str, str, str]
    meaning: str
    clauses: tuple[PlainClause, ...] | None
    removed: tuple[str, ...]


def summary_of(subject: Subject) -> Summary:
    """The summary of a document."""
    data = subject.data
    source = tuple(subject.logsource.get(key, "") for key in ("category", "product", "service"))
    clauses, removed = _meaning(subject)
    level = str(data.get("level", "medium")).upper()
    return Summary(
        subject.path,
        subject.kind,
        subject.id.lower(),
        str(data.get("name") or ""),
        str(data.get("title") or ""),
        Level[level] if level in Level.__members__ else Level.MEDIUM,
        bool(subject.block.get("context_only") or subject.block.get("removed")),
        subject.ours,
        data.get("status") == "experimental",
        _generates(subject),
        tuple(key for key in _ARO if subject.ours and not subject.block.get(key)),
        span_of(subject.first),
        span_of(subject.node_at("id")) if subject.id else span_of(subject.first),
        tuple(_refers(subject)),
        (source[0], source[1], source[2]),
        _digest(subject, clauses, removed),
        clauses,
        removed,
    )


def _generates(subject: Subject) -> bool:
    """`generate` stands at the top in the specification and in `correlation` for pySigma."""
    section = subject.data.get("correlation")
    inside = section.get("generate") if isinstance(section, dict) else None
    return True in (subject.data.get("generate"), inside)


def _refers(subject: Subject) -> Iterator[tuple[str, Span]]:
    if subject.kind == "rule":
        return
    section = subject.data.get(subject.kind)
    listed = section.get("rules") if isinstance(section, dict) else None
    if not isinstance(listed, list):
        return
    for index, reference in enumerate(listed):
        yield str(reference), span_of(subject.node_at(subject.kind, "rules", index))


def _meaning(subject: Subject) -> tuple[tuple[PlainClause, ...] | None, tuple[str, ...]]:
    if subject.kind != "rule" or len(subject.conditions) != 1:
        return None, ()
    (found,) = branches(subject)
    if found is None or len(found) != 1:
        return None, ()
    clauses = tuple(tuple(_plain(leaf) for leaf in clause) for clause in found[0].clauses)
    return clauses, _removed(found[0])


def _removed(branch: Branch) -> tuple[str, ...]:
    parts = []
    for one in branch.removed:
        clauses = sorted(sorted(repr(_plain(leaf)) for leaf in clause) for clause in one.clauses)
        parts.append(hashlib.sha256(repr(clauses).encode()).hexdigest()[:16])
    return tuple(sorted(parts))


def _plain(leaf: Leaf) -> PlainLeaf:
    field = leaf.item.field
    if leaf.globs is None or "cased" in leaf.item.modifiers:
        modifiers = sorted(leaf.item.modifiers)
        return field, None, repr([field, modifiers, [str(part) for part in leaf.same]])
    plain = (
        tuple(part if isinstance(part, str) else int(part) for part in glob) for glob in leaf.globs
    )
    globs = tuple(sorted(plain, key=repr))
    return field, globs, repr([field, globs])


def _digest(
    subject: Subject, clauses: tuple[PlainClause, ...] | None, removed: tuple[str, ...]
) -> str:
    source = sorted(subject.logsource.items())
    if clauses is not None:
        body: Any = sorted(sorted(leaf[2] for leaf in clause) for clause in clauses)
    else:
        body = subject.data.get(subject.kind if subject.kind != "rule" else "detection")
    more = subject.block.get("removed"), subject.block.get("place")
    text = json.dumps([source, body, removed, more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
