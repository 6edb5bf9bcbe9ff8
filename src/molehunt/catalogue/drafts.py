"""What a tool's keys say in one log source: the part of a rule that decides, and its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .entries import Key, SetUp, Tool
from .matching import either, escaped, selection
from .writing import Noted

# Who looks words up in files, or shows them, names programs without running them.
_READERS = {
    "windows": ("\\findstr.exe", "\\rg.exe", "\\notepad.exe", "\\Code.exe"),
    "macos": ("/grep", "/rg", "/less", "/vim", "/man"),
    "linux": ("/grep", "/rg", "/less", "/vim", "/man"),
}
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
_VIEWER = ("Whoever helps others with the viewer of {name}, which bears the same signature",)
OSQUERY = {"windows": "windows", "macos": "darwin", "linux": "linux"}


@dataclass(frozen=True, slots=True)
class Draft:
    """`slug` names the rule within its tool and the file; `title` and `detects` hold no name of the
    tool yet. `strength` is `running` or `present` (see Category); `weak` if only uncertain values
    stand behind it."""

    source: str
    slug: str
    system: str
    title: str
    detects: str
    logsource: Mapping[str, str]
    detection: Mapping[str, Any]
    keys: tuple[Key, ...]
    strength: str
    tables: Sequence[str]
    min_version: str
    blind_spots: Sequence[str]
    validate: str
    flags: Sequence[str] = ()
    weak: bool = False
    falsepositives: Sequence[str] = ()
    set_up: SetUp | None = None


def drafts(tool: Tool) -> list[Draft]:
    """All that is to be made of a tool, in a fixed order; what is written by hand is left out."""
    made = [make(tool) for make in _SOURCES]
    found = [draft for draft in made if draft is not None and draft.source not in tool.by_hand]
    for system, entries in tool.set_up.items():
        found += [_set_up(system, entry) for entry in entries]
    return found


def _usable(*groups: Iterable[Key]) -> tuple[list[list[Key]], bool]:
    """The groups without uncertain values; with them, and True, if nothing else is there."""
    lists = [list(group) for group in groups]
    certain = [[key for key in keys if key.status != "uncertain"] for keys in lists]
    weak = not any(certain)
    return (lists if weak else certain), weak


def _own(keys: Iterable[Key]) -> list[Key]:
    return [key for key in keys if not key.shared]


def _common(keys: Iterable[Key]) -> list[Key]:
    return [key for key in keys if key.shared]


def _osquery(table: str) -> dict[str, str]:
    return {"product": "osquery", "service": table}


def _services(tool: Tool) -> Draft | None:
    names, files = tool.of("windows", "services"), tool.of("windows", "service_files")
    (own, paths), weak = _usable(_own(names), files)
    found = either("name", own) + [
        {"path|contains": [_noted("\\" + key.value.removeprefix("\\"), key) for key in paths]}
        for _ in paths[:1]
    ]
    if not found:
        return None
    return Draft(
        source="services",
        slug=f"osquery_services_{_file(tool)}",
        system="windows",
        title="{name} Installed as Windows Service",
        detects="the Windows service of {name}, which waits for its console or for connections "
        "from the start of the machine, with or without anybody at the keyboard",
        logsource=_osquery("services"),
        detection={
            "selection": selection(found),
            "filter_main_disabled": {"start_type": "DISABLED"},
            "condition": "selection and not filter_main_disabled",
        },
        keys=(*own, *paths),
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


def _noted(text: str, key: Key) -> Any:
    return Noted(escaped(text), key.note) if key.note else escaped(text)


def _images(tool: Tool, system: str) -> tuple[dict[str, Any], tuple[Key, ...], bool]:
    """Selections on the path of a process: by name, by folder, and by common names in a folder."""
    slash = "\\" if system == "windows" else "/"
    names, places = tool.of(system, "processes"), tool.of(system, "folders")
    (certain_names, folders), weak = _usable(names, places)
    own, common = _own(certain_names), _common(certain_names)
    own_folders = _own(folders)
    used: list[Key] = [*own, *own_folders]
    detection: dict[str, Any] = {}
    if own:
        detection["selection_name"] = selection(either("Image", own, slash))
    if own_folders:
        detection["selection_folder"] = {
            "Image|contains": [_noted(k.value, k) for k in own_folders]
        }
    shared_folders = _common(folders)
    if common and shared_folders:
        used += [*common, *shared_folders]
        detection["selection_name_in_folder"] = {
            "Image|contains": [_noted(key.value, key) for key in shared_folders],
            "Image|endswith": [_noted(slash + key.value, key) for key in common],
        }
    return detection, tuple(used), weak


def _process_windows(tool: Tool) -> Draft | None:
    detection, keys, weak = _images(tool, "windows")
    if not detection:
        return None
    condition = "1 of selection_*"
    if "selection_folder" in detection:
        detection["filter_main_uninstaller"] = {
            "Image|contains": ["\\unins", "\\Uninst"],
        }
        condition += " and not filter_main_uninstaller"
    return Draft(
        source="process_windows",
        slug=f"proc_creation_windows_{_file(tool)}",
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
                if _authenticode(tool) is not None
                else ""
            ),
            "With the polled processes table, a run shorter than the interval",
        ),
        validate="On a test host start {name} and look for this rule",
        weak=weak,
    )


def _authenticode(tool: Tool) -> Draft | None:
    signers, originals = tool.of("windows", "signers"), tool.of("windows", "original_names")
    (certain, names), weak = _usable(signers, originals)
    detection: dict[str, Any] = {}
    used: list[Key] = []
    if _own(certain):
        detection["selection_signer"] = selection(either("subject_name", _own(certain)))
        used += _own(certain)
    if _own(names):
        detection["selection_original_name"] = selection(
            either("file.original_filename", _own(names))
        )
        used += _own(names)
    if _common(certain) and _common(names):
        detection["selection_product"] = {
            **either("subject_name", _common(certain))[0],
            **either("file.original_filename", _common(names))[0],
        }
        used += [*_common(certain), *_common(names)]
    if not detection:
        return None
    return Draft(
        source="authenticode",
        slug=f"osquery_authenticode_{_file(tool)}",
        system="windows",
        title="{name} Running under Any Name on Windows",
        detects="a running Windows program that {name}'s maker signed or named, whatever the file "
        "is called now and wherever it lies"
        if _own(names) or _common(names)
        else "a running Windows program with the signature of {name}'s maker, whatever the file is "
        "called and wherever it lies",
        logsource=_osquery("authenticode"),
        detection={**detection, "condition": "1 of selection_*"},
        keys=tuple(used),
        strength="running",
        tables=["authenticode"],
        min_version="4.0.2",
        blind_spots=(
            "A program that stopped before the hourly query",
            "A copy whose signature and version information were stripped",
            "A viewer or another product of the same maker looks the same",
        ),
        validate="On a test host copy a program of {name} to the desktop as notes.exe, start it, "
        "wait for the next run of the query, and look for this rule",
        falsepositives=_VIEWER if tool.category == "remote_desktop" else (),
        weak=weak,
    )


def _programs(tool: Tool) -> Draft | None:
    (names,), weak = _usable(_own(tool.of("windows", "programs")))
    if not names:
        return None
    return Draft(
        source="programs",
        slug=f"osquery_programs_{_file(tool)}",
        system="windows",
        title="{name} Among Installed Windows Programs",
        detects="{name} in the list of installed Windows programs",
        logsource=_osquery("programs"),
        detection={"selection": selection(either("name", names)), "condition": "selection"},
        keys=tuple(names),
        strength="present",
        tables=["programs"],
        min_version="4.0.2",
        blind_spots=("Portable copies and programs that hide their entry",),
        validate="On a test host install {name} and look for this rule after the next hourly run",
        weak=weak,
    )


def _dns(tool: Tool) -> Draft | None:
    """Names of servers, for tools without a signature, which tells a renamed copy more surely."""
    (names,), weak = _usable(_own(tool.of("windows", "domains")))
    if not names or _authenticode(tool) is not None:
        return None
    return Draft(
        source="dns",
        slug=f"dns_query_windows_{_file(tool)}",
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


def _launchd(tool: Tool) -> Draft | None:
    (labels,), weak = _usable(_own(tool.of("macos", "launchd")))
    if not labels:
        return None
    return Draft(
        source="launchd",
        slug=f"osquery_launchd_{_file(tool)}",
        system="macos",
        title="{name} Installed as macOS Launch Item",
        detects="the launch item of {name}, which starts with the Mac or with each login, with or "
        "without anybody at the keyboard",
        logsource=_osquery("launchd"),
        detection={"selection": selection(either("label", labels)), "condition": "selection"},
        keys=tuple(labels),
        strength="running",
        tables=["launchd"],
        min_version="4.0.2",
        blind_spots=(
            "A copy that is started by hand, or as a login item without a property list",
            "A property list with another label",
        ),
        validate="On a test Mac install {name} with its standard installer and look for this rule",
        weak=weak,
    )


def _es_process_events(tool: Tool) -> Draft | None:
    (teams, ids), weak = _usable(tool.of("macos", "team_ids"), tool.of("macos", "signing_ids"))
    detection: dict[str, Any] = {}
    used: list[Key] = []
    if _own(teams):
        detection["selection_team"] = selection(either("team_id", _own(teams)))
        used += _own(teams)
    if _own(ids):
        detection["selection_signing_id"] = selection(either("signing_id", _own(ids)))
        used += _own(ids)
    if _common(teams) and _common(ids):
        parts = either("signing_id", _common(ids))
        team = either("team_id", _common(teams))[0]
        detection["selection_product"] = selection([{**team, **part} for part in parts])
        used += [*_common(teams), *_common(ids)]
    if not detection:
        return None
    return Draft(
        source="es_process_events",
        slug=f"osquery_es_process_events_{_file(tool)}",
        system="macos",
        title="{name} Started under Any Name on macOS",
        detects="the start of a macOS program with the code signature of {name}'s maker, whatever "
        "its bundle is called and from wherever it runs",
        logsource=_osquery("es_process_events"),
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
        falsepositives=_VIEWER if tool.category == "remote_desktop" else (),
        weak=weak,
    )


def _apps(tool: Tool) -> Draft | None:
    """The inventory, for tools without a launch item, which says more."""
    (bundles,), weak = _usable(_own(tool.of("macos", "bundle_ids")))
    if not bundles or tool.of("macos", "launchd"):
        return None
    return Draft(
        source="apps",
        slug=f"osquery_apps_{_file(tool)}",
        system="macos",
        title="{name} Among Installed macOS Applications",
        detects="{name} among the applications of a Mac, by the identifier of its bundle",
        logsource=_osquery("apps"),
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


def _system_extensions(tool: Tool) -> Draft | None:
    (names,), weak = _usable(_own(tool.of("macos", "system_extensions")))
    if not names:
        return None
    return Draft(
        source="system_extensions",
        slug=f"osquery_system_extensions_{_file(tool)}",
        system="macos",
        title="{name} System Extension on macOS",
        detects="the system extension of {name}, which macOS loads once somebody has allowed it",
        logsource=_osquery("system_extensions"),
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


def _systemd_units(tool: Tool) -> Draft | None:
    (units,), weak = _usable(_own(tool.of("linux", "units")))
    if not units:
        return None
    return Draft(
        source="systemd_units",
        slug=f"osquery_systemd_units_{_file(tool)}",
        system="linux",
        title="{name} Installed as Systemd Unit",
        detects="the systemd unit of {name}, which can run from the start of the machine, with or "
        "without anybody at the keyboard",
        logsource=_osquery("systemd_units"),
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
    """The inventory, for tools without a systemd unit, which says more."""
    (names,), weak = _usable(_own(tool.of("linux", "packages")))
    if not names or tool.of("linux", "units"):
        return None
    detection: dict[str, Any] = {"selection": selection(either("name", names))}
    if table == "deb_packages":
        detection["selection_installed"] = {
            "status|endswith": Noted(" installed", "not unpacked, not half-installed, not removed")
        }
    condition = "selection" if len(detection) == 1 else "all of selection*"
    return Draft(
        source=table,
        slug=f"osquery_{table}_{_file(tool)}",
        system="linux",
        title=f"{{name}} Installed as {kind} Package",
        detects=f"the package of {{name}} among those that {manager} installed",
        logsource=_osquery(table),
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


def _deb_packages(tool: Tool) -> Draft | None:
    return _packages(tool, "deb_packages", "Debian", "dpkg")


def _rpm_packages(tool: Tool) -> Draft | None:
    return _packages(tool, "rpm_packages", "RPM", "rpm")


def _process_linux(tool: Tool) -> Draft | None:
    detection, keys, weak = _images(tool, "linux")
    if not detection:
        return None
    return Draft(
        source="process_linux",
        slug=f"proc_creation_linux_{_file(tool)}",
        system="linux",
        title="{name} Execution on Linux",
        detects="{name} running on Linux",
        logsource={"category": "process_creation", "product": "linux"},
        detection={**detection, "condition": "1 of selection_*"},
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


def _set_up(system: str, entry: SetUp) -> Draft:
    slash = "\\" if system == "windows" else "/"
    behind = "" if system == "windows" else " "
    named = [escaped(name) for name in entry.program]
    detection: dict[str, Any] = {
        "selection_tool": [
            {"Image|endswith": [escaped(slash + name) for name in entry.program]},
            {
                "CommandLine|contains": Noted(
                    [name + behind for name in named], "the shell that runs it"
                )
            },
        ]
    }
    if entry.any_of:
        detection["selection_set_up"] = {"CommandLine|contains": [escaped(t) for t in entry.any_of]}
    if entry.all_of:
        detection["selection_with"] = {
            "CommandLine|contains|all": [escaped(t) for t in entry.all_of]
        }
    if entry.matching:
        detection["selection_matching"] = {"CommandLine|re|i": list(entry.matching)}
    detection["filter_main_reader"] = Noted(
        {"Image|endswith": list(_READERS[system])}, "somebody looks these words up"
    )
    detection["condition"] = "all of selection_* and not filter_main_reader"
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


def _file(tool: Tool) -> str:
    return tool.id.replace("-", "_")


_SOURCES: tuple[Callable[[Tool], Draft | None], ...] = (
    _services,
    _process_windows,
    _authenticode,
    _programs,
    _dns,
    _launchd,
    _es_process_events,
    _apps,
    _system_extensions,
    _systemd_units,
    _deb_packages,
    _rpm_packages,
    _process_linux,
)
