"""What each rule compiles to, as hashes: a part of the rule lock (`molehunt.lock`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .kept import compile_kept
from .model import Artefact, Subject
from .registry import targets
from .support import digest


def digests(rules: str, subjects: Callable[[], Sequence[Subject]]) -> dict[str, dict[str, str]]:
    """By rule id, the hash of its artefact by `target/profile`, for every profile of the targets
    that only molehunt's own code decides; what is refused has none. The arguments are those of
    `compile_kept`."""
    found: dict[str, dict[str, str]] = {}
    for target in targets():
        for profile in target.profiles if target.own else ():
            for one in compile_kept(target, profile, rules, subjects):
                if isinstance(one, Artefact):
                    found.setdefault(one.rule, {})[f"{target.name}/{profile.name}"] = digest(one)
    return found
