"""What an organisation knows about itself: its groups of hosts, what it has approved, and which
rules it keeps in shadow.

docs/findings.md describes the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address
from types import MappingProxyType
from typing import NamedTuple

from molehunt.problems import Problem, Severity

EVERY_HOST = "*"
_OCTET = re.compile(r"[0-9A-Fa-f]{1,2}")


class Approval(NamedTuple):
    """One entry of `approved`.

    `what` are subjects and rule ids, `group` is the name after `for`, `hosts` its patterns; names
    and patterns are case-folded. `start` is inclusive (None: always was), `end` is excluded.
    """

    what: frozenset[str]
    group: str
    hosts: tuple[str, ...]
    owner: str
    reason: str
    start: date | None
    end: date
    line: int

    def covers(self, names: Iterable[str], at: float) -> bool:
        """Whether a host with one of these names is approved at `at`, seconds since 1970 UTC."""
        begun = self.start is None or _seconds(self.start) <= at
        if not (begun and at < _seconds(self.end)):
            return False
        return self.group == EVERY_HOST or any(
            fnmatchcase(name.casefold(), pattern) for name in names for pattern in self.hosts
        )


class Site(NamedTuple):
    """A place of the organisation's own: `marks` are hardware addresses of its routers and access
    points, as `hardware_address` spells them, `networks` the addresses it is seen with from
    outside."""

    name: str
    owner: str
    marks: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]


class Shadow(NamedTuple):
    """One entry of `shadow`: rules whose findings are counted and not shown, from `start` (None:
    always) until before `end`. `what` are case-folded subjects and ids of rules or correlations."""

    what: frozenset[str]
    owner: str
    reason: str
    start: date | None
    end: date
    line: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """The organisation's file as far as it was free of errors."""

    path: str = ""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    approvals: tuple[Approval, ...] = ()
    sites: tuple[Site, ...] = ()
    shadows: tuple[Shadow, ...] = ()

    def site(self, mark: str) -> Site | None:
        """The site that a router, an access point (hardware address) or an address belongs to."""
        wanted = hardware_address(mark)
        if wanted:
            return next((site for site in self.sites if wanted in site.marks), None)
        try:
            address = ip_address(mark)
        except ValueError:
            return None
        return next(
            (site for site in self.sites if any(address in one for one in site.networks)), None
        )

    def approval(
        self, subject: str | None, rule_id: str, host_names: Iterable[str], at: float | None
    ) -> Approval | None:
        """The first approval in the file for the rule or its subject, a host and a time.

        `at` is when it happened, in seconds since 1970 UTC. An approval is for a span of time, so
        what has no known time cannot be shown to lie in it and is not approved.
        """
        if at is None:
            return None
        asked = {rule_id.casefold()} | ({subject.casefold()} if subject else set())
        names = list(host_names)
        return next(
            (one for one in self.approvals if one.what & asked and one.covers(names, at)), None
        )

    def shadow(self, subject: str | None, rule_id: str, last: float | None) -> Shadow | None:
        """The first entry of `shadow` for a finding that was last seen at `last`, in seconds since
        1970 UTC. What has no known time cannot be shown to lie in its span, so it is shown."""
        if last is None:
            return None
        asked = {rule_id.casefold()} | ({subject.casefold()} if subject else set())
        for one in self.shadows:
            begun = one.start is None or _seconds(one.start) <= last
            if one.what & asked and begun and last < _seconds(one.end):
                return one
        return None

    def unknown_names(self, known: Iterable[str]) -> list[Problem]:
        """A warning for each name that is not in `known`, the rules' subjects and ids."""
        there = {name.casefold() for name in known}
        entries = [("approval", one.what, one.line) for one in self.approvals]
        entries += [("shadow", one.what, one.line) for one in self.shadows]
        return [
            Problem(
                f"{kind} of {name!r} has no effect: no rule has that subject or id",
                self.path,
                line,
                hint="check the spelling against molehunt.subject of the rule that is meant",
                severity=Severity.WARNING,
            )
            for kind, what, line in entries
            for name in sorted(what - there)
        ]


def hardware_address(text: str) -> str:
    """Six octets in one spelling (`0:1b:..`, `00-1B-..`); "" if it is no hardware address."""
    parts = text.strip().replace("-", ":").split(":")
    if len(parts) != 6 or not all(_OCTET.fullmatch(part) for part in parts):
        return ""
    return ":".join(part.rjust(2, "0").lower() for part in parts)


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
