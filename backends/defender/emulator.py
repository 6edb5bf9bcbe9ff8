"""Compiled queries run by DuckDB, over events that Defender would have logged for recorded rows.

Each row of osquery that has an equal becomes one event, column by column as `readings.py` has it,
the other way round. That a sensor would have logged it is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text
from molehunt.normalise import NORMALISERS

from ..model import Answer, Artefact, Engine, Evidence, Profile
from ..sentinel.emulator import found_by, missing
from .readings import ENUM
from .tables import TABLES

Event = dict[str, Any]
_TYPES = {"long": "BIGINT", "int": "INTEGER", "datetime": "TIMESTAMP"}


class Session:
    """Defender's tables in memory."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._keys: set[int] = set()
        self._starts: dict[str, set[int]] = {}

    def load(self, records: Sequence[Record]) -> None:
        """An event for each row of the pack that has an equal."""
        rows: dict[str, list[list[Any]]] = {name: [] for name in TABLES}
        devices: dict[str, Event] = {}
        for place, record in enumerate(records):
            for table, event in events(record):
                rows[table].append([place, *(event.get(name) for name in TABLES[table])])
                devices.setdefault(event["DeviceId"], _device(event, record))
                if "registry" in _about(record):
                    self._keys.add(place)
                if table == "DeviceProcessEvents":
                    for name in _about(record):
                        self._starts.setdefault(name, set()).add(place)
        for event in devices.values():
            rows["DeviceInfo"].append([-1, *(event.get(name) for name in TABLES["DeviceInfo"])])
        for table, columns in TABLES.items():
            typed = ", ".join(f'"{n}" {_TYPES.get(k, "VARCHAR")}' for n, k in columns.items())
            self._connection.execute(f"CREATE TABLE {table} (Place BIGINT, {typed})")
            if rows[table]:
                lists = ", ".join(["unnest(?)"] * (len(columns) + 1))
                by_column = list(map(list, zip(*rows[table], strict=True)))
                self._connection.execute(f"INSERT INTO {table} SELECT {lists}", by_column)

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What each query finds.

        osquery has a device in the registry and in the list of drivers, a process in several
        tables, and they are the same event here; a rule is held against rows of the one that it
        reads.
        """
        listed = list(artefacts)
        for one, answer in zip(listed, found_by(self._connection, listed), strict=True):
            reads = one.body.get("reads")
            if answer.found is not None and reads:
                yield replace(answer, found=answer.found & self._starts.get(reads, set()))
            elif answer.found is None or "PnpDeviceConnected" not in one.query:
                yield answer
            elif "c_key = " in one.query:
                yield replace(answer, found=answer.found & self._keys)
            else:
                yield replace(answer, found=answer.found - self._keys)


def events(record: Record) -> Iterator[tuple[str, Event]]:
    """The events with the meaning of a row, with their table. None for what went away, and for rows
    that another schedule logged."""
    if record.binding.how != "pack" or record.action == "removed":
        return
    row = {name: _text(value, record) for name, value in record.values.items()}
    about = _about(record)
    device = f"{record.host} {'/'.join(sorted(record.binding.platforms))}"
    for table, write in _WRITERS.items():
        if table in about:
            for name, event in write(row):
                yield name, {"DeviceName": record.host, "DeviceId": device} | event


def _about(record: Record) -> set[str]:
    shape = record.binding.shape
    return {use.table for use in shape.tables if not use.optional} if shape else set()


_NAMES = {"windows": "Windows11", "darwin": "macOS", "linux": "Linux"}


def _device(event: Event, record: Record) -> Event:
    """A report of the device, as `DeviceInfo` has one every hour."""
    system = next(iter(sorted(record.binding.platforms)), "")
    return {
        "DeviceId": event["DeviceId"],
        "DeviceName": record.host,
        "OSPlatform": _NAMES.get(system, ""),
    }


def _text(value: Any, record: Record) -> str:
    """A value as it was on the host: osquery's spelling of bytes is read back."""
    text = as_text(value[0] if isinstance(value, tuple) else value) if value is not None else ""
    if record.action == "added":
        return str(NORMALISERS["control_text"].value(text))
    return text


def _process(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    yield (
        "DeviceProcessEvents",
        {
            "ActionType": "ProcessCreated",
            "FolderPath": row.get("path", ""),
            "FileName": _file(row.get("path", "")),
            "ProcessCommandLine": row.get("cmdline", ""),
            "InitiatingProcessFolderPath": row.get("parent_path", ""),
            "InitiatingProcessFileName": _file(row.get("parent_path", "")),
            "InitiatingProcessCommandLine": row.get("parent_cmdline", ""),
        },
    )


def _driver(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    known = {"DeviceId": row.get("device_id", ""), "ClassName": row.get("class", "")}
    yield "DeviceEvents", _connected(known)


def _registry(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    key = row.get("key", "")
    if key.lower().startswith(f"{ENUM}DISPLAY\\".lower()):
        return  # what the pack reads of a monitor is its EDID
    if key.lower().startswith(ENUM.lower()):
        yield "DeviceEvents", _connected({"DeviceId": key[len(ENUM) :]})
        return
    yield (
        "DeviceRegistryEvents",
        {
            "ActionType": "RegistryValueSet",
            "RegistryKey": key,
            "RegistryValueName": row.get("name", ""),
            "RegistryValueData": row.get("data", ""),
        },
    )


def _connected(fields: Mapping[str, str]) -> Event:
    return {"ActionType": "PnpDeviceConnected", "AdditionalFields": json.dumps(fields)}


def _name(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    yield (
        "DeviceEvents",
        {
            "ActionType": "DnsQueryResponse",
            "AdditionalFields": json.dumps({"DnsQueryString": row.get("name", "")}),
            "InitiatingProcessFolderPath": row.get("path", ""),
            "InitiatingProcessFileName": _file(row.get("path", "")),
        },
    )


def _journal(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    kinds = {
        "FileCreation": "FileCreated",
        "FileWrite": "FileModified",
        "FileRename_NewName": "FileRenamed",
    }
    if row.get("action") in kinds:
        yield (
            "DeviceFileEvents",
            {
                "ActionType": kinds[row["action"]],
                "FolderPath": row.get("path", ""),
                "FileName": _file(row.get("path", "")),
            },
        )


def _socket(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    yield (
        "DeviceNetworkEvents",
        _owner(row)
        | {
            "ActionType": "ConnectionSuccess",
            "LocalIP": row.get("local_address", ""),
            "LocalPort": _number(row.get("local_port", "")),
            "RemoteIP": row.get("remote_address", ""),
            "RemotePort": _number(row.get("remote_port", "")),
        },
    )


def _listener(row: Mapping[str, str]) -> Iterator[tuple[str, Event]]:
    yield (
        "DeviceNetworkEvents",
        _owner(row)
        | {
            "ActionType": "ListeningConnectionCreated",
            "LocalIP": row.get("address", ""),
            "LocalPort": _number(row.get("port", "")),
        },
    )


def _owner(row: Mapping[str, str]) -> Event:
    path = row.get("process_path", "")
    return {
        "InitiatingProcessFolderPath": path,
        "InitiatingProcessFileName": row.get("process_name") or _file(path),
        "InitiatingProcessCommandLine": row.get("process_cmdline", ""),
    }


def _file(path: str) -> str:
    return path.replace("/", "\\").rpartition("\\")[2]


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


_WRITERS: dict[str, Callable[[Mapping[str, str]], Iterator[tuple[str, Event]]]] = {
    "process_etw_events": _process,
    "process_events": _process,
    "es_process_events": _process,
    "processes": _process,
    "drivers": _driver,
    "registry": _registry,
    "dns_lookup_events": _name,
    "ntfs_journal_events": _journal,
    "process_open_sockets": _socket,
    "listening_ports": _listener,
}


@contextmanager
def _open(_profile: Profile) -> Iterator[Session]:
    import duckdb

    connection = duckdb.connect()
    try:
        yield Session(connection)
    finally:
        connection.close()


DUCKDB = Engine("duckdb-kql", Evidence.EMULATOR, missing, _open)
