"""`molehunt lock`: one line per rule, so that a changed meaning cannot pass unseen."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..exits import Exit
from ..joins import load_joins
from ..lock import check_lock, update_lock
from ..problems import Problem
from .common import load, named, show


def run(options: Namespace) -> Exit:
    """Check the lock file, or write it."""
    ruleset = load(options.rules)
    path = Path(options.file)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    joins, broken = load_joins(named(options.rules), ruleset.rules)
    problems: list[Problem] = [*ruleset.problems, *broken]
    if options.update:
        updated = update_lock(lines, ruleset, joins)
        path.write_text("".join(f"{line}\n" for line in updated), encoding="utf-8")
    else:
        problems += check_lock(lines, ruleset, joins)
    return show(problems)
