"""What Windows remembers of tools, running or not: a rule for each table over many tools, and rules
of its own for a tool that says `traces: true`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..ids import generated_id
from .categories import CATEGORIES
from .draft import Draft, file_part, osquery, shared, unshared, usable
from .entries import Key, Tool
from .matching import either, escaped, selection
from .trace_tables import (
    AUTOEXEC,
    BAM,
    CERTIFICATES,
    CRASHES,
    DNS,
    FIREWALL,
    PREFETCH,
    SHIMCACHE,
    SHORTCUTS,
    USERASSIST,
    Table,
)
from .writing import Noted

_OSQUERY = "https://github.com/osquery/osquery/blob/"
_WIDTH = 100
# Prefetch files keep the first 29 characters of a program's name.
_KEPT = 29


@dataclass(frozen=True, slots=True)
class _Group:
    """Tools whose traces one rule for each table finds. `first` is in the examples."""

    subject: str
    slug: str
    categories: tuple[str, ...]
    tables: tuple[Table, ...]
    noun: str
    why: str
    level: str
    first: str
    references: tuple[str, ...]
    falsepositives: tuple[str, ...]
    next_steps: tuple[str, ...]
    added: date
    common: bool = False  # also what is not rare on honest laptops

    def has(self, tool: Tool) -> bool:
        """What hardly any company rolls out, and what workers of the scheme are known to use."""
        known = tool.benign == "medium" and (self.common or bool(tool.cases))
        return tool.category in self.categories and (tool.benign == "low" or known)


_SECOND = (
    "Look for a second remote tool, a VPN client, a KVM and foreign sign-ins of the same "
    "person: published cases combine them"
)
_WHEN = (
    "Read the table itself on the host for when and how often it ran: the time of the row is that "
    "of the query"
)

_GROUPS = (
    _Group(
        subject="remote-tool-trace",
        slug="remote_tool",
        categories=("remote_desktop", "rmm"),
        tables=(
            USERASSIST,
            BAM,
            PREFETCH,
            SHIMCACHE,
            FIREWALL,
            CRASHES,
            AUTOEXEC,
            SHORTCUTS,
            CERTIFICATES,
            DNS,
        ),
        noun="remote-desktop software that firms seldom roll out, or that workers of the scheme "
        "are known to use,",
        why="A portable copy needs no installer and leaves neither a service nor an entry among "
        "the programs; when it has ended and is deleted, this is what is left of it.",
        level="low",
        first="RustDesk",
        references=(
            "https://github.com/magicsword-io/LOLRMM/tree/3c75cf091b10bf7e8ecd576055c44d172b35ff21/yaml",
            "https://attack.mitre.org/techniques/T1219/002/",
        ),
        falsepositives=(
            (
                "A help desk whose users start the tool themselves when they need help (approve "
                "remote-tool-trace for those hosts)"
            ),
            "Whoever once helped family or friends from the laptop",
        ),
        next_steps=(
            (
                "Ask the help desk whether the tool is in use for this host, and for whom; if it "
                "is approved, approve this subject for the host"
            ),
            _WHEN,
            (
                "See whether it still runs, and for whom it waits: the rules on processes and "
                "services name it"
            ),
            _SECOND,
        ),
        added=date(2026, 11, 27),
    ),
    _Group(
        subject="bandwidth-sharing-trace",
        slug="bandwidth_sharing",
        categories=("bandwidth_sharing",),
        tables=(USERASSIST, BAM, PREFETCH, SHIMCACHE),
        noun="the client of a residential-proxy network",
        why="Such a client rents the line of this machine out, or rents lines of strangers, so "
        "that traffic appears to come from somebody's home. On a company laptop neither is "
        "expected; workers who hide their place buy such exits.",
        level="medium",
        first="922 Proxy",
        references=(
            "https://attack.mitre.org/techniques/T1496/002/",
            "https://attack.mitre.org/techniques/T1090/002/",
        ),
        falsepositives=(
            (
                "An employee who earns pocket money with the company's laptop: a matter for "
                "policy, not for this case (approve bandwidth-sharing-trace)"
            ),
        ),
        next_steps=(
            _WHEN,
            "Look whether the machine sells its line or buys others, and for how long",
            "Compare the place HR has with the addresses of the user's sign-ins",
            _SECOND,
        ),
        added=date(2026, 11, 27),
    ),
    _Group(
        subject="persona-tool-trace",
        slug="persona_tool",
        categories=("jiggler", "keep_awake", "virtual_camera", "voice_changer"),
        tables=(PREFETCH,),
        noun="a mouse jiggler, a keep-awake tool, a virtual camera or a voice changer",
        why="Each makes somebody seem to be there, or to be somebody else. Plenty of honest "
        "employees have one, so it never alerts alone; with a remote tool or a KVM it suits one "
        "operator who minds several laptops.",
        level="low",
        first="Mouse Jiggler",
        references=(
            "https://cloud.google.com/blog/topics/threat-intelligence/mitigating-dprk-it-worker-threat",
            "https://github.com/arkane-systems/mousejiggler",
        ),
        falsepositives=(
            "Employees who keep their status green during breaks, presentations or long downloads",
            "Video, training and marketing teams; games and streaming where private use is allowed",
            "People who need it because of a disability: treat it as protected use",
        ),
        next_steps=(
            "Nothing by itself; read it beside the finding that it raises",
            _WHEN,
        ),
        added=date(2026, 11, 27),
        common=True,
    ),
)


def trace_rules(tools: Iterable[Tool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path below the rules folder, and rule, of each group and table; none for a group that no tool
    is in."""
    known = sorted(tools, key=lambda tool: tool.id)
    for group in _GROUPS:
        for table in group.tables:
            members = [tool for tool in known if group.has(tool)]
            if table.rare:
                members = [tool for tool in members if tool.benign == "low"]
            detection = _detection(members, table)
            if detection:
                folder = CATEGORIES[group.categories[0]].folder
                slug = f"{table.slug or f'osquery_{table.name}'}_{group.slug}"
                yield f"{folder}/{slug}.yml", _rule(group, table, slug, detection)


def _rule(group: _Group, table: Table, slug: str, detection: dict[str, Any]) -> dict[str, Any]:
    category = CATEGORIES[group.categories[0]]
    said = textwrap.wrap(f"Detects {group.noun} {table.said}.", _WIDTH)
    why = textwrap.wrap(table.why or group.why, _WIDTH)
    steps = [table.look if table.look and step == _WHEN else step for step in group.next_steps]
    block: dict[str, Any] = {
        "subject": group.subject,
        "behaviours": list(
            dict.fromkeys(b for one in group.categories for b in CATEGORIES[one].behaviours)
        ),
        "identity": [] if table.logsource else [table.field],
        "platforms": ["windows"],
        "needs": {
            "tables": list(table.tables or (table.name,)),
            "min_version": table.min_version,
        },
        "blind_spots": list(table.blind_spots),
        "validate": [table.validate.format(name=group.first)],
        "next_steps": steps,
    }
    if category.context_only:
        block["context_only"] = True
    return {
        "title": f"{category.title} - {table.title}",
        "id": generated_id(group.subject, slug, "windows"),
        "status": "experimental",
        "description": "\n".join([*said, *why]) + "\n",
        "references": [_OSQUERY + table.source, *group.references],
        "author": "molehunt contributors",
        "date": group.added,
        "tags": list(category.tags),
        "logsource": dict(table.logsource) or osquery(table.name),
        "detection": detection,
        "falsepositives": [*group.falsepositives, *table.falsepositives],
        "level": group.level,
        "molehunt": block,
    }


def _detection(tools: Sequence[Tool], table: Table) -> dict[str, Any]:
    """What decides, for the tools together; empty if they have nothing that the table knows."""
    found, folders = KINDS[table.kind](tools, table.field)
    if not found:
        return {}
    detection: dict[str, Any] = {"selection": selection(_plain(found))}
    if folders:
        detection["filter_main_uninstaller"] = {f"{table.field}|contains": "\\unins"}
    if table.anybody:
        detection["filter_main_system"] = Noted(
            {"sid": ["S-1-5-18", "S-1-5-19", "S-1-5-20"]},
            "services, of which other rules know more",
        )
    detection.update({f"filter_main_{name}": what for name, what in table.unless})
    filters = [name for name in detection if name.startswith("filter_main_")]
    ends = " and not 1 of filter_main_*" if len(filters) > 1 else "".join(
        f" and not {name}" for name in filters
    )  # fmt: skip
    return {**detection, "condition": f"selection{ends}"}


_Found = tuple[list[dict[str, Any]], bool]


def _files(tools: Sequence[Tool], field: str) -> _Found:
    """By names and folders of its files, and whether folders are among them."""
    certain = _certain(tools)
    names = [key for one in certain for key in _uncovered(unshared([*one[0], *one[1]]))]
    found = either(field, names, "\\")
    folders = [key for one in certain for key in unshared(one[2])]
    if folders:
        found.append({f"{field}|contains": [escaped(key.value) for key in folders]})
    for processes, downloads, places in certain:
        common = shared([*processes, *downloads])
        if common and shared(places):
            found.append(
                {
                    f"{field}|contains": [escaped(key.value) for key in shared(places)],
                    f"{field}|endswith": [escaped("\\" + key.value) for key in common],
                }
            )
    return found, bool(folders)


def _started(tools: Sequence[Tool], field: str) -> _Found:
    """By its files, or by the names of its services."""
    found, folders = _files(tools, field)
    keys = [usable(unshared(tool.of("windows", "services")))[0][0] for tool in tools]
    return [*found, *either("name", [key for one in keys for key in one])], folders


def _of_prefetch(tools: Sequence[Tool], field: str) -> _Found:
    """By names of its files alone, which may be cut."""
    keys = (k for one in _certain(tools) for k in _uncovered(unshared([*one[0], *one[1]])))
    return _names(keys, field), False


def _signers(tools: Sequence[Tool], field: str) -> _Found:
    """By the names in the certificates of its makers."""
    keys = [usable(tool.of("windows", "signers"))[0][0] for tool in tools]
    return either(field, [key for one in keys for key in unshared(one)]), False


def _domains(tools: Sequence[Tool], field: str) -> _Found:
    """By names of its servers."""
    keys = [usable(unshared(tool.of("windows", "domains")))[0][0] for tool in tools]
    return either(field, [key for one in keys for key in one]), False


KINDS: Mapping[str, Callable[[Sequence[Tool], str], _Found]] = {
    "files": _files,
    "started": _started,
    "names": _of_prefetch,
    "signers": _signers,
    "domains": _domains,
}


def _certain(tools: Sequence[Tool]) -> list[list[list[Key]]]:
    """Names of programs, of downloads and of folders, for each tool."""
    kinds = ("processes", "downloads", "folders")
    return [usable(*(tool.of("windows", kind) for kind in kinds))[0] for tool in tools]


def _uncovered(keys: Sequence[Key]) -> list[Key]:
    """Without names that the beginning of a name finds as well."""
    begun = tuple(key.value.lower() for key in keys if key.comparison == "starts")
    return [k for k in keys if k.comparison != "is" or not k.value.lower().startswith(begun)]


def _names(keys: Iterable[Key], field: str) -> list[dict[str, Any]]:
    """By the name of the file alone, which may be cut."""
    whole: list[str] = []
    begun: list[str] = []
    for key in keys:
        if key.comparison == "is" and len(key.value) <= _KEPT:
            whole.append(escaped(key.value))
        elif key.comparison in ("is", "starts"):
            begun.append(escaped(key.value[:_KEPT]))
    found = [{field: whole}] if whole else []
    return [*found, {f"{field}|startswith": begun}] if begun else found


def _plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the catalogue's notes, which explain one tool each; the same comparison together."""
    together: dict[str, list[Any]] = {}
    result = []
    for one in found:
        if len(one) > 1:
            result.append(one)
            continue
        for field, values in one.items():
            bare = [value.value if isinstance(value, Noted) else value for value in values]
            together.setdefault(field, []).extend(bare)
    return [*({field: values} for field, values in together.items()), *result]


def _own(table: Table) -> Callable[[Tool], Draft | None]:
    """The rule on a table of a tool that has rules of its own."""

    def make(tool: Tool) -> Draft | None:
        detection = _detection([tool], table) if tool.traces else {}
        if not detection:
            return None
        keys = [k for kind in ("processes", "downloads") for k in tool.of("windows", kind)]
        return Draft(
            source=table.name,
            slug=f"osquery_{table.name}_{file_part(tool)}",
            system="windows",
            title=f"{{name}} {table.title}",
            detects=f"{{name}} {table.said}; it tells that {{name}} ran even when it has been "
            "removed since",
            logsource=osquery(table.name),
            detection=detection,
            keys=tuple(keys),
            strength="present",
            tables=[table.name],
            min_version=table.min_version,
            blind_spots=table.blind_spots,
            validate=table.validate,
        )

    return make


userassist = _own(USERASSIST)
background_activities_moderator = _own(BAM)
prefetch = _own(PREFETCH)
