"""The log sources of Linux: a tool in, a draft out, or None if it has no key there."""

from __future__ import annotations

from typing import Any

from .draft import Draft, file_part, filters, images, osquery, unshared, usable
from .entries import Tool
from .matching import either, selection
from .writing import Noted


def systemd_units(tool: Tool) -> Draft | None:
    """The unit that starts it."""
    (units,), weak = usable(unshared(tool.of("linux", "units")))
    if not units:
        return None
    return Draft(
        source="systemd_units",
        slug=f"osquery_systemd_units_{file_part(tool)}",
        system="linux",
        title="{name} Installed as Systemd Unit",
        detects="the systemd unit of {name}, which can run from the start of the machine, with or "
        "without anybody at the keyboard",
        logsource=osquery("systemd_units"),
        detection={
            "selection": selection(either("id", units)),
            "filter_main_absent": {
                # another unit merely names it
                "load_state": ["masked", "not-found"]
            },
            "condition": "selection and not filter_main_absent",
        },
        keys=tuple(units),
        strength="running",
        tables=["systemd_units"],
        min_version="4.7.0",
        blind_spots=("Units of a user's own systemd, and programs that are started by hand",),
        validate="On a test host install {name} from its package and look for this rule",
        weak=weak,
    )


def _packages(tool: Tool, table: str, kind: str, manager: str) -> Draft | None:
    """The inventory."""
    (names,), weak = usable(unshared(tool.of("linux", "packages")))
    if not names:
        return None
    detection: dict[str, Any] = {"selection": selection(either("name", names))}
    if table == "deb_packages":
        detection["selection_installed"] = {
            "status|endswith": Noted(" installed", "not unpacked, not half-installed, not removed")
        }
    condition = "selection" if len(detection) == 1 else "all of selection*"
    return Draft(
        source=table,
        slug=f"osquery_{table}_{file_part(tool)}",
        system="linux",
        title=f"{{name}} Installed as {kind} Package",
        detects=f"the package of {{name}} among those that {manager} installed",
        logsource=osquery(table),
        detection={**detection, "condition": condition},
        keys=tuple(names),
        strength="present",
        tables=[table],
        min_version="4.3.0" if table == "deb_packages" else "4.0.2",
        blind_spots=("Software unpacked by hand, AppImages, snaps, Flatpaks and containers",),
        validate="On a test host install the package of {name} and look for this rule after the "
        "next hourly run",
        weak=weak,
    )


def deb_packages(tool: Tool) -> Draft | None:
    """The inventory of dpkg."""
    return _packages(tool, "deb_packages", "Debian", "dpkg")


def rpm_packages(tool: Tool) -> Draft | None:
    """The inventory of rpm."""
    return _packages(tool, "rpm_packages", "RPM", "rpm")


def process_linux(tool: Tool) -> Draft | None:
    """The process, by name and folder."""
    detection, keys, weak = images(tool, "linux")
    if not detection:
        return None
    condition = "1 of selection_*" + filters(detection, "linux")
    return Draft(
        source="process_linux",
        slug=f"proc_creation_linux_{file_part(tool)}",
        system="linux",
        title="{name} Execution on Linux",
        detects="{name} running on Linux",
        logsource={"category": "process_creation", "product": "linux"},
        detection={**detection, "condition": condition},
        keys=keys,
        strength="running",
        tables=["process_events", "processes"],
        min_version="4.0.2",
        blind_spots=(
            "A renamed program outside its folder",
            "With the polled processes table, a run shorter than the interval",
        ),
        validate="On a test host start {name} and look for this rule",
        weak=weak,
    )
