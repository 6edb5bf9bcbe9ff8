r"""What an event of Windows says, in the spelling of the osquery table that says the same.

Sysmon spells registry keys `HKLM\…` and numbers in them `DWORD (0x00000001)`
(https://learn.microsoft.com/sysinternals/downloads/sysmon#event-id-13-registryevent-value-set),
4688 numbers of processes `0x1d88`; osquery spells `HKEY_LOCAL_MACHINE\…`, `1` and `7560`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .normalise import HIVES

_LONG = {short: long for long, short in HIVES.items()}
_HEX = re.compile(r"0[xX]([0-9a-fA-F]{1,16})\Z")
_WORD = re.compile(r"[DQ]WORD \(0x([0-9a-fA-F]{1,8})(?:-0x([0-9a-fA-F]{1,8}))?\)\Z")


def number(text: str) -> str:
    """`0x1d88` as `7560`; what is no such number stays."""
    found = _HEX.match(text)
    return str(int(found[1], 16)) if found else text


def name(text: str) -> str:
    r"""What stands behind the last backslash."""
    return text.rpartition("\\")[2]


def registry_path(text: str) -> str:
    r"""`HKLM\X` as `HKEY_LOCAL_MACHINE\X`."""
    head, slash, rest = text.partition("\\")
    return _LONG.get(head.upper(), head) + slash + rest


def registry_key(text: str) -> str:
    r"""The key of the value at a path, spelled the same way."""
    return registry_path(text).rpartition("\\")[0]


def registry_data(text: str) -> str:
    """`DWORD (0x00000001)` as `1`; a QWORD is written in two halves."""
    found = _WORD.match(text)
    if found is None:
        return text
    first, second = found.groups()
    return str(int(first, 16) if second is None else int(first, 16) << 32 | int(second, 16))


CONVERSIONS: Mapping[str, Callable[[str], str]] = {
    "number": number,
    "name": name,
    "registry_path": registry_path,
    "registry_key": registry_key,
    "registry_data": registry_data,
}
