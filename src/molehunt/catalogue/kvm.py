"""The rules that the catalogue of hardware makes, and the table of it in the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..ids import generated_id
from ..problems import Problem
from ..yamlfile import read_file
from .hardware import TABLES, Device, detection
from .writing import write_rule

FOLDER = "hardware"
MARK = "Made by `molehunt generate` from rules/catalogue/hardware/; change those files"
_RULES_FOLDER = "kvm_over_ip"
_ADDED = date(2026, 11, 25)
_WIDTH = 108
_STATUSES = frozenset(("verified", "reported", "derived"))
_CLASSES = frozenset("kvm disguise bridge capture dummy enterprise implant jiggler switch".split())
_POSIX, _WINDOWS, _MACOS = ("linux", "darwin"), ("windows",), ("darwin",)
_ALL = ("linux", "darwin", "windows")
# Log source, platforms and the first release of osquery of rules/data/osquery_schema.json.
_SOURCES: Mapping[str, tuple[Mapping[str, str], Sequence[str], Sequence[str], str]] = {
    "usb_devices": ({"service": "usb_devices"}, _POSIX, ("usb_devices",), "4.0.2"),
    "hardware_events": ({"service": "hardware_events"}, _POSIX, ("hardware_events",), "4.0.2"),
    "registry_usb": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "registry_usbstor": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "registry_display": ({"service": "registry"}, _WINDOWS, ("registry",), "4.0.2"),
    "drivers": ({"service": "drivers"}, _WINDOWS, ("drivers",), "4.0.2"),
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
_FLAGS = {"hardware_events": ["--disable_events=false"]}


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
    problems += [Problem(what, str(folder / "kvm.yml")) for what in _wrong_devices(devices)]
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
    return (documents[0].data if documents else {}), problems


def _wrong_devices(devices: Sequence[Device]) -> list[str]:
    wrong = []
    for device in devices:
        name = device.get("id", "a device without id")
        if device.get("class") not in _CLASSES:
            wrong.append(f"{name}: unknown class {device.get('class')!r}")
        if not device.get("references"):
            wrong.append(f"{name}: no references")
        for entry in _entries(device):
            if entry.get("status") not in _STATUSES:
                wrong.append(f"{name}: a value without a known status: {dict(entry)}")
    return wrong


def _entries(device: Device) -> list[Mapping[str, Any]]:
    found = [e for key in ("usb", "drives", "monitors", "adapters") for e in device.get(key) or ()]
    found += [e for texts in (device.get("strings") or {}).values() for e in texts]
    return found + list((device.get("network") or {}).get("macs") or ())


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
        "date": _ADDED,
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
