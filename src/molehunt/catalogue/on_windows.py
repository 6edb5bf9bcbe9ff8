"""The log sources of Windows: a tool in, a draft out, or None if it has no key there."""

from __future__ import annotations

from typing import Any

from .draft import (
    VIEWER,
    Draft,
    file_part,
    filters,
    images,
    noted,
    osquery,
    shared,
    unshared,
    usable,
)
from .entries import Key, Tool
from .matching import either, selection

_BROWSERS = (
    "\\brave.exe",
    "\\chrome.exe",
    "\\firefox.exe",
    "\\iexplore.exe",
    "\\msedge.exe",
    "\\msedgewebview2.exe",
    "\\opera.exe",
    "\\vivaldi.exe",
)

_STARTS = "starts with the machine, with or without anybody at the keyboard"
_CONSOLE = (
    "answers to its console from the start of the machine, with or without anybody at the keyboard"
)
_WAITS = {
    "remote_desktop": "waits for connections from the start of the machine, with or without "
    "anybody at the keyboard",
    "rmm": _CONSOLE,
}


def services(tool: Tool) -> Draft | None:
    """The service that starts it."""
    names, files = tool.of("windows", "services"), tool.of("windows", "service_files")
    (own, paths, lines), weak = usable(unshared(names), files, tool.of("windows", "command_lines"))
    found = either("name", own) + [
        {"path|contains": [noted("\\" + key.value.removeprefix("\\"), key) for key in paths]}
        for _ in paths[:1]
    ]
    found += either("path", lines)
    if not found:
        return None
    return Draft(
        source="services",
        slug=f"osquery_services_{file_part(tool)}",
        system="windows",
        title="{name} Installed as Windows Service",
        detects=f"the Windows service of {{name}}, which {_WAITS.get(tool.category, _STARTS)}",
        logsource=osquery("services"),
        detection={
            "selection": selection(found),
            "filter_main_disabled": {"start_type": "DISABLED"},
            "condition": "selection and not filter_main_disabled",
        },
        keys=(*own, *paths, *lines),
        strength="running",
        tables=["services"],
        min_version="4.0.2",
        blind_spots=(
            "A portable copy without a service",
            "A service that was renamed together with its program",
        ),
        validate="On a test host install {name} with its standard installer and look for this rule",
        weak=weak,
    )


def process_windows(tool: Tool) -> Draft | None:
    """The process, by name and folder."""
    detection, keys, weak = images(tool, "windows")
    if not detection:
        return None
    if "selection_folder" in detection:
        detection["filter_main_uninstaller"] = {
            "Image|contains": "\\unins",
        }
    condition = "1 of selection_*" + filters(detection, "windows")
    return Draft(
        source="process_windows",
        slug=f"proc_creation_windows_{file_part(tool)}",
        system="windows",
        title="{name} Execution on Windows",
        detects="{name} running on Windows, installed or as a portable copy",
        logsource={"category": "process_creation", "product": "windows"},
        detection={**detection, "condition": condition},
        keys=keys,
        strength="running",
        tables=["process_etw_events", "processes"],
        min_version="4.0.2",
        blind_spots=(
            "A renamed program outside its folder"
            + (
                " (the rule on its signature still sees it)"
                if authenticode(tool) is not None
                else ""
            ),
            "With the polled processes table, a run shorter than the interval",
        ),
        validate="On a test host start {name} and look for this rule",
        weak=weak,
    )


def _by_original_name(detection: dict[str, Any]) -> bool:
    return not detection.keys().isdisjoint(("selection_original_name", "selection_product"))


def authenticode(tool: Tool) -> Draft | None:
    """The running file, by signature and original name: a renamed copy too."""
    signers, originals = tool.of("windows", "signers"), tool.of("windows", "original_names")
    (certain, names), weak = usable(signers, originals)
    detection: dict[str, Any] = {}
    used: list[Key] = []
    if unshared(certain):
        detection["selection_signer"] = selection(either("subject_name", unshared(certain)))
        used += unshared(certain)
    if unshared(names):
        detection["selection_original_name"] = selection(
            either("file.original_filename", unshared(names))
        )
        used += unshared(names)
    if shared(certain) and shared(names):
        detection["selection_product"] = {
            **either("subject_name", shared(certain))[0],
            **either("file.original_filename", shared(names))[0],
        }
        used += [*shared(certain), *shared(names)]
    if not detection:
        return None
    return Draft(
        source="authenticode",
        slug=f"osquery_authenticode_{file_part(tool)}",
        system="windows",
        title="{name} Running under Any Name on Windows",
        detects="a running Windows program that {name}'s maker signed or named, whatever the file "
        "is called now and wherever it lies"
        if unshared(names) or shared(names)
        else "a running Windows program with the signature of {name}'s maker, whatever the file is "
        "called and wherever it lies",
        logsource=osquery("authenticode"),
        detection={**detection, "condition": "1 of selection_*"},
        keys=tuple(used),
        strength="running",
        tables=["authenticode"],
        # file.original_filename came with 5.3.0.
        min_version="5.3.0" if _by_original_name(detection) else "4.0.2",
        blind_spots=(
            "A program that stopped before the hourly query",
            "A copy whose signature and version information were stripped",
            "A viewer or another product of the same maker looks the same",
        ),
        validate="On a test host copy a program of {name} to the desktop as notes.exe, start it, "
        "wait for the next run of the query, and look for this rule",
        falsepositives=VIEWER if tool.category == "remote_desktop" else (),
        weak=weak,
    )


def programs(tool: Tool) -> Draft | None:
    """The inventory of installers."""
    (names,), weak = usable(unshared(tool.of("windows", "programs")))
    if not names:
        return None
    return Draft(
        source="programs",
        slug=f"osquery_programs_{file_part(tool)}",
        system="windows",
        title="{name} Among Installed Windows Programs",
        detects="{name} in the list of installed Windows programs",
        logsource=osquery("programs"),
        detection={"selection": selection(either("name", names)), "condition": "selection"},
        keys=tuple(names),
        strength="present",
        tables=["programs"],
        min_version="4.0.2",
        blind_spots=("Portable copies and programs that hide their entry",),
        validate="On a test host install {name} and look for this rule after the next hourly run",
        weak=weak,
    )


def dns(tool: Tool) -> Draft | None:
    """Names of servers."""
    (names,), weak = usable(unshared(tool.of("windows", "domains")))
    if not names:
        return None
    return Draft(
        source="dns",
        slug=f"dns_query_windows_{file_part(tool)}",
        system="windows",
        title="{name} Server Looked Up by a Program on Windows",
        detects="a program other than a browser that looks up a server of {name}; the name of the "
        "program does not matter, so a renamed copy is found as well",
        logsource={"category": "dns_query", "product": "windows"},
        detection={
            "selection": selection(either("QueryName", names)),
            "selection_program": {
                # dns_cache names no program, and would show what a browser looked up
                "Image|contains": "\\"
            },
            "filter_main_browser": {"Image|endswith": list(_BROWSERS)},
            "condition": "all of selection* and not filter_main_browser",
        },
        keys=tuple(names),
        strength="present",
        tables=["dns_lookup_events"],
        min_version="5.17.0",
        flags=["--enable_dns_lookup_events=true"],
        blind_spots=(
            (
                "Servers of one's own, direct connections, and names resolved by the program "
                "itself over HTTPS"
            ),
        ),
        validate="On a test host start {name}, let it connect, and look for this rule",
        weak=weak,
    )
