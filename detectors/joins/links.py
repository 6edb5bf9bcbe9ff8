"""Who stood with whom, as plain values: ties between hosts, and what follows from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from molehunt.joins import NEAR

DAY = 86400.0
# The kind of a link to a router of the organisation's own sites.
SITE = "site"
# Snapshots further apart do not show that a row was there in between.
_GAP = 2 * DAY


class Link(NamedTuple):
    """A host stood where `other` was, a host or (`kind`) a router, or one of a site, on these days;
    `fact` is the number of the row that first told so."""

    kind: str
    host: str
    other: str
    days: frozenset[int]
    fact: int


def moving(routers: Mapping[str, Sequence[Link]]) -> dict[str, set[int]]:
    """The days on which an account was behind several IPv4 addresses: a phone's network or a
    journey, no place."""
    once: dict[str, set[int]] = defaultdict(set)
    moving: dict[str, set[int]] = defaultdict(set)
    for link in (link for mark, links in routers.items() if "." in mark for link in links):
        moving[link.host] |= once[link.host] & link.days
        once[link.host] |= link.days
    return moving


def spans(sightings: Sequence[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    """From when to when a row was there; without an end, for ever (docs/correlations.md)."""
    start: float | None = None
    end = inf
    for at, action in sightings:
        if action == "removed":
            if start is not None:
                yield start, min(end, at)
            start = None
        elif action == "added":
            start, end = (at if start is None else start), inf
        elif start is not None and at <= end + _GAP:
            end = max(end, at)
        else:
            if start is not None:
                yield start, end
            start, end = at, at
    if start is not None:
        yield start, end


def groups(links: Sequence[Link]) -> Iterator[tuple[list[str], list[Link]]]:
    """The hosts that links tie together, directly or through others; smallest host first."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(node: tuple[str, str]) -> tuple[str, str]:
        while leader.setdefault(node, node) != node:
            leader[node] = node = leader[leader[node]]
        return node

    for link in links:
        other = find((link.kind, link.other))
        leader[find((NEAR, link.host))] = other
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    inside: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in links:
        root = find((NEAR, link.host))
        members[root].add(link.host)
        if link.kind == NEAR:
            members[root].add(link.other)
        inside[root].append(link)
    for root in sorted(members, key=lambda root: min(members[root])):
        if len(members[root]) > 1:
            yield sorted(members[root]), inside[root]
