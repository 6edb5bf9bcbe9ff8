"""What detections of hardware are written with: values of the catalogue with their notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .writing import Noted

Device = Mapping[str, Any]
Detection = dict[str, Any]


def pnp_numbers(code: str) -> tuple[int, int]:
    """Manufacturer and product number of a code such as LNX7773, as an EDID's bytes 8 to 11 hold.

    Three letters of five bits each, big-endian; the product code is four hexadecimal digits.
    """
    number = 0
    for letter in code[:3]:
        number = number << 5 | (ord(letter) - 64)
    return number, int(code[3:], 16)


def used(device: Device, key: str, field: str = "") -> Iterator[Mapping[str, Any]]:
    """The entries under a key that rules may use, and that have the field if one is named."""
    for entry in device.get(key) or ():
        if entry.get("rules", True) and (not field or field in entry):
            yield entry


def note_of(device: Device, entry: Mapping[str, Any]) -> str:
    """The device's name, with what is noted of one of its entries."""
    name, note = device["name"], entry.get("note", "")
    return f"{name}: {note}" if note else str(name)


def texts(found: Iterable[tuple[str, str]]) -> list[Any]:
    """Values with their notes, each value once, with the notes of all that share it."""
    notes: dict[str, list[str]] = {}
    for value, note in found:
        notes.setdefault(value, []).append(note)
    return [_noted(value, dict.fromkeys(all_of)) for value, all_of in notes.items()]


def _noted(value: str, notes: Iterable[str]) -> Noted:
    """A name that the value itself says again says nothing."""
    return Noted(value, ", ".join(note for note in notes if note.lower() not in value.lower()))


def prefixes(found: Iterable[tuple[str, str]]) -> list[Any]:
    """As `texts`, without those that begin like another, whatever the case of letters."""
    pairs = list(found)
    known = list(dict.fromkeys(text for text, _ in pairs))
    kept: dict[str, str] = {}
    for text in known:
        covers = [one for one in known if text.casefold().startswith(one.casefold())]
        kept[text] = min(covers, key=lambda one: (len(one), known.index(one)))
    return texts((kept[text], note) for text, note in pairs)


def shared_by(
    devices: Sequence[Device], key: str, fields: Sequence[str]
) -> dict[tuple[Any, ...], list[str]]:
    """The names of the devices that have each identity: a device is told by its first."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for device in devices:
        for entry in used(device, key):
            names = found.setdefault(tuple(entry.get(field) for field in fields), [])
            names += [device["name"]] if device["name"] not in names else []
    return found


def with_others(note: str, others: Sequence[str]) -> str:
    """A note, and the other devices that the same value means."""
    return ", ".join(text for text in (note, "also " * bool(others) + ", ".join(others)) if text)


def put(target: Detection, name: str, field: str, values: list[Any]) -> None:
    """Have a field be one of the values, if there are any."""
    if values:
        target[name] = {field: values}


def selection_of(device: Device) -> str:
    """The name of a selection for one device."""
    return "selection_" + str(device["id"]).replace("-", "_")


def one_or_list(maps: list[dict[str, Any]], note: str = "") -> Any:
    """One map as it is, several as alternatives."""
    if len(maps) == 1:
        return Noted(maps[0], note) if note else maps[0]
    return maps


def strings_of(devices: Sequence[Device], *fields: str) -> list[tuple[str, str]]:
    """What strings of these kinds begin with, with the device's name."""
    return [
        (entry["starts"], device["name"])
        for device in devices
        for field in fields
        for entry in (device.get("strings") or {}).get(field, ())
    ]
