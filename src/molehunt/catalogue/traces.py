"""What Windows remembers of programs that ran: a rule for each table over many tools, and rules of
its own for a tool that says `traces: true`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..ids import generated_id
from .categories import CATEGORIES
from .draft import Draft, file_part, osquery, shared, unshared, usable
from .entries import Key, Tool
from .matching import either, escaped, selection
from .writing import Noted

_OSQUERY = "https://github.com/osquery/osquery/blob/"
_WIDTH = 100
# Prefetch files keep the first 29 characters of a program's name.
_KEPT = 29


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, and what it says. `said` completes "Detects {tools} …"."""

    name: str
    title: str
    said: str
    min_version: str
    source: str
    blind_spots: tuple[str, ...]
    validate: str
    named: bool = False  # names of files only, no paths
    anybody: bool = False  # also what the system itself ran


_USERASSIST = _Table(
    name="userassist",
    title="Started From The Desktop",
    said="among the programs that a user started by hand from the Start menu, the desktop or "
    "Explorer, which Windows counts for each user (UserAssist)",
    min_version="4.3.0",
    source="0715e322901fe9edb02cd545a3d5d44c5979bea6/osquery/tables/system/windows/userassist.cpp",
    blind_spots=(
        "Programs started by a service, a task or a command line, and renamed files",
        "Users who are not logged on: their part of the registry is not loaded",
    ),
    validate="On a test host start {name} by a double click, close it, and look for this rule "
    "after the next hourly run",
)
_BAM = _Table(
    name="background_activities_moderator",
    title="Run By A User In The Last Week",
    said="among the programs that a user ran in the last days, which Windows keeps for each user "
    "(Background Activity Moderator)",
    min_version="4.5.0",
    source="0bbf639b5679699f0df3b2c99bce5eb30d3683c7/osquery/tables/system/windows/"
    "background_activities_moderator.cpp",
    blind_spots=(
        "Runs from network drives and removable disks, which Windows does not keep; renamed files",
        "What ran more than about a week before",
    ),
    validate="On a test host start {name}, close it, and look for this rule after the next "
    "hourly run",
    anybody=True,
)
_PREFETCH = _Table(
    name="prefetch",
    title="Found In Prefetch",
    said="among the programs that Windows prepared to start faster the next time, since they ran "
    "on this computer (Prefetch)",
    min_version="4.9.0",
    source="02fac87c1b6d26674ff7508fa477e5bcc9ac4cc6/osquery/tables/system/windows/prefetch.cpp",
    blind_spots=(
        "Servers, and computers whose Prefetch is switched off; renamed files",
        "Who ran it: Prefetch names no user",
    ),
    validate="On a test host start {name}, wait ten seconds, close it, and look for this rule "
    "after the next run of the query",
    named=True,
)
_SHIMCACHE = _Table(
    name="shimcache",
    title="Found In Shimcache",
    said="among the files that Windows looked at for compatibility, because they ran or because "
    "Explorer showed their folder (Shimcache)",
    min_version="4.5.0",
    source="1067dfe3f532f7b0d45c05e9535e3077cb95f0d6/osquery/tables/system/windows/shimcache.cpp",
    blind_spots=(
        "What came since the last start: Windows writes the list when it shuts down",
        "Whether the program ever ran; renamed files",
    ),
    validate="On a test host start {name}, restart Windows, and look for this rule after the next "
    "hourly run",
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Tools whose traces one rule for each table finds. `first` is in the examples."""

    subject: str
    slug: str
    categories: tuple[str, ...]
    tables: tuple[_Table, ...]
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
        """What no company rolls out, and what workers of the scheme are known to use."""
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
        tables=(_USERASSIST, _BAM, _PREFETCH, _SHIMCACHE),
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
        tables=(_BAM,),
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
        tables=(_PREFETCH,),
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
            detection = _detection([tool for tool in known if group.has(tool)], table)
            if detection:
                folder = CATEGORIES[group.categories[0]].folder
                slug = f"osquery_{table.name}_{group.slug}"
                yield f"{folder}/{slug}.yml", _rule(group, table, slug, detection)


def _rule(group: _Group, table: _Table, slug: str, detection: dict[str, Any]) -> dict[str, Any]:
    category = CATEGORIES[group.categories[0]]
    said = textwrap.wrap(f"Detects {group.noun} {table.said}.", _WIDTH)
    block: dict[str, Any] = {
        "subject": group.subject,
        "behaviours": list(
            dict.fromkeys(b for one in group.categories for b in CATEGORIES[one].behaviours)
        ),
        "identity": ["filename" if table.named else "path"],
        "platforms": ["windows"],
        "needs": {"tables": [table.name], "min_version": table.min_version},
        "blind_spots": list(table.blind_spots),
        "validate": [table.validate.format(name=group.first)],
        "next_steps": list(group.next_steps),
    }
    if category.context_only:
        block["context_only"] = True
    return {
        "title": f"{category.title} - {table.title}",
        "id": generated_id(group.subject, slug, "windows"),
        "status": "experimental",
        "description": "\n".join([*said, *textwrap.wrap(group.why, _WIDTH)]) + "\n",
        "references": [_OSQUERY + table.source, *group.references],
        "author": "molehunt contributors",
        "date": group.added,
        "tags": list(category.tags),
        "logsource": osquery(table.name),
        "detection": detection,
        "falsepositives": list(group.falsepositives),
        "level": group.level,
        "molehunt": block,
    }


def _detection(tools: Sequence[Tool], table: _Table) -> dict[str, Any]:
    """What decides, for the tools together; empty if they have nothing that the table knows."""
    certain = [
        usable(*(tool.of("windows", kind) for kind in ("processes", "downloads", "folders")))[0]
        for tool in tools
    ]
    names = [key for one in certain for key in _uncovered(unshared([*one[0], *one[1]]))]
    if table.named:
        found = _names(names)
        return {"selection": selection(found), "condition": "selection"} if found else {}
    found = either("path", names, "\\")
    folders = [key for one in certain for key in unshared(one[2])]
    if folders:
        found.append({"path|contains": [escaped(key.value) for key in folders]})
    for processes, downloads, places in certain:
        common = shared([*processes, *downloads])
        if common and shared(places):
            found.append(
                {
                    "path|contains": [escaped(key.value) for key in shared(places)],
                    "path|endswith": [escaped("\\" + key.value) for key in common],
                }
            )
    if not found:
        return {}
    detection: dict[str, Any] = {"selection": selection(_plain(found))}
    if folders:
        detection["filter_main_uninstaller"] = {"path|contains": "\\unins"}
    if table.anybody:
        detection["filter_main_system"] = Noted(
            {"sid": ["S-1-5-18", "S-1-5-19", "S-1-5-20"]},
            "services, of which other rules know more",
        )
    filters = [name for name in detection if name.startswith("filter_main_")]
    ends = " and not 1 of filter_main_*" if len(filters) > 1 else "".join(
        f" and not {name}" for name in filters
    )  # fmt: skip
    return {**detection, "condition": f"selection{ends}"}


def _uncovered(keys: Sequence[Key]) -> list[Key]:
    """Without names that the beginning of a name finds as well."""
    begun = tuple(key.value.lower() for key in keys if key.comparison == "starts")
    return [k for k in keys if k.comparison != "is" or not k.value.lower().startswith(begun)]


def _names(keys: Iterable[Key]) -> list[dict[str, Any]]:
    """By the name of the file alone, which may be cut."""
    whole: list[str] = []
    begun: list[str] = []
    for key in keys:
        if key.comparison == "is" and len(key.value) <= _KEPT:
            whole.append(escaped(key.value))
        elif key.comparison in ("is", "starts"):
            begun.append(escaped(key.value[:_KEPT]))
    found = [{"filename": whole}] if whole else []
    return [*found, {"filename|startswith": begun}] if begun else found


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


def _own(table: _Table) -> Callable[[Tool], Draft | None]:
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


userassist = _own(_USERASSIST)
background_activities_moderator = _own(_BAM)
prefetch = _own(_PREFETCH)
