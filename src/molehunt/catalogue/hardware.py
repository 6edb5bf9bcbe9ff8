"""Devices in, detections out: what each osquery table shows of the hardware in the catalogue.

How the tables render ids, strings and serials: osquery's usb_devices, hardware_events,
block_devices and connected_displays sources (5.23).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .devices import (
    Detection,
    Device,
    note_of,
    one_or_list,
    pnp_numbers,
    prefixes,
    put,
    selection_of,
    shared_by,
    strings_of,
    texts,
    used,
    with_others,
)
from .hardware_on_windows import (
    disk_info,
    drivers,
    drivers_monitor_code,
    registry_display,
    registry_monitor_code,
    registry_usb,
    registry_usbstor,
    windows_events,
)
from .writing import Noted


def detection(table: str, devices: Sequence[Device]) -> tuple[Detection, list[Device]]:
    """The detection that finds the devices in a table, and the devices that it can find there.

    `table` is a key of TABLES. The detection is empty if none of the devices shows there.
    """
    seen = [device for device in devices if TABLES[table]([device])]
    return TABLES[table](seen) if seen else {}, seen


def _usb(devices: Sequence[Device]) -> Detection:
    found: Detection = {}
    identity = ("vendor", "product", "serial")
    owners = shared_by(devices, "usb", identity)
    for device in devices:
        groups: dict[tuple[str, str], list[Any]] = {}
        also: dict[str, str] = {}
        for entry in used(device, "usb"):
            first, *others = owners[tuple(entry.get(field) for field in identity)]
            if first != device["name"]:
                continue
            group = groups.setdefault((entry.get("vendor", ""), entry.get("serial", "")), [])
            note = with_others(entry.get("note", ""), others)
            if "product" in entry:
                group.append(Noted(entry["product"], note) if note else entry["product"])
            elif others:
                also[entry.get("serial", "")] = note
        maps = []
        for (vendor, serial), products in groups.items():
            value = Noted(serial, also[serial]) if also.get(serial) else serial
            fields = {"vendor_id": vendor, "model_id": products, "serial": value}
            maps.append({field: value for field, value in fields.items() if value})
        if maps:
            found[selection_of(device)] = one_or_list(maps)
    for field in ("vendor", "model"):
        strings = (
            (text, device["name"])
            for device in devices
            for entry in (device.get("strings") or {}).get(field, ())
            # Linux replaces blanks.
            for text in dict.fromkeys((entry["starts"], entry["starts"].replace(" ", "_")))
        )
        put(found, f"selection_{field}", f"{field}|startswith", prefixes(strings))
    if found:
        condition = "1 of selection_*"
        if not_meant := _not_meant(devices):
            named = " or ".join(s for s in ("selection_vendor", "selection_model") if s in found)
            ids = [s for s in found if s not in named]
            inside = f"({named})" if " or " in named else named
            found["filter_main_other_device"] = one_or_list(not_meant)
            condition = " or ".join([*ids, f"({inside} and not filter_main_other_device)"])
        found["condition"] = condition
    return found


def _not_meant(devices: Sequence[Device]) -> list[dict[str, Any]]:
    """Other devices that begin their names with the same words."""
    return [
        {"vendor_id": other["vendor"], "model_id": Noted(other["product"], other["note"])}
        for device in devices
        for entries in (device.get("strings") or {}).values()
        for entry in entries
        for other in entry.get("unless", ())
    ]


def _hardware_events(devices: Sequence[Device]) -> Detection:
    found = _usb(devices)
    if found:
        condition = found.pop("condition")
        found["filter_main_unplugged"] = {"action": ["remove", "unbind", Noted("detach", "macOS")]}
        plugged = f"({condition})" if " or " in condition else condition
        found["condition"] = f"{plugged} and not filter_main_unplugged"
    return found


def _system_profiler(devices: Sequence[Device]) -> Detection:
    """The whole tree as JSON: a text of it that begins so."""
    names = strings_of(devices, "vendor", "model")
    names += [(e["name"], d["name"]) for d in devices for e in used(d, "monitors", "name")]
    if not names:
        return {}
    quoted = [Noted(f'"{value.value}', value.note) for value in prefixes(names)]
    return {
        "selection_hardware": {
            "data_type": ["SPDisplaysDataType", "SPUSBDataType", "SPUSBHostDataType"]
        },
        "selection_name": {"value|contains": quoted},
        "condition": "all of selection_*",
    }


def _iokit_registry(devices: Sequence[Device]) -> Detection:
    names = strings_of(devices, "vendor", "model")
    names += [
        (" ".join(filter(None, (e["vendor"], e.get("model")))), d["name"])
        for d in devices
        for e in used(d, "drives")
    ]
    if not names:
        return {}
    return {"selection": {"name|startswith": prefixes(names)}, "condition": "selection"}


def _syslog_events(devices: Sequence[Device]) -> Detection:
    """As the kernel tells of a new device: "usb 3-3: New USB device found, idVendor=…,
    idProduct=…", "usb 3-3: Manufacturer: …". What other devices share is told by no one line."""
    found: Detection = {}
    ids = [
        (f"idVendor={e['vendor']}, idProduct={e.get('product', '')}", note_of(d, e))
        for d in devices
        for e in used(d, "usb", "vendor")
        if "serial" not in e
    ]
    put(found, "selection_device_ids", "message|contains", texts(ids))
    for field, word in (("vendor", "Manufacturer"), ("model", "Product")):
        own = [d for d in devices if not _not_meant([d])]
        lines = ((f": {word}: {text}", name) for text, name in strings_of(own, field))
        put(found, f"selection_device_{field}", "message|contains", prefixes(lines))
    if not found:
        return {}
    kernel = {"tag": ["kernel", "kernel:"]}
    condition = "selection_kernel and 1 of selection_device_*"
    return {"selection_kernel": kernel, **found, "condition": condition}


def _labels(devices: Sequence[Device]) -> list[tuple[str, str]]:
    return [(e["is"], note_of(d, e)) for d in devices for e in used(d, "labels")]


def _mounts(devices: Sequence[Device]) -> Detection:
    ends = texts((f"/{label}", note) for label, note in _labels(devices))
    if not ends:
        return {}
    return {
        "selection": {"device|startswith": "/dev/", "path|endswith": ends},
        "condition": "selection",
    }


def _connected_displays(devices: Sequence[Device]) -> Detection:
    found: Detection = {}
    owners = shared_by(devices, "monitors", ("pnp", "serial"))
    for device in devices:
        groups: dict[tuple[str, str], list[Any]] = {}
        for entry in used(device, "monitors", "pnp"):
            first, *others = owners[entry["pnp"], entry.get("serial")]
            if first != device["name"] or ("text" in entry and "serial" not in entry):
                continue
            vendor, product = (f"{number:x}" for number in pnp_numbers(entry["pnp"]))
            serial = f"{int(entry['serial'], 16):x}" if "serial" in entry else ""
            note = with_others(entry.get("note", ""), others)
            text = f"{entry['pnp']}: {note}" if note else entry["pnp"]
            groups.setdefault((vendor, serial), []).append(Noted(product, text))
        maps = []
        for (vendor, serial), products in groups.items():
            fields: dict[str, Any] = {"vendor_id": vendor, "product_id": products}
            maps.append({**fields, "serial_number": serial} if serial else fields)
        if maps:
            found[selection_of(device)] = one_or_list(maps)
    names = prefixes((e["name"], d["name"]) for d in devices for e in used(d, "monitors", "name"))
    put(found, "selection_name", "name|startswith", names)
    return {**found, "condition": "1 of selection_*"} if found else {}


def _hash(devices: Sequence[Device]) -> Detection:
    entries = ((d, e) for d in devices for e in used(d, "monitors", "sha256"))
    values = texts((entry["sha256"], note_of(device, entry)) for device, entry in entries)
    if not values:
        return {}
    return {
        "selection_edid": {"path|startswith": "/sys/", "path|endswith": "/edid"},
        "selection_sha256": {"sha256": values},
        "condition": "all of selection_*",
    }


def _block_devices(devices: Sequence[Device]) -> Detection:
    found: Detection = {}
    vendors = []
    for device in devices:
        by_models: dict[str, list[Any]] = {}
        for entry in used(device, "drives"):
            if "model" not in entry:
                vendors.append((entry["vendor"], note_of(device, entry)))
                continue
            note = entry.get("note", "")
            vendor = Noted(entry["vendor"], note) if note else entry["vendor"]
            by_models.setdefault(entry["model"], []).append(vendor)
        maps = [
            {"vendor|startswith": makers, "model|startswith": model}
            for model, makers in by_models.items()
        ]
        if maps:
            found[selection_of(device)] = one_or_list(maps)
    put(found, "selection_vendor", "vendor|startswith", texts(vendors))
    put(found, "selection_label", "label", texts(_labels(devices)))
    return {**found, "condition": "1 of selection_*"} if found else {}


def _interface_details(devices: Sequence[Device]) -> Detection:
    macs = texts((e["mac"], note_of(d, e)) for d in devices for e in used(d, "adapters"))
    return {"selection": {"mac|startswith": macs}, "condition": "selection"} if macs else {}


def _network(device: Device, key: str) -> Sequence[Any]:
    found: Sequence[Any] = (device.get("network") or {}).get(key) or ()
    return found


def _arp_cache(devices: Sequence[Device]) -> Detection:
    macs = texts((e["mac"], note_of(d, e)) for d in devices for e in _network(d, "macs"))
    return {"selection": {"mac|startswith": macs}, "condition": "selection"} if macs else {}


def _dns_query(devices: Sequence[Device]) -> Detection:
    domains = [(domain, d["name"]) for d in devices for domain in _network(d, "domains")]
    if not domains:
        return {}
    below = [(f".{domain}", name) for domain, name in domains]
    return {
        "selection_name": {"QueryName": texts(domains)},
        "selection_below": {"QueryName|endswith": texts(below)},
        "condition": "1 of selection_*",
    }


def _etc_hosts(devices: Sequence[Device]) -> Detection:
    names = texts((name, d["name"]) for d in devices for name in _network(d, "names"))
    return {"selection": {"hostnames|contains": names}, "condition": "selection"} if names else {}


# What a rule's `table` may be.
TABLES: Mapping[str, Callable[[Sequence[Device]], Detection]] = {
    "usb_devices": _usb,
    "hardware_events": _hardware_events,
    "registry_usb": registry_usb,
    "registry_usbstor": registry_usbstor,
    "registry_display": registry_display,
    "registry_monitor_code": registry_monitor_code,
    "drivers": drivers,
    "drivers_monitor_code": drivers_monitor_code,
    "disk_info": disk_info,
    "windows_events": windows_events,
    "windows_eventlog": windows_events,
    "system_profiler": _system_profiler,
    "iokit_registry": _iokit_registry,
    "syslog_events": _syslog_events,
    "mounts": _mounts,
    "connected_displays": _connected_displays,
    "hash": _hash,
    "block_devices": _block_devices,
    "interface_details": _interface_details,
    "arp_cache": _arp_cache,
    "dns_query": _dns_query,
    "etc_hosts": _etc_hosts,
}
