"""The files of a target, kept from one run to the next with what is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

from molehunt.cache import keep, recall
from molehunt.data import read_bytes
from molehunt.lock import LOCK as RULES_LOCK

from . import kept
from .model import Compiled, Evidence, Profile, Refusal, Target
from .support import LOCK

# Each byte is one character of it.
_BYTES = "latin-1"


@dataclass(frozen=True, slots=True)
class Packed:
    """`files` by their name below the output folder. Of `number` rules `counts` were compiled, by
    what is known of them, and `left` out for that; `refused` are those refused, by code."""

    files: Mapping[str, bytes]
    number: int
    counts: Mapping[str, int]
    left: int
    refused: Mapping[str, int]


def packed(
    files: Mapping[str, bytes], compiled: Sequence[Compiled], shown: int, listing: Mapping[str, Any]
) -> Packed:
    """All of it from what was compiled, how much of that is in the files, and their manifest."""
    found = Counter(one["evidence"] for one in listing["rules"])
    words = [one.name.lower() for one in reversed(Evidence)]
    counts = {word: found[word] for word in words if found[word]}
    refused = Counter(one.code for one in compiled if isinstance(one, Refusal))
    left = len(compiled) - shown
    return Packed(files, len(compiled), counts, left, dict(sorted(refused.items())))


def packed_key(target: Target, profile: Profile, rules: str, asked: Iterable[str]) -> str:
    """The key of what a target's files are made of: the rules (`molehunt.rulecache`), all code,
    what is known of them, and what else was `asked` for. "" if they are not to be kept."""
    made_of = kept.dependencies()
    if not made_of or not target.own:
        return ""
    digest = sha256(repr((made_of, rules, target.name, profile.name, *asked)).encode())
    support = files(__package__).joinpath(LOCK)
    for content in (read_bytes(RULES_LOCK), support.read_bytes() if support.is_file() else b""):
        digest.update(sha256(content).digest())
    return f"compiled-files-{digest.hexdigest()}"


def recalled(key: str) -> Packed | None:
    """What was kept under a key; None if nothing was, or in another form."""
    found = recall(key) if key else None
    if not isinstance(found, list) or len(found) != len(_KEPT):
        return None
    texts, number, counts, left, refused = found
    try:
        contents = {name: text.encode(_BYTES) for name, text in texts.items()}
        return Packed(contents, int(number), dict(counts), int(left), dict(refused))
    except (AttributeError, TypeError, ValueError):
        return None


_KEPT = Packed.__dataclass_fields__


def keep_packed(key: str, made: Packed) -> None:
    """Keep it, unless there is no key."""
    if key:
        texts = {name: content.decode(_BYTES) for name, content in made.files.items()}
        keep(key, [texts, made.number, made.counts, made.left, made.refused])
