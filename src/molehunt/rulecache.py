"""Rule sets kept from one run to the next, by the content of every file that they come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, overload

import orjson

from . import __version__, conditions
from .cache import code_of, keep, recall
from .codec import Codec
from .conditions import Condition
from .correlation import Comparison, Correlation, Term
from .data import read_bytes
from .installed import release
from .levels import Level
from .metadata import Metadata
from .problems import Problem, Severity
from .processes import at_once
from .rule import Rule, RuleSet

# Changed when what is kept changes its form.
FORM = 6
_PIECE = 1 << 18
_CONDITIONS = Codec(
    (
        conditions.Wild,
        conditions.Text,
        conditions.Number,
        conditions.Flag,
        conditions.Nothing,
        conditions.Exists,
        conditions.Regex,
        conditions.Cidr,
        conditions.Compare,
        conditions.Reference,
        conditions.TimePart,
        conditions.AnyOf,
        conditions.FieldIs,
        conditions.Keyword,
        conditions.And,
        conditions.Or,
        conditions.Not,
    )
)
_REST = Codec((Level, Severity, Metadata, Problem, Comparison, Term, Correlation, Rule))


class Kept(Sequence[Condition]):
    """So many conditions as they were kept, in JSON; made when first asked for, which few rules of
    many are."""

    __slots__ = ("_made", "_number", "text")

    def __init__(self, number: int, text: str) -> None:
        self._number, self.text = number, text
        self._made: tuple[Condition, ...] | None = None

    def _all(self) -> tuple[Condition, ...]:
        if self._made is None:
            self._made = tuple(map(_CONDITIONS.restored, orjson.loads(self.text)))
        return self._made

    @overload
    def __getitem__(self, index: int) -> Condition: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Condition]: ...
    def __getitem__(self, index: int | slice) -> Condition | Sequence[Condition]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Condition]:
        return iter(self._all())

    def __len__(self) -> int:
        return self._number


def ruleset_key(paths: Sequence[str]) -> str:
    """A hash of all that decides what these files and folders load to."""
    from .rulefiles import rule_files

    digest = _made_of(b"")
    for path, name, explicit in rule_files(paths, []):
        try:
            content = _content(path)
        except OSError as error:
            content = str(error).encode()
        digest.update(repr((path, name, explicit, len(content))).encode() + content)
    digest.update(repr([(path, os.path.isdir(path)) for path in paths]).encode())
    return f"rules-{digest.hexdigest()}"


def _made_of(more: bytes) -> Any:
    """A hash under way of what decides how files are read, and of `more`."""
    digest = sha256(repr((FORM, __version__, release("pysigma"), sys.version_info[:2])).encode())
    digest.update(code_of(__file__))
    for name in ("taxonomy.yml", "rule.schema.json"):
        digest.update(read_bytes(name))
    digest.update(more)
    return digest


def _content(path: str) -> bytes:
    """What a file holds. Opening thousands of streams takes as long as all the rest."""
    handle = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(handle, _PIECE):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(handle)


def cached_rules(paths: Sequence[str]) -> tuple[RuleSet, str]:
    """The rules of files and folders, without their sources (`raw`, `lines`), and their key."""
    key = ruleset_key(paths)
    found = _recalled(key)
    return (_made(paths, key) if found is None else found), key


def _recalled(key: str) -> RuleSet | None:
    found = recall(key)
    if found is not None:
        with suppress(TypeError, ValueError, KeyError, IndexError):
            return _restored(found)
    return None  # or damaged in a way that its own digest does not show: made anew


def _made(paths: Sequence[str], key: str) -> RuleSet:
    ruleset = _loaded(paths)
    _keep(paths, key, ruleset)
    return ruleset


def _loaded(paths: Sequence[str]) -> RuleSet:
    """Loaded from the files, but for those that say what they said the last time. Rules that were
    kept know no lines, so if there is anything to tell, all are read."""
    from .ruleset import load_rules

    same = _unchanged(paths)
    if same:
        found = load_rules(paths, same)
        if not found.problems and not found.filtered:
            return found
    return load_rules(paths)


def _unchanged(paths: Sequence[str]) -> dict[str, list[Rule]]:
    """The rules of the files that have not changed since the set was last kept, by path."""
    with suppress(TypeError, ValueError, KeyError, IndexError):  # else it is not what was kept
        key, files = recall(_last(paths)) or ("", {})
        before = _with_sources(key)
        if before is not None:
            return {
                path: [before.rules[place].but(asked=(), silent=False) for place in places]
                for path, (digest, places) in files.items()
                if digest == _digest(path)
            }
    return {}


def _keep(paths: Sequence[str], key: str, ruleset: RuleSet) -> None:
    files = _files_of(ruleset)
    if ruleset_key(paths) != key:
        return  # something was written in the meantime
    with suppress(TypeError, ValueError):  # a number of thousands of digits, say
        keep(key, _plain(ruleset))
        keep(f"{key}-raw", [rule.raw for rule in ruleset.both])
        keep(_last(paths), [key, files])


def _last(paths: Sequence[str]) -> str:
    """Where it is kept which set these files and folders were the last time."""
    return f"rules-last-{_made_of(repr(list(paths)).encode()).hexdigest()}"


def _files_of(ruleset: RuleSet) -> dict[str, tuple[str, list[int]]]:
    """For each file that holds nothing but rules a hash of what it says, and which rules these
    are. Empty if rules are not what their own file says, or something is wrong with them."""
    if ruleset.problems or ruleset.filtered:
        return {}
    places: dict[str, list[int]] = {}
    for place, rule in enumerate(ruleset.rules):
        places.setdefault(rule.path, []).append(place)
    for one in ruleset.correlations:
        places.pop(one.path, None)
    return {path: (_digest(path), found) for path, found in places.items()}


def _digest(path: str) -> str:
    try:
        return sha256(_content(path)).hexdigest()
    except OSError:
        return ""


def cached_sources(paths: Sequence[str]) -> RuleSet:
    """The same with the sources (`raw`, dates as text), without `lines`: for compilers."""
    return sources_and_key(paths)[0]


def sources_and_key(paths: Sequence[str]) -> tuple[RuleSet, str]:
    """`cached_sources` with the key of the rule set."""
    key = ruleset_key(paths)
    return sources_of(paths, key), key


def sources_of(
    paths: Sequence[str], key: str, aside: Callable[[Callable[[], None]], None] = at_once
) -> RuleSet:
    """`cached_sources` for whoever has the key already. `aside` does what nobody waits for."""
    found = _with_sources(key)
    if found is None:
        found = made = _loaded(paths)
        aside(lambda: _keep(paths, key, made))
    return found


def _with_sources(key: str) -> RuleSet | None:
    ruleset, raws = _recalled(key), recall(f"{key}-raw")
    if ruleset is None or not isinstance(raws, list) or len(raws) != len(ruleset.both):
        return None
    number = len(ruleset.rules)
    return replace(
        ruleset,
        rules=tuple(
            rule.but(raw=raw) for rule, raw in zip(ruleset.rules, raws[:number], strict=True)
        ),
        correlations=tuple(
            replace(one, raw=raw)
            for one, raw in zip(ruleset.correlations, raws[number:], strict=True)
        ),
    )


def _plain(ruleset: RuleSet) -> list[object]:
    rules, texts = [], []
    for rule in ruleset.rules:
        early = [_values(rule, _RULE), _values(rule.meta, _META)]
        rules.append([*_kept(rule.conditions), *early])
        late = [_values(rule, _RULE_TEXTS), _values(rule.meta, _META_TEXTS)]
        texts.append(orjson.dumps(late).decode())
    correlations = [_REST.plain(_bare(one)) for one in ruleset.correlations]
    problems = [_REST.plain(problem) for problem in ruleset.problems]
    # JSON has no newline of its own.
    whole = "\n".join(texts)
    return [rules, whole, correlations, problems, list(ruleset.ignored), ruleset.filtered]


def _kept(conditions: Sequence[Condition]) -> tuple[int, str]:
    if isinstance(conditions, Kept):
        return len(conditions), conditions.text
    kept = [_CONDITIONS.plain(condition) for condition in conditions]
    return len(kept), orjson.dumps(kept).decode()


def _values(one: Rule | Metadata, names: Sequence[str]) -> list[Any]:
    return [_REST.plain(getattr(one, name)) for name in names]


def _bare(one: Correlation) -> Correlation:
    return replace(one, lines={}, raw={})


def _restored(found: list[Any]) -> RuleSet:
    kept_rules, whole, correlations, problems, ignored, filtered = found
    texts = _Texts(whole)
    rules = []
    for place, (number, text, early, of_meta) in enumerate(kept_rules):
        if type(number) is not int or type(text) is not str:
            raise ValueError("not the parts of a rule")
        meta = Metadata.early(_named(_META, of_meta), partial(texts.of_meta, place))
        there = _named(_RULE, early)
        there |= {"conditions": Kept(number, text), "meta": meta, "lines": {}, "raw": {}}
        rules.append(Rule.early(there, partial(texts.of_rule, place)))
    return RuleSet(
        tuple(rules),
        tuple(map(_REST.restored, correlations)),
        tuple(map(_REST.restored, problems)),
        tuple(map(str, ignored)),
        bool(filtered),
    )


def _named(names: Sequence[str], kept: Sequence[Any]) -> dict[str, Any]:
    restored = _REST.restored
    values = [restored(one) if type(one) is list else one for one in kept]
    return dict(zip(names, values, strict=True))


class _Texts:
    """What rules tell people, as it was kept, a line of JSON for each; read when first asked for,
    which is where something is found."""

    __slots__ = ("_lines", "_made", "_whole")

    def __init__(self, whole: str) -> None:
        if type(whole) is not str:
            raise TypeError("not the texts of rules")
        self._whole = whole
        self._lines: list[str] = []
        self._made: dict[int, list[list[Any]]] = {}

    def of_rule(self, place: int) -> dict[str, Any]:
        """The fields of the rule at a place that it was made without."""
        return _named(_RULE_TEXTS, self._at(place)[0])

    def of_meta(self, place: int) -> dict[str, Any]:
        """The same for what it says beyond Sigma."""
        return _named(_META_TEXTS, self._at(place)[1])

    def _at(self, place: int) -> list[list[Any]]:
        if not self._lines:
            self._lines, self._whole = self._whole.split("\n"), ""
        if place not in self._made:
            self._made[place] = orjson.loads(self._lines[place])
        return self._made[place]


# What is asked of rules before anything is found.
_RULE = ("id", "called", "category", "product", "service", "fields", "asked", "silent")
_META = ("subject", "identity", "platforms", "inputs", "removed", "context_only", "place")
_RULE_TEXTS = tuple(
    name
    for name in Rule.__dataclass_fields__
    if name not in (*_RULE, "conditions", "lines", "meta", "raw")
)
_META_TEXTS = tuple(name for name in Metadata.__dataclass_fields__ if name not in _META)
