"""How one store keeps osquery rows, beyond what a `Profile` can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from molehunt.detectors.records import Record

from ..model import Profile

Query: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """A profile with what compiling and proving need.

    `limit` is the length in UTF-16 units above which the store does not index a text
    (`ignore_above`). `named(names)` is the query for rows of the pack's queries with these names;
    `acted(action)` for rows with an action. `template` is the index template as the store has it,
    `document(record)` a row as it is sent there. `names_ignored` says whether the
    store tells of a text above the limit that it is there (`_ignored`, which Elasticsearch has and
    OpenSearch has not for keywords).
    """

    profile: Profile
    limit: int
    named: Callable[[Sequence[str]], Query]
    acted: Callable[[str], Query]
    template: Callable[[], Mapping[str, Any]]
    document: Callable[[Record], Mapping[str, Any]]
    names_ignored: bool = True


def logged_names(profile: Profile, names: Sequence[str]) -> list[str]:
    """The names under which queries of the pack are logged, sorted."""
    return sorted({pattern.format(name) for pattern in profile.names for name in names})
