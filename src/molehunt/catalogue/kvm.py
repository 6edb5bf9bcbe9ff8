"""The rules that the catalogue of hardware makes, and the table of it in the documentation."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..data import read_bytes
from ..ids import generated_id
from ..problems import Problem
from ..yamlfile import Document, read_file
from .devices import Device
from .hardware import TABLES, detection
from .writing import write_rule

FOLDER = "hardware"
MARK = "Made by `molehunt generate` from rules/catalogue/hardware/; change those files"
_RULES_FOLDER = "kvm_over_ip"
_ADDED = date(2026, 11, 25)
_WIDTH = 108
_POSIX, _WINDOWS, _MACOS = ("linux", "darwin"), ("windows",), ("darwin",)
_ALL = ("linux", "darwin", "windows")
# Log source, platforms and the first release of osquery of rules/data/osquery_schema.json.
_SOURCES: Mapping[str, tuple[Mapping[str, str], Sequence[str], Sequence[str], str]] = {
    "usb_devices": ({"service": "usb_devices"}, _POSIX, ("usb_devices",), "4.0.2"),
    "hardware_events": ({"service": "hardware_events"}, _POSIX, ("hardware_events",), "4.0.2"),
    "registry_usb": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "registry_usbstor": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "registry_display": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "registry_monitor_code": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "drivers": ({"service": "drivers"}, _WINDOWS, ("drivers",), "4.0.2"),
    "drivers_monitor_code": ({"service": "drivers"}, _WINDOWS, ("drivers",), "4.0.2"),
    "disk_info": ({"service": "disk_info"}, _WINDOWS, ("disk_info",), "4.0.2"),
    "windows_events": ({"service": "windows_events"}, _WINDOWS, ("windows_events",), "4.0.2"),
    "windows_eventlog": ({"service": "windows_eventlog"}, _WINDOWS, ("windows_eventlog",), "4.5.0"),
    "system_profiler": ({"service": "system_profiler"}, _MACOS, ("system_profiler",), "5.19.0"),
    "iokit_registry": ({"service": "iokit_registry"}, _MACOS, ("iokit_registry",), "4.0.2"),
    "syslog_events": ({"service": "syslog_events"}, ("linux",), ("syslog_events",), "4.0.2"),
    "mounts": ({"service": "mounts"}, _POSIX, ("mounts",), "4.0.2"),
    "connected_displays": (
        {"service": "connected_displays"},
        _MACOS,
        ("connected_displays",),
        "5.9.1",
    ),
    "hash": ({"service": "hash"}, ("linux",), ("hash",), "4.0.2"),
    "block_devices": ({"service": "block_devices"}, _POSIX, ("block_devices",), "4.0.2"),
    "interface_details": ({"service": "interface_details"}, _ALL, ("interface_details",), "4.0.2"),
    "arp_cache": ({"service": "arp_cache"}, _ALL, ("arp_cache",), "4.0.2"),
    "dns_query": (
        {"category": "dns_query", "product": "windows"},
        _WINDOWS,
        ("dns_lookup_events", "dns_cache"),
        "4.0.2",
    ),
    "etc_hosts": ({"service": "etc_hosts"}, _ALL, ("etc_hosts",), "4.0.2"),
}
_FLAGS = {
    "hardware_events": ["--disable_events=false"],
    "windows_events": [
        "--enable_windows_events_publisher=true",
        "--enable_windows_events_subscriber=true",
    ],
    "syslog_events": ["--disable_events=false", "--enable_syslog=true"],
}


def read_hardware(catalogue: str) -> tuple[list[Device], list[dict[str, Any]], list[Problem]]:
    """Devices, rules and problems of `hardware/` in the catalogue's folder; nothing without it.

    A rule comes with the values of its group filled in.
    """
    folder = Path(catalogue, FOLDER)
    if not folder.is_dir():
        return [], [], []
    facts, problems = _one(folder / "kvm.yml")
    shells, found = _one(folder / "rules.yml")
    problems += found
    if problems:
        return [], [], problems
    devices = facts.get("devices", [])
    groups = shells.get("groups", {})
    rules = []
    for rule in shells.get("rules", []):
        if rule.get("group") not in groups or rule.get("table") not in TABLES:
            what = f"rule {rule.get('file')}: unknown group or table"
            problems.append(Problem(what, str(folder / "rules.yml")))
        else:
            rules.append({**rule, "of": groups[rule["group"]]})
    return devices, rules, problems


def _one(path: Path) -> tuple[Mapping[str, Any], list[Problem]]:
    documents, problems = read_file(str(path))
    for document in documents[:1]:
        problems += _broken(document, path)
    return (documents[0].data if documents else {}), problems


def _broken(document: Document, path: Path) -> Iterator[Problem]:
    """How a file breaks `rules/hardware.schema.json`."""
    from jsonschema import Draft202012Validator

    schema = json.loads(read_bytes("hardware.schema.json"))
    part = "devices" if path.stem == "kvm" else "rules"
    checker = Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]})
    for error in sorted(checker.iter_errors(document.data), key=lambda one: str(one.json_path)):
        place = tuple(error.absolute_path)
        what = f"{'.'.join(map(str, place))}: {error.message}".removeprefix(": ")[:300]
        yield Problem(what, str(path), document.near(place), hint="see rules/hardware.schema.json")


def hardware_texts(devices: Sequence[Device], rules: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The text of each rule file by its path below the rules folder."""
    return {
        f"{_RULES_FOLDER}/{rule['file']}.yml": write_rule(make_rule(devices, rule), MARK)
        for rule in rules
    }


def make_rule(devices: Sequence[Device], rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as plain values, its keys in the order of docs/rule_style.md.

    Raises ValueError if no device shows in the rule's table.
    """
    group = rule["of"]
    table = rule["table"]
    source, platforms, tables, version = _SOURCES[table]
    wanted = [device for device in devices if device["class"] in rule["classes"]]
    found, seen = detection(table, wanted)
    if not found:
        raise ValueError(f"{rule['file']}: no device of {rule['classes']} shows in {table}")
    needs: dict[str, Any] = {"tables": list(tables), "min_version": version}
    if table in _FLAGS:
        needs["flags"] = _FLAGS[table]
    block: dict[str, Any] = {
        "subject": rule.get("subject", group["subject"]),
        "behaviours": list(rule.get("behaviours", group["behaviours"])),
        "identity": [],
        "platforms": list(platforms),
        "needs": needs,
        "blind_spots": rule["blind_spots"],
        "validate": rule["validate"],
        "next_steps": [*rule.get("next_steps", ()), *group["next_steps"]],
    }
    if group.get("context_only"):
        block["context_only"] = True
    references = [r for device in seen for r in device["references"]]
    return {
        "title": rule["title"],
        "id": rule.get("id") or generated_id("hardware", rule["file"], table),
        "status": "experimental",
        "description": _description(rule["detects"], group["why"]),
        "references": list(dict.fromkeys([*references, *rule.get("references", ())])),
        "author": "molehunt contributors",
        "date": rule.get("added", _ADDED),
        "tags": [*group["tags"], *rule.get("tags", ())],
        "logsource": source if "product" in source else {"product": "osquery", **source},
        "detection": found,
        "falsepositives": [*group["falsepositives"], *rule.get("falsepositives", ())],
        "level": rule.get("level", group["level"]),
        "molehunt": block,
    }


def _description(*paragraphs: str) -> str:
    lines = [line for text in paragraphs for line in textwrap.wrap(" ".join(text.split()), _WIDTH)]
    return "\n".join(lines) + "\n"


def hardware_table(devices: Sequence[Device]) -> str:
    """The devices as a Markdown table: what each system can see of them."""
    lines = [
        "| device | class | Linux | macOS | Windows |",
        "|---|---|---|---|---|",
    ]
    for device in devices:
        cells = [device["name"], device["class"], *(_shows(device, s) for s in _SYSTEMS)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_SYSTEMS: Sequence[Mapping[str, str]] = (
    {"usb_devices": "USB", "block_devices": "drive", "hash": "monitor"},
    {"usb_devices": "USB", "block_devices": "drive", "connected_displays": "monitor"},
    {"registry_usb": "USB", "registry_usbstor": "drive", "registry_display": "monitor"},
)


def _shows(device: Device, tables: Mapping[str, str]) -> str:
    if device["class"] == "switch":
        return "-"
    words = [word for table, word in tables.items() if TABLES[table]([device])]
    return ", ".join(words) or "-"
