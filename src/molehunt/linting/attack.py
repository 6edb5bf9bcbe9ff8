"""ATT&CK tags against the pinned Enterprise v18.1: MH420 to MH424."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..data import techniques
from .model import Finding
from .subject import Subject

VERSION = "18.1"
TACTICS = frozenset(
    "reconnaissance resource-development initial-access execution persistence privilege-escalation "
    "defense-evasion credential-access discovery lateral-movement collection command-and-control "
    "exfiltration impact".split()
)
# v19 of 2026 splits defense-evasion in two.
TACTICS_19 = {"stealth": "defense-evasion", "defense-impairment": "defense-evasion"}
# The seventeen techniques that v19 revoked, each with what took its place; v19 revoked and
# deprecated no others (https://attack.mitre.org/resources/updates/updates-april-2026/, Techniques,
# Enterprise, Revocations). The notes have names; the ids are those of the techniques' pages.
REVOKED_19 = {
    "T1070.001": "T1685.005",
    "T1070.002": "T1685.006",
    "T1562": "T1685",
    "T1562.001": "T1685",
    "T1562.002": "T1685.001",
    "T1562.003": "T1690",
    "T1562.004": "T1686",
    "T1562.006": "T1685",
    "T1562.007": "T1686.001",
    "T1562.008": "T1685.002",
    "T1562.009": "T1688",
    "T1562.010": "T1689",
    "T1562.011": "T1685.003",
    "T1562.012": "T1685.004",
    "T1562.013": "T1686.002",
    "T1656": "T1684.001",
    "T1672": "T1684.002",
}
# Ids of v19 and what they were in v18.1. Of three that became T1685 the one that kept its name is
# told; T1686.003 (Windows Host Firewall) was part of T1562.004.
CROSSWALK_19 = {
    new: old for old, new in REVOKED_19.items() if old not in ("T1562", "T1562.006")
} | {"T1686.003": "T1562.004"}
# What v19 added below a technique of v18.1 (the same notes, New Techniques). Its other new ones are
# known by their numbers.
NEW_19 = frozenset(("T1027.018",))


def check(subject: Subject) -> Iterator[Finding]:
    """Every tag of the `attack` namespace."""
    tags = subject.data.get("tags")
    if not isinstance(tags, list):
        return
    tactics: set[str] = set()
    named: list[tuple[int, str, Mapping[str, Any]]] = []
    for index, tag in enumerate(tags):
        text = str(tag)
        node = subject.node_at("tags", index)
        if text != text.lower():
            yield subject.finding("MH424", node, "tags are written in lower case")
            text = text.lower()
        if not text.startswith("attack."):
            continue
        name = text.removeprefix("attack.")
        if name[:1] == "t" and name[1:2].isdigit():
            entry = techniques().get(name.upper())
            if entry is None:
                yield _unknown(subject, node, name.upper())
            else:
                named.append((index, name.upper(), entry))
                yield from _old(subject, node, name.upper(), entry)
        elif name[:1] in "gsc" and name[1:5].isdigit():
            continue
        else:
            tactics.add(TACTICS_19.get(name, name))
            if name not in TACTICS and name not in TACTICS_19:
                dashed = name.replace("_", "-")
                hint = f"write attack.{dashed}" if dashed in TACTICS else ""
                message = f"ATT&CK has no tactic '{name}'"
                yield subject.finding("MH422", node, message, hint)
    for index, name, entry in named:
        if not tactics.intersection(entry.get("tactics", ())) and not entry.get("revoked"):
            wanted = " or ".join(f"attack.{one}" for one in sorted(entry.get("tactics", ())))
            message = f"{name} ({entry['name']}) without its tactic"
            yield subject.finding("MH423", subject.node_at("tags", index), message, f"add {wanted}")


def _unknown(subject: Subject, node: Any, name: str) -> Finding:
    if name in CROSSWALK_19:
        message = f"{name} is of ATT&CK 19; in {VERSION} it is {CROSSWALK_19[name]}"
        return subject.finding("MH421", node, message)
    if name in NEW_19 or (name[1:5].isdigit() and int(name[1:5]) > _newest()):
        message = f"{name} is newer than ATT&CK {VERSION}, which is what is known here"
        return subject.finding("MH421", node, message)
    return subject.finding("MH420", node, f"ATT&CK {VERSION} has no technique {name}")


@cache
def _newest() -> int:
    return max(int(one[1:5]) for one in techniques())


def _old(subject: Subject, node: Any, name: str, entry: Mapping[str, Any]) -> Iterator[Finding]:
    for state in ("revoked", "deprecated"):
        if entry.get(state):
            message = f"{name} ({entry['name']}) is {state} in ATT&CK {VERSION}"
            yield subject.finding("MH420", node, message)
