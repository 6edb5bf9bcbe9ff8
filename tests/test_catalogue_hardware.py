"""The catalogue of hardware: what its rules look for, and that nothing has drifted."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molehunt.catalogue.devices import pnp_numbers
from molehunt.catalogue.hardware import TABLES, detection
from molehunt.catalogue.kvm import hardware_table, hardware_texts, read_hardware
from molehunt.catalogue.writing import Noted
from molehunt.rulefiles import builtin_rules_path

RULES = Path(builtin_rules_path())
DOCS = RULES.parent / "docs" / "kvm.md"


def read() -> tuple[list, list]:
    """Devices and rules of the package."""
    devices, rules, problems = read_hardware(str(RULES / "catalogue"))
    assert problems == []
    return devices, rules


def test_the_files_are_what_the_catalogue_makes() -> None:
    """No drift between the catalogue and the rules that are committed."""
    for name, text in hardware_texts(*read()).items():
        assert (RULES / name).read_text(encoding="utf-8") == text, f"{name}: run molehunt generate"


def test_the_table_in_the_documentation_is_current() -> None:
    """docs/kvm.md shows what the catalogue has."""
    if not DOCS.is_file():
        pytest.skip("only a checkout has the documentation")
    assert hardware_table(read()[0]) in DOCS.read_text(encoding="utf-8")


def test_every_device_but_switches_is_in_a_rule() -> None:
    """Nothing is listed in vain."""
    devices, rules = read()
    for device in devices:
        seen = [
            r for r in rules if device["class"] in r["classes"] and TABLES[r["table"]]([device])
        ]
        assert bool(seen) == (device["class"] != "switch"), device["id"]


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3), st.integers(0, 0xFFFF))
def test_monitor_codes(letters: str, product: int) -> None:
    """The letters come back from the number, by the shifts of the EDID standard."""
    vendor, number = pnp_numbers(f"{letters}{product:04X}")
    back = "".join(chr((vendor >> shift & 31) + 64) for shift in (10, 5, 0))
    assert (back, number) == (letters, product)


def test_a_monitor_on_each_system() -> None:
    """One entry as Windows and as macOS show it; values kept out of the rules stay out."""
    device: dict[str, Any] = {
        "id": "a-b",
        "name": "Example",
        "monitors": [{"pnp": "TSB8801", "serial": "88888800"}, {"pnp": "VCS1145", "rules": False}],
    }
    start = "00FFFFFFFFFFFF005262018800888888"
    assert detection("registry_display", [device])[0]["selection_identity_number"] == {
        "data|startswith": [Noted(start, "Example (TSB8801)")]
    }
    assert detection("connected_displays", [device])[0]["selection_a_b"] == {
        "vendor_id": "5262",
        "product_id": [Noted("8801", "TSB8801")],
        "serial_number": "88888800",
    }
    assert detection("usb_devices", [device]) == ({}, [])


def test_the_generic_ids_alone_are_never_above_low() -> None:
    """1d6b:0104 is in a KVM rule only with a serial."""
    generic = {("1d6b", "0104")}
    for device in read()[0]:
        for entry in device.get("usb") or ():
            if (entry.get("vendor"), entry.get("product")) in generic:
                assert "serial" in entry, device["id"]


def test_bad_entries_are_told(tmp_path: Path) -> None:
    """What breaks rules/hardware.schema.json is named, with its line."""
    folder = tmp_path / "hardware"
    folder.mkdir()
    (folder / "kvm.yml").write_text(
        "devices:\n    - {id: x, name: X, class: toaster, usb: [{vendor: abcd}],"
        " monitors: [{pnp: LNX7770, status: verified, note: a switch, not a network}]}\n",
        encoding="utf-8",
    )
    (folder / "rules.yml").write_text("rules: [{file: y, group: z}]\n", encoding="utf-8")
    problems = read_hardware(str(tmp_path))[2]
    found = " ".join(problem.what for problem in problems)
    assert "toaster" in found and "'references' is a required property" in found
    assert "'status' is a required property" in found and "'not a network' was unexpected" in found
    assert "'groups' is a required property" in found
    assert {problem.line for problem in problems} <= {1, 2}


def test_a_rule_of_an_unknown_group_is_told(tmp_path: Path) -> None:
    """A schema cannot say that."""
    folder = tmp_path / "hardware"
    shutil.copytree(RULES / "catalogue" / "hardware", folder)
    file = folder / "rules.yml"
    text = file.read_text(encoding="utf-8")
    (_, second), *_ = re.findall(r"(group: )(\w+)", text)
    file.write_text(text.replace(f"group: {second}", "group: nobody", 1), encoding="utf-8")
    assert "unknown group" in " ".join(one.what for one in read_hardware(str(tmp_path))[2])


def test_other_devices_with_the_same_strings_are_left_out() -> None:
    """By their ids, and only where the strings are what tells."""
    other = {"vendor": "1a86", "product": "e429", "note": "a meter"}
    device: dict[str, Any] = {
        "id": "chip",
        "name": "Chip",
        "usb": [{"vendor": "1a86", "product": "e129"}],
        "strings": {"model": [{"starts": "WCH", "unless": [other]}]},
    }
    found, _ = detection("usb_devices", [device])
    assert found["filter_main_other_device"] == {
        "vendor_id": "1a86",
        "model_id": Noted("e429", "a meter"),
    }
    assert (
        found["condition"] == "selection_chip or (selection_model and not filter_main_other_device)"
    )
    plugged, _ = detection("hardware_events", [device])
    assert plugged["condition"] == f"({found['condition']}) and not filter_main_unplugged"
    device["strings"]["vendor"] = [{"starts": "WCH"}]
    both, _ = detection("usb_devices", [device])
    assert "((selection_vendor or selection_model) and not" in both["condition"]
