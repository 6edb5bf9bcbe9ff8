"""An answer today with nothing deployed: ten questions as read-only queries, and their answers.

A question is a query of the pack that keeps the rows which a rule wants; each row says in
`molehunt_query` which. The answers are told as osquery would log them, and then hunted as any log.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.rule import Rule

from ..model import Artefact, Subject
from .compiling import pack_sources, statement_test
from .sqlwhere import either
from .target import PROFILE, TARGET

MARK = "molehunt_query"
QUESTIONS = {
    "linux": (
        "processes_linux", "listening_ports_linux", "process_open_sockets_linux",
        "systemd_units", "usb_devices_linux", "deb_packages", "rpm_packages",
        "authorized_keys_linux", "chrome_extensions_linux", "arp_cache_kvm_linux",
    ),
    "darwin": (
        "processes_darwin", "listening_ports_darwin", "process_open_sockets_darwin",
        "launchd", "usb_devices_darwin", "apps", "system_extensions",
        "sharing_preferences", "connected_displays", "arp_cache_kvm_darwin",
    ),
    "windows": (
        "processes_windows", "listening_ports_windows", "process_open_sockets_windows",
        "services", "registry_usb", "registry_display", "programs",
        "chrome_extensions_windows", "running_signatures", "arp_cache_kvm_windows",
    ),
}  # fmt: skip
_HOSTS = ("host_hostname", "host_display_name", "host.hostname", "host.name", "agent.name",
          "hostname", "host", "hostIdentifier")  # fmt: skip


def questions(system: str, subjects: Iterable[Subject]) -> Iterator[tuple[str, str]]:
    """Name and SQL of each question for a system: rows that a rule from medium up wants."""
    tests: dict[str, list[str]] = {}
    for subject in subjects:
        if not isinstance(subject.rule, Rule) or subject.rule.level < Level.MEDIUM:
            continue
        made = TARGET.compile(subject, PROFILE) if subject.bounds else None
        if isinstance(made, Artefact):
            for statement in made.query:
                for name in statement["queries"]:
                    tests.setdefault(name, []).append(statement_test(statement, name))
    for name in QUESTIONS[system]:
        if name in tests:
            yield name, question(name, tests[name])


def question(name: str, tests: Iterable[str]) -> str:
    """One question: the pack's query, its name in each row, the rows that meet one of the tests."""
    sql = pack_sources()[name].sql
    marked = sql.replace("SELECT ", f"SELECT '{name}' AS {MARK}, ", 1)
    link = "AND" if " WHERE " in sql else "WHERE"
    return f"{marked} {link} ({either(list(tests))});"


def read_answers(
    data: bytes, file: str, now: float, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """Rows from osqueryi (`--json`), fleetctl, Fleet's or Kibana's export (JSON, NDJSON, CSV), as
    snapshots in osquery's log format. What is no answer to a question is told and left out."""
    text = data.decode("utf-8-sig", errors="replace")
    unknown = 0
    for host, row in _rows(text, file, problems):
        columns = {key.removeprefix("osquery."): value for key, value in row.items()}
        name = columns.pop(MARK, "")
        source = pack_sources().get(str(name))
        if source is None:
            unknown += 1
            continue
        told = {c: "" if columns.get(c) is None else str(columns[c]) for c in source.shape.columns}
        yield {
            "snapshot": [told],
            "action": "snapshot",
            "name": f"pack_molehunt_{name}",
            "hostIdentifier": host or "unknown",
            "unixTime": int(now),
            "epoch": 0,
            "counter": 0,
            "numerics": False,
        }
    if unknown:
        what = f"{unknown} rows say not in {MARK} which question they answer"
        problems.append(Problem(what, file, hint="print the questions: molehunt sweep"))


def _rows(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        for row in csv.DictReader(io.StringIO(text)):
            yield from _of({key: value for key, value in row.items() if key is not None}, "")
        return
    try:
        yield from _of(json.loads(text), "")
        return
    except json.JSONDecodeError:
        pass
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line) if line.strip() else []
        except json.JSONDecodeError as error:
            problems.append(Problem(f"is no JSON: {error.msg}", file, number))
            continue
        yield from _of(found, "")


def _of(found: Any, host: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows in one value, with the host as far as it is known."""
    if isinstance(found, list):
        for one in found:
            yield from _of(one, host)
    elif isinstance(found, Mapping):
        named = next((str(found[key]) for key in _HOSTS if isinstance(found.get(key), str)), host)
        inner = found.get("host")
        if isinstance(inner, Mapping):
            named = str(inner.get("hostname") or inner.get("display_name") or named)
        if "rows" in found or "_source" in found:
            yield from _of(found.get("rows", found.get("_source")), named)
        elif MARK in found or f"osquery.{MARK}" in found:
            # A column of that name is the row's, not the host's.
            own = host or next(
                (str(found[key]) for key in _HOSTS[:5] if isinstance(found.get(key), str)), named
            )
            yield own, dict(found)
        else:
            yield named, dict(found)
