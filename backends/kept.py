"""What was compiled the last time, by everything that it depends on: the rules, the data beside
them, and all code of molehunt. What a part of it changed is compiled anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

import molehunt
from molehunt import backends, detectors
from molehunt.cache import keep, recall
from molehunt.installed import release
from molehunt.lock import LOCK
from molehunt.processes import at_once
from molehunt.rulefiles import builtin_rules_path

from .compiling import compile_all
from .model import Artefact, Compiled, Profile, Refusal, Subject, Target

# Read patterns and SQL for us, so another release may compile to something else.
_READERS = ("google-re2", "sqlglot")


def compile_kept(
    target: Target,
    profile: Profile,
    rules: str,
    subjects: Callable[[], Iterable[Subject]],
    aside: Callable[[Callable[[], None]], None] = at_once,
) -> list[Compiled]:
    """What `compile_all` gives for the `subjects`, which are made only if they are needed. `rules`
    is the key of the rule set (`molehunt.rulecache`); `aside` does what nobody waits for."""
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
    compiled = compile_all(target, profile, subjects())
    aside(lambda: _keep(key, compiled))
    return compiled


def _keep(key: str, compiled: Iterable[Compiled]) -> None:
    body = _as_json(list(map(_plain, compiled)))
    if body is not None:
        keep(key, orjson.Fragment(body))


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
