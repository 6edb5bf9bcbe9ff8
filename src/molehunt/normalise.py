r"""Named normalisers: what is done to a logged value before a rule sees it.

Each has a counterpart for the engine's raw scan: given a run of printable ASCII that the
*normalised* value must contain, the part of it that the *logged* value must contain too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple


class Normaliser(NamedTuple):
    """`value` maps a text to a text; `raw_run` maps a wanted run to a run of the logged text."""

    value: Callable[[str], str]
    raw_run: Callable[[str], str]


_ESCAPED = re.compile(r"(?:\\x[0-9A-F]{2})+")


def control_text(text: str) -> str:
    r"""Turn osquery's `\x0A` text back into the character.

    Differential rows write every byte below 0x20 as four characters, and before 5.22.0 every byte
    from 0x80 too (osquery/core/query.cpp, escapeResults). Printable ASCII is never escaped there,
    so `\x41` was typed by somebody and stays; bytes that are not UTF-8 stay as well.
    """
    return _ESCAPED.sub(_decode, text) if "\\x" in text else text


def _decode(match: re.Match[str]) -> str:
    data = bytes.fromhex(match[0].replace("\\x", ""))
    if any(0x20 <= byte < 0x80 for byte in data):
        return match[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return match[0]


def audit_quotes(text: str) -> str:
    """Take off the double quotes that Linux audit puts around `cwd`."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


# Spellings as in Sigma's registry rules, which follow Sysmon (TargetObject of events 12 to 14).
HIVES = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_CURRENT_CONFIG": "HKCC",
}


def hive(text: str) -> str:
    r"""Spell the registry hive as Sigma does: `HKEY_LOCAL_MACHINE\X` becomes `HKLM\X`."""
    head, slash, rest = text.partition("\\")
    return HIVES.get(head.upper(), head) + slash + rest


def ip(text: str) -> str:
    """Spell an address canonically; an IPv4-mapped IPv6 address becomes IPv4.

    Linux `socket_events` prints IPv6 uncompressed, `process_open_sockets` compressed. A text that
    is no address stays as it is. A zone (`%eth0`) is dropped.
    """
    address = parse_ip(text)
    return text if address is None else str(address)


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """The address in `text`, IPv4-mapped ones as IPv4; None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    # Without its zone, so that the text is comparable.
    return address


def _same(run: str) -> str:
    return run


def _nothing(_run: str) -> str:
    return ""


def _after_hive(run: str) -> str:
    if "\\" in run:
        return "\\" + run.partition("\\")[2]
    # It stands in the hive's name or behind it.
    return "" if any(run.upper() in name for name in HIVES.values()) else run


NORMALISERS: dict[str, Normaliser] = {
    "control_text": Normaliser(control_text, _same),
    "audit_quotes": Normaliser(audit_quotes, _same),
    "hive": Normaliser(hive, _after_hive),
    "ip": Normaliser(ip, _nothing),
}
