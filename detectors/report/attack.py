"""ATT&CK for reports: tactics by id and name, techniques with their parents, and addresses.

The ids and names of the tactics are MITRE's (https://attack.mitre.org/tactics/enterprise/), of the
version that rules/data holds.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from molehunt.data import techniques

from ..findings.model import Technique

FRAMEWORK = "MITRE ATT&CK"
VERSION = "18.1"

_ID = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?")
_SITE = "https://attack.mitre.org"


class Named(NamedTuple):
    """A tactic or technique: MITRE's id (empty if unknown), name, and address (empty likewise)."""

    id: str
    name: str
    url: str


_TACTICS = {
    "reconnaissance": ("TA0043", "Reconnaissance"),
    "resource-development": ("TA0042", "Resource Development"),
    "initial-access": ("TA0001", "Initial Access"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "defense-evasion": ("TA0005", "Defense Evasion"),
    "credential-access": ("TA0006", "Credential Access"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "Lateral Movement"),
    "collection": ("TA0009", "Collection"),
    "command-and-control": ("TA0011", "Command and Control"),
    "exfiltration": ("TA0010", "Exfiltration"),
    "impact": ("TA0040", "Impact"),
}


def tactic(slug: str) -> Named:
    """The tactic that a rule's tag names (`initial-access`); without an id if there is none."""
    if slug not in _TACTICS:
        return Named("", slug, "")
    number, name = _TACTICS[slug]
    return Named(number, name, f"{_SITE}/tactics/{number}/")


def technique(found: Technique) -> Named:
    """A technique or sub-technique with its page, which only a well-formed id has."""
    well = _ID.fullmatch(found.id)
    return Named(found.id, found.name, f"{_SITE}/techniques/{_path(found.id)}/" if well else "")


def parent(found: Technique) -> Named | None:
    """The technique above a sub-technique; None for what is none."""
    above, dot, _ = found.id.partition(".")
    if not dot or not _ID.fullmatch(found.id):
        return None
    name = techniques().get(above, {}).get("name", "")
    return Named(above, name, f"{_SITE}/techniques/{above}/")


def _path(number: str) -> str:
    return number.replace(".", "/")
