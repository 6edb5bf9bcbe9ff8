"""Reads an organisation's file (docs/findings.md describes it).

What is sound in it is kept; every problem is told with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType

import yaml
from yaml.reader import ReaderError

from molehunt.problems import Problem, Severity

from .organisation import EVERY_HOST, Approval, Organisation, Shadow, Site, hardware_address

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def load_organisation(
    path: str | Path, today: date | None = None
) -> tuple[Organisation, list[Problem]]:
    """Read an organisation's file: what is sound in it, and every problem with its line.

    An entry with an error is left out, so that an error never approves anything. `today` (in UTC)
    decides only which approvals are reported as ended. A file that cannot be read is a problem too.
    """
    file = _File(str(path), datetime.now(UTC).date() if today is None else today)
    root = _composed(Path(path), file)
    if root is None:
        return Organisation(file.path), file.problems
    top = file.mapping(root, "the file", ("groups", "approved", "sites", "shadow"))
    top = {name: node for name, node in top.items() if not _is_null(node)}
    groups = _groups(top["groups"], file) if "groups" in top else {}
    approvals = _approvals(top["approved"], groups, file) if "approved" in top else ()
    sites = _sites(top["sites"], file) if "sites" in top else ()
    shadows = _shadows(top["shadow"], file) if "shadow" in top else ()
    problems = sorted(file.problems, key=lambda problem: problem.line or 0)
    return Organisation(file.path, MappingProxyType(groups), approvals, sites, shadows), problems


@dataclass(slots=True)
class _File:
    """The file being read. Its methods note a problem where a node is not what it should be."""

    path: str
    today: date
    problems: list[Problem] = field(default_factory=list)

    def error(self, node: yaml.Node | None, what: str, hint: str = "") -> None:
        self.problems.append(Problem(what, self.path, _line(node), hint=hint))

    def mapping(self, node: yaml.Node, name: str, keys: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The values of a mapping by key; with `keys`, no others."""
        if not isinstance(node, yaml.MappingNode):
            self.error(node, f"{name} must be a mapping", _one_of(keys))
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            text = key.value if isinstance(key, yaml.ScalarNode) else None
            if text is None or (keys and text not in keys):
                shown = "key that is no text" if text is None else f"unknown key {text!r}"
                self.error(key, f"{shown}, in {name}", _one_of(keys))
            elif text in found:
                self.error(key, f"key {text!r} stands twice in {name}", "keep one of the two")
            else:
                found[text] = value
        return found

    def text(self, node: yaml.Node, name: str) -> str | None:
        """A scalar as it is written, without regard to YAML's types; never empty."""
        if not isinstance(node, yaml.ScalarNode) or _is_null(node) or not node.value:
            self.error(node, f"{name} must be a text that is not empty")
            return None
        return str(node.value)

    def texts(self, node: yaml.Node, name: str, alone: bool) -> tuple[str, ...]:
        """A list of texts or, with `alone`, a single one."""
        if alone and isinstance(node, yaml.ScalarNode):
            items = [node]
        elif isinstance(node, yaml.SequenceNode) and node.value:
            items = node.value
        else:
            self.error(node, f"{name} must be a list of texts")
            return ()
        found = (self.text(item, name) for item in items)
        return tuple(text for text in found if text is not None)

    def day(self, node: yaml.Node, name: str) -> date | None:
        text = self.text(node, name)
        if text is None:
            return None
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.error(node, f"{name} must be a day, not {text!r}", "write it as 2027-01-31")
        return None


def _composed(path: Path, file: _File) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        file.error(None, f"cannot be read: {error.strerror or error}", "check the path")
    except UnicodeDecodeError as error:
        file.error(None, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")
    else:
        try:
            # Not the C loader: before PyYAML 6.0.4 deep nesting makes it crash the process.
            return yaml.compose(text, yaml.SafeLoader)
        except RecursionError:
            file.error(None, "is not valid YAML: nested too deeply")
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            file.problems.append(Problem(f"is not valid YAML: {error.problem}", file.path, line))
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            file.problems.append(Problem(f"is not valid YAML: {error.reason}", file.path, line))
    return None


def _groups(node: yaml.Node, file: _File) -> dict[str, tuple[str, ...]]:
    groups = {}
    for name, body in file.mapping(node, "groups", ()).items():
        if name == EVERY_HOST:
            file.error(body, "a group cannot be called '*', which stands for every host")
            continue
        keys = file.mapping(body, f"group {name!r}", ("hosts",))
        hosts: tuple[str, ...] = ()
        if "hosts" in keys:
            hosts = file.texts(keys["hosts"], f"hosts of group {name!r}", alone=False)
        elif isinstance(body, yaml.MappingNode):
            file.error(body, f"group {name!r} has no hosts", "list host names or patterns")
        groups[name] = tuple(host.casefold() for host in hosts)
    return groups


def _approvals(
    node: yaml.Node, groups: Mapping[str, tuple[str, ...]], file: _File
) -> tuple[Approval, ...]:
    if not isinstance(node, yaml.SequenceNode):
        file.error(node, "approved must be a list of approvals")
        return ()
    found = (_approval(item, groups, file) for item in node.value)
    return tuple(approval for approval in found if approval is not None)


def _sites(node: yaml.Node, file: _File) -> tuple[Site, ...]:
    found = []
    for name, body in file.mapping(node, "sites", ()).items():
        before, what = len(file.problems), f"site {name!r}"
        keys = file.mapping(body, what, ("routers", "addresses", "owner"))
        owner = file.text(keys["owner"], f"owner of {what}") if "owner" in keys else None
        if isinstance(body, yaml.MappingNode):
            if "owner" not in keys:
                file.error(body, f"{what} without owner", "name who answers for it")
            if not {"routers", "addresses"} & keys.keys():
                file.error(body, f"{what} has no mark", "give routers or addresses")
        marks = [
            _mark(text, keys["routers"], file)
            for text in (file.texts(keys["routers"], what, alone=True) if "routers" in keys else ())
        ]
        networks = [
            _network(text, keys["addresses"], file)
            for text in (
                file.texts(keys["addresses"], what, alone=True) if "addresses" in keys else ()
            )
        ]
        if len(file.problems) == before and owner:
            kept = tuple(one for one in networks if one is not None)
            found.append(Site(name, owner, frozenset(marks), kept))
    return tuple(found)


def _mark(text: str, node: yaml.Node, file: _File) -> str:
    found = hardware_address(text)
    if not found:
        hint = "write it as 00:1b:21:00:00:01, in quotation marks"
        file.error(node, f"{text!r} is no hardware address of a router", hint)
    return found


def _network(text: str, node: yaml.Node, file: _File) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError as error:
        file.error(node, f"no address or network: {error}", "write it as 192.0.2.0/24")
        return None


_REQUIRED = ("what", "for", "owner", "reason", "until")


def _approval(
    node: yaml.Node, groups: Mapping[str, tuple[str, ...]], file: _File
) -> Approval | None:
    before = len(file.problems)
    keys = file.mapping(node, "an approval", (*_REQUIRED, "from"))
    missing = [name for name in _REQUIRED if name not in keys]
    if missing and isinstance(node, yaml.MappingNode):
        file.error(node, f"approval without {', '.join(missing)}", "add what is missing")
    what = file.texts(keys["what"], "what", alone=True) if "what" in keys else ()
    group, owner, reason = (
        file.text(keys[name], name) if name in keys else None for name in ("for", "owner", "reason")
    )
    start, end = (
        file.day(keys[name], name) if name in keys else None for name in ("from", "until")
    )
    if group is not None and group != EVERY_HOST and group not in groups:
        file.error(keys["for"], f"unknown group {group!r}", "define it under groups, or write '*'")
    if start is not None and end is not None and start >= end:
        file.error(keys["until"], f"until ({end}) must lie after from ({start})")
    if len(file.problems) > before or not (group and owner and reason and end):
        return None
    if end <= file.today:
        file.problems.append(_ended(what, group, end, keys["until"], file))
    hosts = groups.get(group, ())
    names = frozenset(name.casefold() for name in what)
    return Approval(names, group, hosts, owner, reason, start, end, node.start_mark.line + 1)


def _shadows(node: yaml.Node, file: _File) -> tuple[Shadow, ...]:
    if not isinstance(node, yaml.SequenceNode):
        file.error(node, "shadow must be a list")
        return ()
    found = (_shadow(item, file) for item in node.value)
    return tuple(shadow for shadow in found if shadow is not None)


_SHADOW_KEYS = ("what", "owner", "reason", "until")


def _shadow(node: yaml.Node, file: _File) -> Shadow | None:
    before = len(file.problems)
    keys = file.mapping(node, "a shadow", (*_SHADOW_KEYS, "from"))
    missing = [name for name in _SHADOW_KEYS if name not in keys]
    if missing and isinstance(node, yaml.MappingNode):
        file.error(node, f"shadow without {', '.join(missing)}", "add what is missing")
    what = file.texts(keys["what"], "what", alone=True) if "what" in keys else ()
    owner, reason = (
        file.text(keys[name], name) if name in keys else None for name in ("owner", "reason")
    )
    start, end = (
        file.day(keys[name], name) if name in keys else None for name in ("from", "until")
    )
    if start is not None and end is not None and start >= end:
        file.error(keys["until"], f"until ({end}) must lie after from ({start})")
    if len(file.problems) > before or not (owner and reason and end):
        return None
    if end <= file.today:
        what_ended = f"shadow of {', '.join(what)} ended on {end}; its findings are shown again"
        hint = "renew it with its owner, or remove it"
        file.problems.append(
            Problem(what_ended, file.path, _line(keys["until"]), None, hint, Severity.WARNING)
        )
    names = frozenset(name.casefold() for name in what)
    return Shadow(names, owner, reason, start, end, node.start_mark.line + 1)


def _ended(what: tuple[str, ...], group: str, end: date, node: yaml.Node, file: _File) -> Problem:
    return Problem(
        f"approval of {', '.join(what)} for {group} ended on {end}; only older events are covered",
        file.path,
        _line(node),
        hint="renew it with its owner, or remove it",
        severity=Severity.WARNING,
    )


def _is_null(node: yaml.Node) -> bool:
    """Whether nothing is written there, as after a key whose entries are all commented out."""
    return bool(node.tag == "tag:yaml.org,2002:null")


def _line(node: yaml.Node | None) -> int | None:
    return None if node is None else node.start_mark.line + 1


def _one_of(keys: tuple[str, ...]) -> str:
    return f"possible keys: {', '.join(keys)}" if keys else ""
