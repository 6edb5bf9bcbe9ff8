"""What only several rules together show: MH501, MH502, and the ids of MH008 to MH010."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from uuid import UUID

from ..conditions import Wild
from ..data import read_bytes
from .model import Finding
from .summary import PlainClause, PlainLeaf, Summary
from .texts import Glob, covers

_ANY = int(Wild.ANY)
_GRAM = 4
_NONE: dict[tuple[str, Glob], set[int]] = {}


def check(rules: Sequence[Summary]) -> Iterator[Finding]:
    """Ids, references, duplicates, and rules that another one covers."""
    yield from _ids(rules)
    yield from _references(rules)
    yield from _texts(rules)
    yield from _meanings(rules)


def _ids(rules: Sequence[Summary]) -> Iterator[Finding]:
    first: dict[str, Summary] = {}
    for rule in rules:
        if rule.id:
            other = first.setdefault(rule.id, rule)
            if other is not rule:
                message = f"this id is already that of '{other.title}' in {other.path}"
                yield _finding("MH008", rule, message, "give the new rule a new id", at_id=True)


def _key(reference: str) -> str:
    try:
        return str(UUID(reference))
    except ValueError:
        return reference


def _references(rules: Sequence[Summary]) -> Iterator[Finding]:
    known = {rule.id for rule in rules} | {rule.called for rule in rules}
    by_id = {rule.id: rule for rule in rules}
    for rule in rules:
        found = 0
        for reference, place in rule.refers:
            if _key(reference) in known or reference in ("any", "*"):
                found += 1
                target = by_id.get(_key(reference))
                if rule.kind == "filter" and target is not None and _differs(rule, target):
                    message = f"the filter's log source is not that of '{target.title}'"
                    hint = "a filter with another log source is not applied"
                    yield Finding("MH010", message, rule.path, place, rule.id, hint)
            elif _key(reference) not in _shipped():
                message = f"no rule has the id or name '{reference}'"
                hint = "name the folder with that rule too, or mend the reference"
                yield Finding("MH009", message, rule.path, place, rule.id, hint)


@cache
def _shipped() -> frozenset[str]:
    """The ids of the rules inside the package: what `molehunt tune` writes names them."""
    lines = read_bytes("rules.lock").decode("ascii", "replace").splitlines()
    return frozenset(line.partition(" ")[0] for line in lines)


def _differs(rule: Summary, target: Summary) -> bool:
    return any(
        ours and theirs and ours != theirs
        for ours, theirs in zip(rule.source, target.source, strict=True)
    )


def silent(rules: Sequence[Summary]) -> set[str]:
    """Ids and names of what only serves correlations and makes no finding of its own."""
    correlations = [rule for rule in rules if rule.kind == "correlation"]
    shown = {_key(ref) for rule in correlations if rule.generates for ref, _ in rule.refers}
    return {_key(ref) for rule in correlations for ref, _ in rule.refers} - shown - {""}


def _texts(rules: Sequence[Summary]) -> Iterator[Finding]:
    quiet = silent(rules)
    for rule in rules:
        if rule.lacks and not {rule.id, rule.called} & quiet:
            message = f"molehunt: {', '.join(rule.lacks)} missing"
            hint = "what it does not see, how to see it fire, what to do then"
            yield _finding("MH416", rule, message, hint)


def _meanings(rules: Sequence[Summary]) -> Iterator[Finding]:
    quiet = silent(rules)
    own = [rule for rule in rules if rule.kind == "rule" and not {rule.id, rule.called} & quiet]
    first: dict[str, Summary] = {}
    twice = set()
    for rule in own:
        other = first.setdefault(rule.meaning, rule)
        if other is not rule:
            twice.add(id(rule))
            message = f"the same detection as '{other.title}' in {other.path}"
            yield _finding("MH501", rule, message, "keep one of them")
    index = _Index(own)
    for rule in own:
        if id(rule) in twice or not rule.clauses:
            continue
        for wide in index.candidates(rule):
            if wide is not rule and wide.meaning != rule.meaning and _covered(rule, wide):
                message = f"all that this finds is found by '{wide.title}' in {wide.path}"
                hint = "raise the level of this one, or drop it"
                yield _finding("MH502", rule, message, hint)
                break


def _finding(
    check: str, rule: Summary, message: str, hint: str = "", at_id: bool = False
) -> Finding:
    place = rule.id_place if at_id else rule.place
    return Finding(check, message, rule.path, place, rule.id, hint)


class _Index:
    """Finds rules that may cover another: by the texts of one leaf of each of their clauses."""

    def __init__(self, rules: Sequence[Summary]) -> None:
        self._rules = rules
        self._whole: dict[tuple[object, ...], set[int]] = defaultdict(set)
        # By log source and field, then by the first letters of the longest text.
        self._grams: dict[tuple[object, ...], dict[str, dict[tuple[str, Glob], set[int]]]] = {}
        for number, rule in enumerate(rules):
            for clause in rule.clauses or ():
                if clause:
                    self._add(number, rule, min(clause, key=_breadth))

    def _add(self, number: int, rule: Summary, leaf: PlainLeaf) -> None:
        field, globs, text = leaf
        if globs is None:
            self._whole[(rule.source, field, text)].add(number)
            return
        for glob in globs:
            literal = max((part for part in glob if isinstance(part, str)), key=len, default="")
            if len(literal) < _GRAM or _ANY not in glob:
                self._whole[(rule.source, field, glob)].add(number)
            else:
                grams = self._grams.setdefault((rule.source, field), {})
                globs_of = grams.setdefault(literal[:_GRAM], {})
                globs_of.setdefault((literal, _glob(glob)), set()).add(number)

    def candidates(self, rule: Summary) -> list[Summary]:
        """The rules of which some text covers one of the rule's first clause."""
        found: set[int] = set()
        for field, globs, text in (rule.clauses or ((),))[0]:
            if globs is None:
                found |= self._whole.get((rule.source, field, text), set())
                continue
            glob = globs[0]
            found |= self._whole.get((rule.source, field, glob), set())
            grams = self._grams.get((rule.source, field))
            for part in glob:
                if isinstance(part, str) and grams is not None:
                    for at in range(len(part) - _GRAM + 1):
                        for (literal, wide), numbers in grams.get(
                            part[at : at + _GRAM], _NONE
                        ).items():
                            if part.startswith(literal, at) and covers(wide, _glob(glob)):
                                found |= numbers
        return [self._rules[number] for number in sorted(found)]


@lru_cache(maxsize=1 << 17)
def _glob(parts: tuple[str | int, ...]) -> Glob:
    return tuple(part if isinstance(part, str) else Wild(part) for part in parts)


def _breadth(leaf: PlainLeaf) -> tuple[int, int]:
    globs = leaf[1]
    if globs is None:
        return 1, 0
    shortest = min(sum(len(p) for p in glob if isinstance(p, str)) for glob in globs)
    return len(globs), -shortest


def _covered(rule: Summary, wide: Summary) -> bool:
    """Whether `wide` matches all that `rule` matches, on the same log source, at no lower level."""
    if wide.level < rule.level or wide.silent or rule.silent or wide.source != rule.source:
        return False
    if not wide.clauses or not rule.clauses or not set(wide.removed) <= set(rule.removed):
        return False
    if not _covered_by(rule.clauses, wide.clauses):
        return False
    same = set(wide.removed) == set(rule.removed) and wide.level == rule.level
    # If each covers the other, only the later one is told.
    return not (same and _covered_by(wide.clauses, rule.clauses) and wide.path > rule.path)


def _covered_by(narrow: Sequence[PlainClause], wide: Sequence[PlainClause]) -> bool:
    return all(any(_narrows(one, other) for other in wide) for one in narrow)


def _narrows(one: PlainClause, other: PlainClause) -> bool:
    """Whether all that fulfils `one` fulfils `other`."""
    for want in other:
        for have in one:
            if have[0] == want[0] and _implies(have, want):
                break
        else:
            return False
    return True


def _implies(have: PlainLeaf, want: PlainLeaf) -> bool:
    if have[2] == want[2]:
        return True
    if have[1] is None or want[1] is None:
        return False
    wide = [_glob(glob) for glob in want[1]]
    for glob in have[1]:
        narrow = _glob(glob)
        if not any(covers(one, narrow) for one in wide):
            return False
    return True
