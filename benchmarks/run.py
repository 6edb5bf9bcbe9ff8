"""Measure a hunt: `run.py LOG [--rules NAME=FOLDER…] [--peer NAME=COMMAND…] [--rounds N]`.

Prints a Markdown table. Each row is a whole process from its start to its end, the median of the
rounds, which take turns so that a busy moment does not fall on one row. Peak memory is that of all
processes of a row together, with pages that they share counted once (PSS) and in each of them
(RSS). A peer's COMMAND may hold {log} and {rules}. Rows of loading hunt through an empty log: from
start to end, with the rules kept from the time before or, cold, read from their files.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

HUNT = (sys.executable, "-m", "molehunt", "hunt", "--quiet", "--format", "ndjson")
READ = "import sys\nfor f in [open(sys.argv[1], 'rb')]:\n    while f.read(1 << 23): pass"
PARSE = "import sys, orjson\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)"
LOAD = (
    "import sys\nfrom pathlib import Path\nfrom sigma.collection import SigmaCollection\n"
    "SigmaCollection.load_ruleset([Path(sys.argv[1])], collect_errors=True)"
)


class Memory(NamedTuple):
    """Bytes: `pss` counts a page that several processes share once, `rss` in each of them."""

    pss: int
    rss: int


NOTHING = Memory(0, 0)


@dataclass
class Row:
    """One measured command. `fresh` gives it an empty cache of its own in each round; one that
    `loads` reads no log."""

    name: str
    command: list[str]
    fresh: bool = False
    loads: bool = False
    seconds: list[float] = field(default_factory=list)
    peak: Memory = NOTHING


def memory(process: int) -> Memory:
    """What a process and its children hold, from /proc (nothing where there is none)."""
    shared = whole = 0
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                shared += int(line.split()[1]) * 1024
            elif line.startswith("Rss:"):
                whole += int(line.split()[1]) * 1024
    except OSError:
        return NOTHING
    parts = [Memory(shared, whole), *(memory(int(child)) for child in children)]
    return Memory(sum(part.pss for part in parts), sum(part.rss for part in parts))


def measure(row: Row, cache: str) -> None:
    """Run a row's command once."""
    if row.fresh:
        with tempfile.TemporaryDirectory() as empty:
            _run(row, empty)
    else:
        _run(row, cache)


def _run(row: Row, cache: str) -> None:
    environment = os.environ | {"MOLEHUNT_CACHE": cache}
    begin = time.perf_counter()
    with subprocess.Popen(
        row.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                now = memory(process.pid)
                row.peak = Memory(*map(max, row.peak, now))

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        row.seconds.append(time.perf_counter() - begin)
        done.set()
        watcher.join()


def loading(name: str, *rules: str) -> list[Row]:
    """The rows of loading rules alone."""
    command = [*HUNT, *rules, os.devnull]
    return [
        Row(f"{name}, loading", command, loads=True),
        Row(f"{name}, loading, cold", command, fresh=True, loads=True),
    ]


def rows_of(options: argparse.Namespace) -> list[Row]:
    """All rows, the yardsticks first."""
    log = str(options.log)
    rows = [
        Row("reading the file", [sys.executable, "-c", READ, log]),
        Row("orjson parsing it, one core", [sys.executable, "-c", PARSE, log]),
        Row("own rules", [*HUNT, log]),
        Row("own rules, one process", [*HUNT, "--jobs", "1", log]),
        Row("own rules, cold", [*HUNT, log], fresh=True),
        *loading("own rules"),
    ]
    if options.evaluator:
        rows.append(Row("own rules, slow evaluator", [*HUNT, "--engine", "reference", log]))
    for pair in options.rules:
        name, _, folder = pair.partition("=")
        rows += [
            Row(name, [*HUNT, "--rules", folder, log]),
            Row(f"{name}, cold", [*HUNT, "--rules", folder, log], fresh=True),
            *loading(name, "--rules", folder),
        ]
        alone = f"{name}, load_ruleset of pySigma alone"
        rows.append(Row(alone, [sys.executable, "-c", LOAD, folder], loads=True))
        for peer in options.peer:
            title, _, command = peer.partition("=")
            words = shlex.split(command.format(log=log, rules=folder))
            rows.append(Row(f"{name}: {title}", words))
    return rows


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--rules", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--evaluator", action="store_true", help="also the slow evaluator")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = rows_of(options)
    size = options.log.stat().st_size
    with open(options.log, "rb") as stream:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: stream.read(1 << 23), b""))
    with tempfile.TemporaryDirectory() as cache:
        for row in rows:  # the file and the cache are warm from here on
            if not row.fresh and row.command[: len(HUNT)] == list(HUNT):
                measure(Row(row.name, row.command), cache)
        for _ in range(options.rounds):
            for row in rows:
                measure(row, cache)
    parse = median(next(row for row in rows if row.name.startswith("orjson")).seconds)
    print(f"{lines:,} lines, {size:,} bytes, {os.cpu_count()} cores, {options.rounds} rounds\n")
    print("| | s | lines/s | MB/s | peak MiB, PSS | RSS | to orjson |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        took = median(row.seconds)
        shown = [f"{took:.2f}", f"{lines / took:,.0f}", f"{size / took / 1e6:,.0f}"]
        if row.loads:
            shown = [f"{took:.2f}", "", ""]
        ratio = "" if row.loads else f"{parse / took:.2f}"
        peak = f"{row.peak.pss >> 20} | {row.peak.rss >> 20}"
        print(f"| {row.name} | {' | '.join(shown)} | {peak} | {ratio} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
