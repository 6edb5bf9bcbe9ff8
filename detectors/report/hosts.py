"""Which hosts a finding is about, and what may be called a host name."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..findings.model import Finding

# Labels of RFC 1123, section 2.1, with the underscore that Windows allows; 253 characters at most.
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


class Host(NamedTuple):
    """A host by its identifier and by what people call it (the identifier if it has no name)."""

    id: str
    name: str


def hosts_of(finding: Finding) -> tuple[Host, ...]:
    """The hosts of a finding, at least one. The only place that reads them for the reports."""
    return tuple(Host(host, name or host) for host, name in finding.all_hosts)


def is_hostname(name: str) -> bool:
    """Whether the text can name a machine on a network; an account such as `a@b.example` cannot."""
    return _HOSTNAME.fullmatch(name) is not None
