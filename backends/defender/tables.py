"""Defender's tables as far as queries of ours read them, with their types.

Source: https://learn.microsoft.com/defender-xdr/advanced-hunting-schema-tables and the page of each
table there.
"""

from __future__ import annotations

_EVENT = {
    "Timestamp": "datetime",
    "DeviceId": "string",
    "DeviceName": "string",
    "ActionType": "string",
    "ReportId": "long",
}
_INITIATING = {
    "InitiatingProcessFileName": "string",
    "InitiatingProcessFolderPath": "string",
    "InitiatingProcessId": "long",
    "InitiatingProcessCommandLine": "string",
}
_FILE = {"FileName": "string", "FolderPath": "string"}

TABLES: dict[str, dict[str, str]] = {
    "DeviceEvents": _EVENT | _INITIATING | _FILE | {"AdditionalFields": "string"},
    "DeviceFileEvents": _EVENT | _INITIATING | _FILE,
    "DeviceInfo": {
        "Timestamp": "datetime",
        "DeviceId": "string",
        "DeviceName": "string",
        "OSPlatform": "string",
    },
    "DeviceNetworkEvents": _EVENT
    | _INITIATING
    | {
        "RemoteIP": "string",
        "RemotePort": "int",
        "RemoteUrl": "string",
        "LocalIP": "string",
        "LocalPort": "int",
        "Protocol": "string",
    },
    "DeviceProcessEvents": _EVENT
    | _INITIATING
    | _FILE
    | {
        "ProcessId": "long",
        "ProcessCommandLine": "string",
        "ProcessIntegrityLevel": "string",
        "AccountDomain": "string",
        "AccountName": "string",
    },
    "DeviceRegistryEvents": _EVENT
    | _INITIATING
    | {
        "RegistryKey": "string",
        "RegistryValueType": "string",
        "RegistryValueName": "string",
        "RegistryValueData": "string",
    },
}

STREAMED = {
    table: {
        "TimeGenerated": "datetime",
        **{n: "dynamic" if n == "AdditionalFields" else kind for n, kind in columns.items()},
    }
    for table, columns in TABLES.items()
}
"""The same as the connector of Microsoft Defender XDR streams them into Sentinel's workspace.

Source: https://learn.microsoft.com/azure/azure-monitor/reference/tables/deviceevents and so on.
"""
