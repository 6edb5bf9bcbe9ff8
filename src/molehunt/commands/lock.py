"""`molehunt lock`: one line per rule, so that a changed meaning cannot pass unseen."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..exits import Exit
from ..joins import load_joins
from ..lock import check_lock, update_lock
from ..problems import Problem, UsageError
from .common import load, named, show


def run(options: Namespace) -> Exit:
    """Check the lock file, or write it. UsageError where it is not there, or cannot be written."""
    path = Path(options.file)
    if not path.is_file() and not options.update:
        raise UsageError(f"no such lock file: {path}; --update makes one, --file names another")
    ruleset = load(options.rules)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    joins, broken = load_joins(named(options.rules), ruleset.rules)
    problems: list[Problem] = [*ruleset.problems, *broken]
    if options.update:
        updated = update_lock(lines, ruleset, joins)
        try:
            path.write_text("".join(f"{line}\n" for line in updated), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--file: {path}: {error.strerror}") from None
    else:
        problems += check_lock(lines, ruleset, joins)
    return show(problems)
