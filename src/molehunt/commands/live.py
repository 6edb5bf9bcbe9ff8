"""`molehunt live`: the same rules against a running osqueryd."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from molehunt.backends.osquery.live import Socket, snapshots

from ..exits import Exit
from ..problems import Problem
from .answers import hunt_in
from .common import show


def run(options: Namespace) -> Exit:
    """Ask every query of the pack once, then hunt through the answers."""
    problems: list[Problem] = []
    socket = Socket(options.socket, options.timeout)
    try:
        lines = list(snapshots(socket, time.time(), problems))
    finally:
        socket.close()
    rows = sum(len(line["snapshot"]) for line in lines)
    print(f"{len(lines)} queries answered with {rows} rows", file=sys.stderr)
    found = hunt_in(lines, options)
    return max(found, show(problems))
