"""What was compiled the last time, by everything that it depends on: the rules, the data beside
them, and all code of molehunt. Where only rules changed, these are compiled anew, and the
correlations over them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

import molehunt
from molehunt import backends, detectors
from molehunt.cache import keep, recall
from molehunt.correlation import Correlation
from molehunt.installed import release
from molehunt.lock import LOCK
from molehunt.processes import at_once
from molehunt.rulefiles import builtin_rules_path

from .compiling import compile_all
from .model import Artefact, Compiled, Profile, Refusal, Subject, Target

_NULL = re.compile(rb"[\[:,]null")
# Read patterns and SQL for us, so another release may compile to something else.
_READERS = ("google-re2", "sqlglot")


def compile_kept(
    target: Target,
    profile: Profile,
    rules: str,
    subjects: Callable[[], Iterable[Subject]],
    aside: Callable[[Callable[[], None]], None] = at_once,
    apart: Callable[[], bool] = lambda: True,
) -> list[Compiled]:
    """What `compile_all` gives for the `subjects`, which are made only if they are needed. `rules`
    is the key of the rule set (`molehunt.rulecache`); `aside` does what nobody waits for; `apart`
    says whether each rule is what its own file says, which no filter changes."""
    made_of = dependencies()
    if not made_of or not target.own:
        return compile_all(target, profile, subjects())
    names = f"{rules} {target.name} {profile.name}"
    key = f"compiled-{sha256((made_of + names).encode()).hexdigest()}"
    found = recall(key)
    if isinstance(found, list):
        try:
            return list(map(_restored, found))
        except (TypeError, ValueError):
            pass  # not what was kept: made anew
    made = list(subjects())
    last = f"compiled-last-{sha256(f'{made_of} {target.name} {profile.name}'.encode()).hexdigest()}"
    marked = apart()
    before = _before(last) if marked else {}
    # With nothing to compare with they are made beside.
    marks = _marks(made) if before else [""] * len(made)
    new = iter(
        compile_all(
            target,
            profile,
            [one for one, mark in zip(made, marks, strict=True) if mark not in before],
        )
    )
    compiled = [before[mark] if mark in before else next(new) for mark in marks]
    aside(lambda: _keep(key, last, made if marked else [], compiled))
    return compiled


def _keep(key: str, last: str, made: Iterable[Subject], compiled: Iterable[Compiled]) -> None:
    """Keep what was compiled, and for whom if that is known."""
    # One by one, since the whole would take fresh memory for each step.
    bodies = [_as_json(_plain(one)) for one in compiled]
    whole = [orjson.Fragment(body) for body in bodies if body is not None]
    if len(whole) == len(bodies):
        keep(key, whole)
        keep(last, [key, _marks(made) or [""] * len(bodies)])


def _before(last: str) -> Mapping[str, Compiled]:
    """What was compiled the last time, by the marks of the subjects."""
    with suppress(TypeError, ValueError):  # else it is not what was kept
        key, marks = recall(last) or ("", [])
        found = map(_restored, recall(key) or ())
        return {mark: one for mark, one in zip(marks, found, strict=True) if mark}
    return {}


def _marks(made: Iterable[Subject]) -> list[str]:
    """For each subject a hash of all that its file and those of its members say; "" if that is not
    known. Whatever else decides what it compiles to is among the `dependencies`."""
    found: dict[str, str] = {}
    for one in made:
        members = [found.get(each.rule.id, "") for each in one.members]
        said = _said(one) if all(members) else None
        found[one.rule.id] = (
            sha256(b" ".join((said, *map(str.encode, members)))).hexdigest() if said else ""
        )
    return list(found.values())


def _said(one: Subject) -> bytes | None:
    rule = one.rule
    if not rule.raw:
        return None
    more = rule.carried if isinstance(rule, Correlation) else rule.asked
    try:
        body = orjson.dumps([rule.raw, rule.name, more, rule.silent, one.removed])
        # JSON has one word for nothing and for what is no number.
        return body if not _NULL.search(body) or orjson.loads(body)[0] == rule.raw else None
    except (TypeError, ValueError):
        return None


def _plain(one: Compiled) -> list[Any]:
    if isinstance(one, Refusal):
        return [one.rule, one.title, one.target, one.profile, one.code, one.reason]
    named = [one.rule, one.title, one.target, one.profile, one.language]
    return [*named, one.query, one.body, list(one.differences)]


def _restored(plain: list[Any]) -> Compiled:
    if len(plain) == len(_REFUSED):
        return Refusal(*plain)
    rule, title, target, profile, language, query, body, differences = plain
    made = (rule, title, target, profile, language, query, body)
    return Artefact(*made, tuple(differences))


_REFUSED = Refusal.__dataclass_fields__


def _as_json(plain: Any) -> bytes | None:
    """The JSON from which it comes back as it was; None if there is none."""
    try:
        body = orjson.dumps(plain)
        return body if orjson.loads(body) == plain else None
    except (TypeError, ValueError):
        return None


@cache
def dependencies() -> str:
    """A hash of all that decides what a rule compiles to, rules aside; "" if it cannot be known."""
    digest = sha256(repr((sys.version_info, [release(name) for name in _READERS])).encode())
    try:
        for path in _files():
            digest.update(path.name.encode() + sha256(path.read_bytes()).digest())
    except OSError:
        return ""
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    """All code, what lies beside it, and the data of the rules, in the same order everywhere."""
    for root in (
        Path(molehunt.__file__).parent,
        Path(*detectors.__path__),
        Path(*backends.__path__),
    ):
        yield from sorted(path for kind in ("py", "yml") for path in root.rglob(f"*.{kind}"))
    rules = Path(builtin_rules_path())
    # The lock tells of what comes out, and only packages have versions.
    yield from sorted(one for one in rules.iterdir() if one.is_file() and one.name != LOCK)
    yield from sorted((rules / "data").iterdir())
