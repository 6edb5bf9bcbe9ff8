"""How the condition uses the detections: MH201 to MH209."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..names import Both, Either, Name, Negated, Some, Tree, meant, uses
from .model import Finding
from .subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    """Unused detections, polarity, and what is easily misread."""
    if subject.kind == "correlation" or not subject.conditions:
        return
    section = subject.data[subject.section]
    written = section.get("condition")
    if len(subject.conditions) != (len(written) if isinstance(written, list) else 1):
        return
    signs: dict[str, set[bool]] = defaultdict(set)
    for tree, _ in subject.conditions:
        for name, negative in uses(tree, subject.detections):
            signs[name].add(negative)
    for name, detection in subject.detections.items():
        if name not in signs:
            yield subject.finding(
                "MH201", detection.key, f"the condition never uses '{name}'", "use it or remove it"
            )
        elif subject.kind == "rule" and name.startswith("filter") and signs[name] == {False}:
            message = f"the filter '{name}' is not negated: only what it matches is found"
            hint = f"write `not {name}`, or call it selection"
            yield subject.finding("MH202", detection.key, message, hint)
        elif subject.kind == "rule" and name.startswith("selection") and signs[name] == {True}:
            message = f"'{name}' is only negated"
            yield subject.finding(
                "MH203", detection.key, message, "call it filter_main or the like"
            )
    for tree, node in subject.conditions:
        yield from _condition(subject, tree, node)


def _condition(subject: Subject, tree: Tree, node: object) -> Iterator[Finding]:
    if subject.kind == "filter":
        if not _negative(tree):
            message = "the filter keeps only what it matches, it does not remove it"
            yield subject.finding("MH204", node, message, "write `not selection`")
        return
    if _negative(tree):
        message = "everything is negated: each event of the log source that is not excluded matches"
        yield subject.finding("MH205", node, message, "add a selection")
    if isinstance(tree, Either) and any(isinstance(arg, Both) for arg in tree.args):
        plain = [arg for arg in tree.args if not isinstance(arg, Both)]
        mixed = [arg for arg in tree.args if isinstance(arg, Both)]
        filtered = any(isinstance(part, Negated) for arg in mixed for part in arg.args)
        if plain and filtered and "(" not in subject.raw(node):
            message = "`and not` binds tighter than `or`: the filter acts on the last part only"
            yield subject.finding("MH206", node, message, "set parentheses")
    for one in _somes(tree):
        names = meant(one.pattern, subject.detections)
        if one.pattern.lower() == "them":
            filters = [name for name in names if name.startswith("filter")]
            if filters:
                message = f"`them` takes in {', '.join(filters)}"
                yield subject.finding("MH207", node, message, "name the selections")


def _negative(tree: Tree) -> bool:
    """Whether it can hold without any detection matching."""
    if isinstance(tree, Negated):
        return True
    if isinstance(tree, Both):
        return all(map(_negative, tree.args))
    return isinstance(tree, Either) and any(map(_negative, tree.args))


def _somes(tree: Tree) -> Iterator[Some]:
    if isinstance(tree, Some):
        yield tree
    elif isinstance(tree, Negated):
        yield from _somes(tree.arg)
    elif not isinstance(tree, Name):
        for arg in tree.args:
            yield from _somes(arg)
