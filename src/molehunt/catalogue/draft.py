"""What a tool's keys say in one log source: the part of a rule that decides, and its own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .entries import Key, SetUp, Tool
from .matching import either, escaped, selection
from .writing import Noted

VIEWER = ("Whoever helps others with the viewer of {name}, which bears the same signature",)


READERS = {
    "windows": ("\\findstr.exe", "\\rg.exe", "\\notepad.exe", "\\Code.exe"),
    "macos": ("/grep", "/rg", "/less", "/vim", "/man"),
    "linux": ("/grep", "/rg", "/less", "/vim", "/man"),
}

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


def usable(*groups: Iterable[Key]) -> tuple[list[list[Key]], bool]:
    """The groups without uncertain values; with them, and True, if nothing else is there."""
    lists = [list(group) for group in groups]
    certain = [[key for key in keys if key.status != "uncertain"] for keys in lists]
    weak = not any(certain)
    return (lists if weak else certain), weak


def unshared(keys: Iterable[Key]) -> list[Key]:
    """The values that belong to this tool alone."""
    return [key for key in keys if not key.shared]


def shared(keys: Iterable[Key]) -> list[Key]:
    """The values that other software has as well."""
    return [key for key in keys if key.shared]


def osquery(table: str) -> dict[str, str]:
    """The log source of what only osquery sees."""
    return {"product": "osquery", "service": table}


def noted(text: str, key: Key) -> Any:
    """The text as a Sigma value, with the comment of its key."""
    return Noted(escaped(text), key.note) if key.note else escaped(text)


def images(tool: Tool, system: str) -> tuple[dict[str, Any], tuple[Key, ...], bool]:
    """Selections on the path of a process: by name, by folder, by common names in a folder,
    and on its command line."""
    slash = "\\" if system == "windows" else "/"
    names, places = tool.of(system, "processes"), tool.of(system, "folders")
    (certain_names, folders, lines), weak = usable(names, places, tool.of(system, "command_lines"))
    own, common = unshared(certain_names), shared(certain_names)
    own_folders = unshared(folders)
    used: list[Key] = [*own, *own_folders, *lines]
    detection: dict[str, Any] = {}
    if own:
        detection["selection_name"] = selection(either("Image", own, slash))
    if own_folders:
        detection["selection_folder"] = {"Image|contains": [noted(k.value, k) for k in own_folders]}
    if lines:  # whatever the file is called
        detection["selection_command_line"] = selection(either("CommandLine", lines))
    shared_folders = shared(folders)
    if common and shared_folders:
        used += [*common, *shared_folders]
        detection["selection_name_in_folder"] = {
            "Image|contains": [noted(key.value, key) for key in shared_folders],
            "Image|endswith": [noted(slash + key.value, key) for key in common],
        }
    return detection, tuple(used), weak


def filters(detection: dict[str, Any], system: str) -> str:
    """Adds what is filtered out where command lines count, and says how a condition ends."""
    if "selection_command_line" in detection:
        detection["filter_main_reader"] = Noted(
            {"Image|endswith": list(READERS[system])}, "somebody looks these words up"
        )
    names = [name for name in detection if name.startswith("filter_main_")]
    if not names:
        return ""
    return " and not " + ("1 of filter_main_*" if len(names) > 1 else names[0])


def file_part(tool: Tool) -> str:
    """The tool's part of a file name."""
    return tool.id.replace("-", "_")
