"""`molehunt lock`: one line per rule, so that a changed meaning cannot pass unseen."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..exits import Exit
from ..lock import check_lock, update_lock
from ..problems import Problem
from .common import load, show


def run(options: Namespace) -> Exit:
    """Check the lock file, or write it."""
    ruleset = load(options.rules)
    path = Path(options.file)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    problems: list[Problem] = list(ruleset.problems)
    if options.update:
        updated = update_lock(lines, ruleset)
        path.write_text("".join(f"{line}\n" for line in updated), encoding="utf-8")
    else:
        problems += check_lock(lines, ruleset)
    return show(problems)
