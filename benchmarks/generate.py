"""Write a realistic osquery result log: `generate.py LINES FILE [--seed N]`.

Thirteen queries of molehunt's own pack and of common schedules, in the shape that osqueryd 5 writes
(event format), about 800 bytes a line: process events 60 % (three systems), sockets 12 %, DNS 8 %,
files 7 %, and state tables. A third of the command lines hold a token that occurs once; programs
follow a power law. Hosts, users and addresses are invented; one line in about 5,000 is of the kind
that rules look for.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import gmtime, strftime
from typing import Any

import orjson
from programs import LINUX, MACOS, RARE, RARE_WINDOWS, WINDOWS

Row = dict[str, str]
Programs = Sequence[tuple[str, str]]
START = 1_790_000_000
HOSTS = 1000
USERS = "amara.o bjorn.l chen.w dina.k eero.v farah.n goran.p hana.s ivan.t jo.m".split()
DOMAINS = "example.com example.net example.org cdn.example login.example mail.example".split()
WORDS = (
    "report build test data sync cache index main core util service agent config backup export "
    "import invoice ticket image video model schema query handler worker client server".split()
)


class Maker:
    """Draws rows; the same seed gives the same log."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pick = self.random.choice

    def text(self, template: str) -> str:
        """A template with its names filled in."""
        if "{" not in template:
            return template
        return template.format(
            word=self.pick(WORDS),
            user=self.pick(USERS),
            domain=self.pick(DOMAINS),
            token=self.token(),
        )

    def token(self) -> str:
        """Hexadecimal text that occurs once."""
        return f"{self.random.getrandbits(96):024x}"

    def number(self, top: int) -> str:
        """A number as osquery writes it, as text."""
        return str(int(self.random.random() * top))

    def address(self) -> str:
        """An address for documentation."""
        return f"{self.pick(('192.0.2', '198.51.100', '203.0.113'))}.{self.number(256)}"

    def program(
        self, common: list[tuple[str, str]], rare: list[tuple[str, str]]
    ) -> tuple[str, str]:
        """Path and command line; now and then one that rules look for."""
        if self.random.random() < 0.0003:
            path, command = self.pick(rare)
        else:
            # Programs are not alike: the first of a list is the most common by far.
            weights = [rank**-1.5 for rank in range(1, len(common) + 1)]
            path, command = self.random.choices(common, weights)[0]
        command = self.text(command)
        if self.random.random() < 0.2:
            command += f" --request-id={self.token()}"
        if self.random.random() < 0.6:
            command += self.text(" --log-level=info --config=/etc/example/{word}.yml --jobs=4")
        return self.text(path), command

    def process(self, common: Programs, rare: Programs) -> Row:
        """What the process tables have in common."""
        path, command = self.program(common, rare)
        parent, parent_command = self.program(common, common)
        return {
            "pid": self.number(99999),
            "path": path,
            "cmdline": command,
            "cwd": self.text("/home/{user}/src/{word}") if common is not WINDOWS else "",
            "username": self.pick(USERS),
            "parent_path": parent,
            "parent_cmdline": parent_command,
            "time": str(START),
        }

    def process_events(self) -> Row:
        """Linux audit."""
        return self.process(LINUX, RARE) | {
            "parent": self.number(99999),
            "uid": "1000",
            "syscall": "execve",
        }

    def process_etw_events(self) -> Row:
        """Windows ETW."""
        row = self.process(WINDOWS, RARE_WINDOWS) | {
            "ppid": self.number(99999),
            "mandatory_label": "S-1-16-8192",
            "type": "ProcessStart",
        }
        del row["cwd"]  # which the pack does not ask there
        return row

    def es_process_events(self) -> Row:
        """Endpoint Security of macOS."""
        return self.process(MACOS, RARE) | {
            "parent": self.number(99999),
            "signing_id": self.text("com.example.{word}"),
            "team_id": "0123456789",
            "platform_binary": "0",
            "event_type": "exec",
        }

    def process_open_sockets(self) -> Row:
        """Open sockets with their process."""
        path, command = self.program(LINUX, RARE)
        return {
            "protocol": "6",
            "family": "2",
            "local_address": self.address(),
            "local_port": self.number(65536),
            "remote_address": self.address(),
            "remote_port": self.pick(("443", "443", "443", "80", "22", "53", "8443")),
            "state": "ESTABLISHED",
            "pid": self.number(99999),
            "process_path": path,
            "process_cmdline": command,
        }

    def dns_lookup_events(self) -> Row:
        """DNS on Windows."""
        return {
            "time": str(START),
            "datetime": "2026-09-21T14:13:20Z",
            "pid": self.number(99999),
            "path": self.text(self.pick(WINDOWS)[0]),
            "username": self.pick(USERS),
            "name": f"{self.pick(WORDS)}-{self.number(5000)}.{self.pick(DOMAINS)}",
            "type": "A",
            "type_id": "1",
            "status": "0",
            "response": f"::ffff:{self.address()};::ffff:{self.address()};",
        }

    def file_events(self) -> Row:
        """File integrity monitoring."""
        folder = self.text("/home/{user}/src/{word}")
        return {
            "target_path": f"{folder}/{self.pick(WORDS)}-{self.token()}.tmp",
            "category": "homes",
            "action": self.pick(("CREATED", "UPDATED", "DELETED")),
            "transaction_id": self.number(99999),
            "inode": self.number(9_999_999),
            "uid": "1000",
            "gid": "1000",
            "mode": "0644",
            "size": self.number(1_000_000),
            "atime": str(START),
            "mtime": str(START),
            "ctime": str(START),
            "md5": self.token() + self.token()[:8],
            "sha256": self.token() + self.token() + self.token()[:16],
            "hashed": "1",
            "time": str(START),
            "eid": self.number(9_999_999),
        }

    def registry(self) -> Row:
        """Registry values."""
        key = f"HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\{self.pick(WORDS)}\\{self.pick(WORDS)}"
        return {
            "key": key,
            "path": f"{key}\\{self.pick(WORDS)}",
            "name": self.pick(WORDS),
            "type": "REG_SZ",
            "data": self.text("C:\\Program Files\\{word}\\{word}.dll"),
            "mtime": str(START),
        }

    def powershell_events(self) -> Row:
        """Script block logging."""
        lines = (
            "Get-ChildItem -Path C:\\Data\\{word} | Where-Object { $_.Length -gt 10 }".replace(
                "{word}", self.pick(WORDS)
            )
            for _ in range(4)
        )
        return {
            "time": str(START),
            "datetime": "2026-09-21T14:13:20Z",
            "script_block_id": self.token(),
            "script_block_count": "1",
            "script_text": "\r\n".join(lines),
            "script_name": f"C:\\Tools\\{self.pick(WORDS)}.ps1",
            "script_path": "",
            "cosine_similarity": "0.95",
        }

    def usb_devices(self) -> Row:
        """USB devices."""
        return {
            "usb_address": self.number(9),
            "usb_port": self.number(9),
            "vendor": "Example Devices, Inc.",
            "vendor_id": "f055",
            "version": "0100",
            "model": self.text("{word} keyboard"),
            "model_id": "4001",
            "serial": self.token()[:12],
            "class": "0",
            "subclass": "0",
            "protocol": "0",
            "removable": "1",
        }

    def listening_ports(self) -> Row:
        """Listening ports with their process."""
        path, command = self.program(LINUX, RARE)
        return {
            "port": self.number(65536),
            "protocol": "6",
            "family": "2",
            "address": "127.0.0.1",
            "pid": self.number(99999),
            "process_name": path.rpartition("/")[2],
            "process_path": path,
            "process_cmdline": command,
        }

    def deb_packages(self) -> Row:
        """Installed packages."""
        return {
            "name": f"lib{self.pick(WORDS)}{self.number(9)}",
            "version": f"1.{self.number(99)}-1ubuntu{self.number(9)}",
            "source": self.pick(WORDS),
            "size": self.number(99999),
            "arch": "amd64",
            "revision": "1",
            "status": "install ok installed",
            "maintainer": "Example Developers <packages@example.com>",
            "section": "libs",
            "priority": "optional",
        }

    def users(self) -> Row:
        """Accounts."""
        user = self.pick(USERS)
        return {
            "uid": self.number(999),
            "gid": "100",
            "username": user,
            "description": "",
            "directory": f"/home/{user}",
            "shell": "/usr/sbin/nologin",
            "uuid": "",
        }

    def services(self) -> Row:
        """Windows services."""
        return {
            "name": self.pick(WORDS),
            "service_type": "OWN_PROCESS",
            "display_name": self.text("Example {word} service"),
            "status": "RUNNING",
            "pid": self.number(9999),
            "start_type": "AUTO_START",
            "path": self.text("C:\\Program Files\\Example\\{word}\\{word}.exe"),
            "user_account": "LocalSystem",
        }


# Query name (as logged), its rows, and its share of the lines in per cent.
QUERIES: tuple[tuple[str, str, int], ...] = (
    ("pack_molehunt_process_events", "process_events", 30),
    ("pack_molehunt_process_etw_events", "process_etw_events", 18),
    ("pack_molehunt_es_process_events", "es_process_events", 12),
    ("pack_molehunt_process_open_sockets_linux", "process_open_sockets", 12),
    ("dns_lookup_events", "dns_lookup_events", 8),
    ("file_events", "file_events", 7),
    ("registry", "registry", 3),
    ("powershell_events", "powershell_events", 3),
    ("pack_molehunt_listening_ports_linux", "listening_ports", 2),
    ("pack_molehunt_deb_packages", "deb_packages", 2),
    ("pack_molehunt_usb_devices_linux", "usb_devices", 1),
    ("pack_molehunt_users_linux", "users", 1),
    ("pack_molehunt_services", "services", 1),
)


def line(maker: Maker, number: int, name: str, make: Callable[[], Row]) -> bytes:
    """One result line in event format."""
    host, at = number * 7919 % HOSTS, START + number // 50
    result: dict[str, Any] = {
        "name": name,
        "hostIdentifier": f"{host:08x}-5e1f-4f7a-9c3d-0123456789ab",
        "calendarTime": strftime("%a %b %d %H:%M:%S %Y UTC", gmtime(at)),
        "unixTime": at,
        "epoch": 0,
        "counter": 12,
        "numerics": False,
        "decorations": {
            "host_uuid": f"{host:08X}-5E1F-4F7A-9C3D-0123456789AB",
            "hostname": f"lap-{host:04d}.example",
            "username": maker.pick(USERS),
        },
        "columns": dict(sorted(make().items())),
        "action": "added",
    }
    return orjson.dumps(result) + b"\n"


def write(path: Path, lines: int, seed: int) -> None:
    """Write `lines` lines to `path`."""
    maker = Maker(seed)
    names = [(name, getattr(maker, table)) for name, table, _ in QUERIES]
    chosen = maker.random.choices(names, [share for *_, share in QUERIES], k=lines)
    with path.open("wb") as stream:
        for number, (name, make) in enumerate(chosen):
            stream.write(line(maker, number, name, make))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(options.file, options.lines, options.seed)
    size = options.file.stat().st_size
    print(f"{options.lines:,} lines, {size:,} bytes, {size / options.lines:.0f} a line")
    return 0


if __name__ == "__main__":
    sys.exit(main())
