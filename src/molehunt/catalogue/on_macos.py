"""The log sources of macOS: a tool in, a draft out, or None if it has no key there."""

from __future__ import annotations

from typing import Any

from .draft import VIEWER, Draft, file_part, osquery, shared, unshared, usable
from .entries import Key, Tool
from .matching import either, selection


def launchd(tool: Tool) -> Draft | None:
    """The launch item that starts it."""
    (labels, paths), weak = usable(
        unshared(tool.of("macos", "launchd")), tool.of("macos", "launch_programs")
    )
    if not labels and not paths:
        return None
    found = either("label", labels)
    for field in ("program", "program_arguments"):
        found += either(field, paths)
    return Draft(
        source="launchd",
        slug=f"osquery_launchd_{file_part(tool)}",
        system="macos",
        title="{name} Installed as macOS Launch Item",
        detects="the launch item of {name}, which starts with the Mac or with each login, with or "
        "without anybody at the keyboard",
        logsource=osquery("launchd"),
        detection={"selection": selection(found), "condition": "selection"},
        keys=(*labels, *paths),
        strength="running",
        tables=["launchd"],
        min_version="4.0.2",
        blind_spots=(
            "A copy that is started by hand, or as a login item without a property list",
            "A property list with another label"
            + (" for a program in another place" if paths else ""),
        ),
        validate="On a test Mac install {name} with its standard installer and look for this rule",
        weak=weak,
    )


def _signed(tool: Tool, team: str, identifier: str) -> tuple[dict[str, Any], list[Key], bool]:
    """Selections on the columns with the team and the identifier of a code signature."""
    (teams, ids), weak = usable(tool.of("macos", "team_ids"), tool.of("macos", "signing_ids"))
    detection: dict[str, Any] = {}
    used: list[Key] = []
    if unshared(teams):
        detection["selection_team"] = selection(either(team, unshared(teams)))
        used += unshared(teams)
    if unshared(ids):
        detection["selection_signing_id"] = selection(either(identifier, unshared(ids)))
        used += unshared(ids)
    if shared(teams) and shared(ids):
        parts = either(identifier, shared(ids))
        maker = either(team, shared(teams))[0]
        detection["selection_product"] = selection([{**maker, **part} for part in parts])
        used += [*shared(teams), *shared(ids)]
    return detection, used, weak


def es_process_events(tool: Tool) -> Draft | None:
    """The process, by code signature: a renamed copy too."""
    detection, used, weak = _signed(tool, "team_id", "signing_id")
    if not detection:
        return None
    return Draft(
        source="es_process_events",
        slug=f"osquery_es_process_events_{file_part(tool)}",
        system="macos",
        title="{name} Started under Any Name on macOS",
        detects="the start of a macOS program with the code signature of {name}'s maker, whatever "
        "its bundle is called and from wherever it runs",
        logsource=osquery("es_process_events"),
        detection={**detection, "condition": "1 of selection_*"},
        keys=tuple(used),
        strength="running",
        tables=["es_process_events"],
        min_version="4.9.0",
        flags=["--disable_endpointsecurity=false"],
        blind_spots=(
            "Macs on which osqueryd has no Full Disk Access: the table stays empty",
            "A copy that was signed anew",
        ),
        validate="On a test Mac copy the bundle of {name} under another name, start it, and look "
        "for this rule",
        falsepositives=VIEWER if tool.category == "remote_desktop" else (),
        weak=weak,
    )


def signature(tool: Tool) -> Draft | None:
    """The running file, by code signature, where Endpoint Security is not to be had."""
    detection, used, weak = _signed(tool, "team_identifier", "identifier")
    if not detection:
        return None
    return Draft(
        source="signature",
        slug=f"osquery_signature_{file_part(tool)}",
        system="macos",
        title="{name} Running under Any Name on macOS",
        detects="a running macOS program with the code signature of {name}'s maker, whatever its "
        "bundle is called and from wherever it runs",
        logsource=osquery("signature"),
        detection={**detection, "condition": "1 of selection_*"},
        keys=tuple(used),
        strength="running",
        tables=["signature"],
        min_version="4.0.2",
        blind_spots=(
            "A program that stopped before the hourly query",
            "A copy that was signed anew",
        ),
        validate="On a test Mac copy the bundle of {name} under another name, start it, wait for "
        "the next run of the query, and look for this rule",
        falsepositives=VIEWER if tool.category == "remote_desktop" else (),
        weak=weak,
    )


def apps(tool: Tool) -> Draft | None:
    """The inventory."""
    (bundles,), weak = usable(unshared(tool.of("macos", "bundle_ids")))
    if not bundles:
        return None
    return Draft(
        source="apps",
        slug=f"osquery_apps_{file_part(tool)}",
        system="macos",
        title="{name} Among Installed macOS Applications",
        detects="{name} among the applications of a Mac, by the identifier of its bundle",
        logsource=osquery("apps"),
        detection={
            "selection": selection(either("bundle_identifier", bundles)),
            "condition": "selection",
        },
        keys=tuple(bundles),
        strength="present",
        tables=["apps"],
        min_version="4.0.2",
        blind_spots=("Bundles in folders that osquery does not search, such as a disk image",),
        validate="On a test Mac copy {name} to /Applications and look for this rule after the next "
        "hourly run",
        weak=weak,
    )


def system_extensions(tool: Tool) -> Draft | None:
    """The system extension that it brings."""
    (names,), weak = usable(unshared(tool.of("macos", "system_extensions")))
    if not names:
        return None
    return Draft(
        source="system_extensions",
        slug=f"osquery_system_extensions_{file_part(tool)}",
        system="macos",
        title="{name} System Extension on macOS",
        detects="the system extension of {name}, which macOS loads once somebody has allowed it",
        logsource=osquery("system_extensions"),
        detection={
            "selection": selection(either("identifier", names)),
            "filter_main_removed": {"state|startswith": "terminated"},
            "condition": "selection and not filter_main_removed",
        },
        keys=tuple(names),
        strength="running",
        tables=["system_extensions"],
        min_version="4.7.0",
        blind_spots=("Versions that bring their part as an app extension instead",),
        validate="On a test Mac install {name}, allow its extension, and look for this rule",
        weak=weak,
    )
