"""All rules of a tool: by log source, and the command lines that set it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import on_linux, on_macos, on_windows, traces
from .draft import READERS, Draft
from .entries import SetUp, Tool
from .matching import escaped, selection
from .writing import Noted


def drafts(tool: Tool) -> list[Draft]:
    """All that is to be made of a tool, in a fixed order; what is written by hand is left out."""
    made = [make(tool) for make in _SOURCES]
    found = [draft for draft in made if draft is not None and draft.source not in tool.by_hand]
    for system, entries in tool.set_up.items():
        found += [_set_up(system, entry) for entry in entries]
    return found


# Microsoft Configuration Manager and Intune, as they start installers and scripts.
_MANAGEMENT = (
    "\\Windows\\CCM\\CcmExec.exe",
    "\\Microsoft Intune Management Extension\\AgentExecutor.exe",
    "\\Microsoft Intune Management Extension\\Microsoft.Management.Services.IntuneWindowsAgent.exe",
)


def _set_up(system: str, entry: SetUp) -> Draft:
    slash = "\\" if system == "windows" else "/"
    behind = "" if system == "windows" else " "
    named = [escaped(name) for name in entry.program]
    # On Windows a name without its ending is the beginning of one, of an installer with a version.
    begun = [n for n in entry.program if system == "windows" and not n.lower().endswith(".exe")]
    whole = [name for name in entry.program if name not in begun]
    by_image: dict[str, list[str]] = {
        "Image|endswith": [escaped(slash + name) for name in whole],
        "Image|contains": [escaped(slash + name) for name in begun],
    }
    detection: dict[str, Any] = {}
    if named:
        detection["selection_tool"] = [
            *({field: values} for field, values in by_image.items() if values),
            {
                "CommandLine|contains": Noted(
                    [name + behind for name in named], "the shell that runs it"
                )
            },
        ]
    if entry.any_of:
        detection["selection_set_up"] = {"CommandLine|contains": [escaped(t) for t in entry.any_of]}
    if entry.all_of:
        detection["selection_with"] = {
            "CommandLine|contains|all": [escaped(t) for t in entry.all_of]
        }
    if entry.matching:
        detection["selection_matching"] = {"CommandLine|re|i": list(entry.matching)}
    together = "all of selection_*"
    if telling := _telling(entry):
        parts = list(detection)
        if parts:
            joined = " and ".join(parts)
            together = f"({f'({joined})' if len(parts) > 1 else joined} or selection_telling)"
        else:
            together = "selection_telling"
        detection["selection_telling"] = Noted(telling, "whatever the program is called")
    # The program itself is no reader: VS Code's command line is a code.exe as its editor is.
    programs = {(slash + name).lower() for name in entry.program}
    readers = [name for name in READERS[system] if name.lower() not in programs]
    detection["filter_main_reader"] = Noted(
        {"Image|endswith": readers}, "somebody looks these words up"
    )
    if system == "windows" and entry.level == "high":
        detection["filter_main_roll_out"] = Noted(
            {"ParentImage|endswith": [escaped(text) for text in _MANAGEMENT]},
            "the company's own software distribution, which its user cannot command",
        )
    if entry.unless:
        detection["filter_main_other_use"] = {
            "CommandLine|contains": [escaped(t) for t in entry.unless]
        }
    filters = [name for name in detection if name.startswith("filter_main_")]
    detection["condition"] = f"{together} and not " + (
        "1 of filter_main_*" if len(filters) > 1 else filters[0]
    )
    tables = {
        "windows": ["process_etw_events", "processes"],
        "macos": ["es_process_events", "processes"],
        "linux": ["process_events", "processes"],
    }
    return Draft(
        source=f"set_up_{system}",
        slug=f"proc_creation_{system}_{entry.slug}",
        system=system,
        title=entry.title,
        detects=entry.detects,
        logsource={"category": "process_creation", "product": system},
        detection=detection,
        keys=(),
        strength="running",
        tables=tables[system],
        min_version="4.0.2",
        blind_spots=(
            "The same settings made in a window or written into a configuration file",
            "With the polled processes table, a command that ends before it is seen",
        ),
        validate=entry.validate
        or "On a test host run the command with made-up values and look for this rule",
        set_up=entry,
    )


def _telling(entry: SetUp) -> Any:
    """What says it all without the name of the program: a mapping, or a list that means OR."""
    found: list[dict[str, Any]] = [
        {"CommandLine|contains" + ("|all" if len(texts) > 1 else ""): [escaped(t) for t in texts]}
        for texts in entry.telling
    ]
    if entry.telling_matching:
        found.append({"CommandLine|re|i": list(entry.telling_matching)})
    return selection(found) if found else None


_SOURCES: tuple[Callable[[Tool], Draft | None], ...] = (
    on_windows.services,
    on_windows.process_windows,
    on_windows.authenticode,
    on_windows.programs,
    on_windows.dns,
    traces.userassist,
    traces.background_activities_moderator,
    traces.prefetch,
    on_macos.launchd,
    on_macos.es_process_events,
    on_macos.signature,
    on_macos.apps,
    on_macos.system_extensions,
    on_linux.systemd_units,
    on_linux.deb_packages,
    on_linux.rpm_packages,
    on_linux.process_linux,
)
