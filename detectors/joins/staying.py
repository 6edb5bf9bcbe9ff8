"""Which hosts of a place also spend days elsewhere.

People take their laptops home from an office and back from a holiday; a laptop of a farm stays
where it was sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import NamedTuple

from molehunt.joins import ROUTER
from molehunt.normalise import parse_ip

from .facts import Fact
from .links import Link

# So many days elsewhere, and so large a part of all.
LEAST_DAYS, LEAST_SHARE = 2, 0.2
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


class Away(NamedTuple):
    """Days (since 1970 UTC) on which a host was elsewhere, and the row that first told so."""

    days: frozenset[int]
    fact: int


def away_from(
    hosts: Iterable[str], inside: Sequence[Link], seen: Mapping[str, Sequence[Link]]
) -> dict[str, Away]:
    """Those of the hosts of a place that go elsewhere. `inside` are the place's ties, `seen` all
    routers of each host.

    A host is elsewhere on a day on which it is behind some router and behind none of the place's:
    those of its ties, and those that several of its hosts had at any time, unless it is a site's. A
    router that it has not after its first day in the place does not count, since a new laptop comes
    from somewhere, and is not taken back there. Of hosts without a tie by router, it is not known
    which are the place's.
    """
    members = set(hosts)
    users: dict[str, set[str]] = defaultdict(set)
    for host in members:
        for link in seen.get(host, ()):
            if link.kind == ROUTER:
                users[link.other].add(host)
    place = {link.other for link in inside if link.kind == ROUTER}
    place |= {mark for mark, who in users.items() if len(who) > 1}
    tied: dict[str, set[int]] = defaultdict(set)
    for link in inside:
        if link.kind == ROUTER:
            tied[link.host] |= link.days
    found = {}
    for host in sorted(tied):
        first, there = min(tied[host]), set(tied[host])
        others: list[Link] = []
        for link in seen.get(host, ()):
            if link.other in place:
                there |= link.days
            elif max(link.days) > first:
                others.append(link)
        days = {day for link in others for day in link.days} - there
        if len(days) >= LEAST_DAYS and len(days) >= LEAST_SHARE * len(days | there):
            told = min(
                (min(d), link.other, link.fact) for link in others if (d := days & link.days)
            )
            found[host] = Away(frozenset(days), told[-1])
    return found


def rather_an_office(facts: Iterable[Fact], homes: Sequence[str]) -> bool:
    """Whether the routers of these facts have private addresses (RFC 1918), none of which is in one
    of the networks that home routers come with. Facts that name no address say nothing."""
    networks = [ip_network(one) for one in homes]
    addresses = [address for fact in facts if (address := _address(fact)) is not None]
    return bool(networks and addresses) and not any(
        address in network for address in addresses for network in networks
    )


def _address(fact: Fact) -> IPv4Address | None:
    """The private address of a router: `gateway` of routes, `address` of arp_cache."""
    values = dict(fact.values)
    said = values.get("gateway") or values.get("address")
    found = parse_ip(said) if isinstance(said, str) else None
    private = isinstance(found, IPv4Address) and any(found in one for one in _PRIVATE)
    return found if isinstance(found, IPv4Address) and private else None
