"""Which events of Defender say the same as which rows of osquery, column by column.

Tables and columns: Microsoft's reference of the advanced hunting schema
(https://learn.microsoft.com/defender-xdr/advanced-hunting-schema-tables). `PnpDeviceConnected`
has `ClassName`, `DeviceId` (the device instance id), `DeviceDescription` and `VendorIds` in
`AdditionalFields`, as Microsoft's own queries on device control read them
(https://learn.microsoft.com/defender-endpoint/device-control-report); `DnsQueryResponse` has
`DnsQueryString`. `FolderPath` is read as the whole path, as other converters do
(https://github.com/AttackIQ/pySigma-backend-microsoft365defender): its name and the reference say
folder, its values have the file's name. A column that is not here has no equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.conditions import And, Condition, FieldIs, Keyword, Not, Or, Text, Wanted, flat

# Codes of reviewed.yml.
EVENT_NOT_STATE, SENSOR_SELECTS = "event_not_state", "sensor_selects"
INITIATING_PROCESS, UNIX_EVENTS = "initiating_process", "unix_events"
DEVICE_REPORT, WHOLE_PATH = "device_report", "whole_path"

ENUM = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Enum\\"
"""The branch of the registry with a key for each device instance."""

EDID = "00ffffffffffff00"
"""What a monitor's identity begins with (VESA E-EDID, header)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A table of Defender in place of one of osquery's.

    `actions` are the kinds of event, `columns` has for each column of the pack's query the KQL
    expression (a string) with the same meaning, `shared` says whether devices of other systems than
    Windows have such events too. `differences` hold for any rule, `where_asked` for rules that ask
    for the column.
    """

    table: str
    actions: tuple[str, ...]
    columns: Mapping[str, str]
    shared: bool = False
    differences: tuple[str, ...] = ()
    where_asked: Mapping[str, str] = field(default_factory=dict)


def _additional(name: str) -> str:
    return f'tostring(parse_json(tostring(AdditionalFields))["{name}"])'


_INITIATING = "InitiatingProcessFolderPath"

PROCESSES = Reading(
    "DeviceProcessEvents",
    ("ProcessCreated",),
    {
        "path": "FolderPath",
        "cmdline": "ProcessCommandLine",
        "pid": "tostring(ProcessId)",
        "ppid": "tostring(InitiatingProcessId)",
        "parent_path": _INITIATING,
        "parent_cmdline": "InitiatingProcessCommandLine",
    },
    True,
    where_asked=dict.fromkeys(("ppid", "parent_path", "parent_cmdline"), INITIATING_PROCESS),
)
DRIVERS = Reading(
    "DeviceEvents",
    ("PnpDeviceConnected",),
    {"device_id": _additional("DeviceId"), "class": _additional("ClassName")},
    differences=(EVENT_NOT_STATE,),
)
DEVICE_KEYS = Reading(
    "DeviceEvents",
    ("PnpDeviceConnected",),
    {"key": f'strcat(@"{ENUM}", {_additional("DeviceId")})'},
    differences=(EVENT_NOT_STATE,),
)
REGISTRY = Reading(
    "DeviceRegistryEvents",
    ("RegistryValueSet",),
    {
        "path": 'strcat(RegistryKey, "\\\\", RegistryValueName)',
        "key": "RegistryKey",
        "name": "RegistryValueName",
        "data": "RegistryValueData",
    },
    differences=(EVENT_NOT_STATE, SENSOR_SELECTS),
)
NAMES = Reading(
    "DeviceEvents",
    ("DnsQueryResponse",),
    {"name": _additional("DnsQueryString"), "path": _INITIATING},
    differences=(SENSOR_SELECTS,),
)
FILES = Reading(
    "DeviceFileEvents",
    ("FileCreated", "FileModified", "FileRenamed"),
    {"path": "FolderPath"},
    True,
    differences=(SENSOR_SELECTS,),
)
_SOCKET = {
    "local_address": "LocalIP",
    "local_port": "tostring(LocalPort)",
    "remote_address": "RemoteIP",
    "remote_port": "tostring(RemotePort)",
    "process_path": _INITIATING,
    "process_cmdline": "InitiatingProcessCommandLine",
}
CONNECTIONS = Reading(
    "DeviceNetworkEvents",
    ("ConnectionSuccess", "InboundConnectionAccepted"),
    _SOCKET,
    True,
    differences=(EVENT_NOT_STATE, SENSOR_SELECTS),
)
LISTENERS = Reading(
    "DeviceNetworkEvents",
    ("ListeningConnectionCreated",),
    {
        "address": "LocalIP",
        "port": "tostring(LocalPort)",
        "process_name": "InitiatingProcessFileName",
        "process_path": _INITIATING,
        "process_cmdline": "InitiatingProcessCommandLine",
    },
    True,
    differences=(EVENT_NOT_STATE, SENSOR_SELECTS),
)
READINGS = {
    "process_etw_events": PROCESSES,
    "process_events": PROCESSES,
    "es_process_events": PROCESSES,
    "drivers": DRIVERS,
    "registry": REGISTRY,
    "dns_lookup_events": NAMES,
    "ntfs_journal_events": FILES,
    "process_open_sockets": CONNECTIONS,
    "listening_ports": LISTENERS,
}
"""By osquery's table. What no table here has, Defender has no equal of."""


def reading(table: str, conditions: Sequence[Condition]) -> Reading | None:
    """What a rule on an osquery table reads in Defender.

    The keys of devices in the registry, and the identities of monitors in them, are never written
    by a program, and Defender tells of them as devices that were connected.
    """
    if table == "registry" and any(map(_about_devices, conditions)):
        return DEVICE_KEYS
    return READINGS.get(table)


def _about_devices(node: Condition) -> bool:
    match node:
        case And() | Or():
            return any(map(_about_devices, node.args))
        case Not():
            return _about_devices(node.arg)
        case FieldIs():
            asked = list(map(words, flat(node.value)))
            return any("\\enum\\" in one or EDID in one for one in asked)
        case Keyword():
            return False


def words(value: Wanted) -> str:
    """The letters of a wanted text or expression in lower case, without what is wild in it."""
    if isinstance(value, Text):
        return "".join(part for part in value.parts if isinstance(part, str)).lower()
    return str(getattr(value, "pattern", "")).replace("\\\\", "\\").lower()
