"""From a match to what a join wants to know: a plain tuple, fit to go between processes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_network
from typing import NamedTuple

from molehunt.joins import ROUTER, Join
from molehunt.normalise import parse_ip

from ..findings.fold import basis_of
from ..findings.organisation import hardware_address
from ..matching.evaluate import View
from ..matching.match import Match
from ..records import Locator, Value
from ..values import as_text


class Fact(NamedTuple):
    """A host told an address: its `own`, one `near` it, its `router`, or an account a `stop`.

    The address (`mark`) is that of hardware, or of the network that a sign-in came from. `join` is
    the number of the join. `kind` is the record's `action`; `at` is in seconds since 1970 UTC.
    `row` tells its row from others of the host's query.
    """

    join: int
    what: str
    host: str
    host_name: str
    mark: str
    action: str
    at: float
    row: str
    rule: str
    query: str
    column: str
    basis: str
    values: tuple[tuple[str, Value], ...]
    where: Locator


def facts_of(match: Match, joins: Sequence[Join]) -> Iterator[Fact]:
    """What a match tells the joins; nothing without a time."""
    record = match.record
    if record.at is None:
        return
    for number, one in enumerate(joins):
        use = one.uses.get(match.rule.id)
        if use is None:
            continue
        what, field = use
        for value in View(record, match.fields).values(field):
            mark = mark_of(what, as_text(value))
            if mark:
                yield Fact(
                    number,
                    what,
                    record.host,
                    record.decorations.get("hostname", ""),
                    mark,
                    "removed" if match.closes else record.action,
                    record.at,
                    repr((record.query, sorted(record.values.items()))),
                    match.rule.id,
                    record.query,
                    match.fields.places[field].name,
                    basis_of(record),
                    tuple(sorted(record.values.items())),
                    record.locator,
                )


def fact_of(text: str) -> Fact:
    """A fact that was written with json.dumps."""
    *plain, listed, where = json.loads(text)
    values = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in listed)
    return Fact._make((*plain, values, Locator(*where)))


def mark_of(what: str, text: str) -> str:
    """An address in one spelling; "" if it is none. Each host at home has an IPv6 address of its
    own, so as a router it is the home's network (RFC 6177: a /64 or more)."""
    hardware = hardware_address(text)
    address = None if hardware else parse_ip(text)
    if address is None:
        return hardware
    if what == ROUTER and isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False).network_address)
    return str(address)
