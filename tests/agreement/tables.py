"""The queries whose rows are made up: fields of the rule, columns of the row."""

from __future__ import annotations

from typing import NamedTuple


class Query(NamedTuple):
    """`columns` maps a rule's field to the output column; `fixed` are columns with one value."""

    name: str
    logsource: str
    columns: dict[str, str]
    fixed: dict[str, str]


PROCESS = {
    "Image": "path",
    "CommandLine": "cmdline",
    "CurrentDirectory": "cwd",
    "ProcessId": "pid",
    "ParentImage": "parent_path",
    "User": "username",
}
QUERIES = (
    Query(
        "pack_molehunt_processes",
        "{category: process_creation, product: linux}",
        PROCESS,
        {"name": "x", "parent": "1"},
    ),
    Query(
        "pack_molehunt_process_events",
        "{category: process_creation, product: linux}",
        PROCESS,
        {"syscall": "execve", "time": "1795429300", "parent": "1"},
    ),
    Query(
        "pack/Global/molehunt_listening_ports",
        "{product: osquery, service: listening_ports}",
        {"port": "port", "address": "address", "process.path": "process_path", "pid": "pid",
         "process.cmdline": "process_cmdline"},
        {"protocol": "6"},
    ),
    Query(
        "pack_molehunt_process_open_sockets",
        "{category: network_connection, product: linux}",
        {"Image": "process_path", "DestinationIp": "remote_address", "SourceIp": "local_address",
         "DestinationPort": "remote_port", "CommandLine": "process_cmdline"},
        {"state": "ESTABLISHED", "protocol": "6"},
    ),
    Query(
        "pack_molehunt_registry_usb",
        "{category: registry_set, product: windows}",
        {"TargetObject": "path", "Details": "data"},
        {"key": "k", "name": "n"},
    ),
    Query(
        "okta.system_log",
        "{product: okta, service: okta}",
        {"actor.displayName": "actor.displayName", "client.ipAddress": "client.ipAddress",
         "outcome.reason": "outcome.reason", "target.id": "target.id", "eventType": "eventType"},
        {},
    ),
    Query("crontab", "{product: osquery, service: crontab}",
          {"command": "command", "path": "path", "hour": "hour", "event": "event"}, {}),
)  # fmt: skip
# Of no known SQL: bound by their names, with columns of joins and columns that nobody knows.
WITHOUT_SQL = (
    Query(
        "pack_it_processes",  # of no product, since a path may tell another system
        "{product: osquery, service: processes}",
        {"path": "path", "cmdline": "cmdline", "pid": "pid", "parent.path": "parent_path",
         "user.username": "username"},
        {"name": "x", "parent": "1", "sha256": "0"},
    ),
    Query(
        "pack/it/listening_ports",
        "{product: osquery, service: listening_ports}",
        {"port": "port", "address": "address", "process.path": "path", "pid": "pid",
         "process.cmdline": "cmdline", "process.root": "root"},
        {"name": "x"},
    ),
    Query(
        "listening_ports",
        "{product: osquery, service: listening_ports}",
        {"port": "port", "path": "path", "pid": "pid", "process.cmdline": "process_cmdline"},
        {"family": "1"},
    ),
    Query(
        "chrome_extensions",
        "{product: osquery, service: chrome_extensions}",
        {"name": "name", "identifier": "identifier", "user.shell": "shell",
         "user.username": "username"},
        {"uid": "1", "description": "d"},
    ),
)  # fmt: skip
# Their values are respelled before a rule sees them, so what is made may not be what is matched.
NORMALISED = {"CurrentDirectory", "DestinationIp", "SourceIp", "TargetObject"}
# Where "" is a value of its own, and a name must stand for the log to be known.
OKTA = "okta.system_log"
