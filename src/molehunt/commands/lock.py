"""`molehunt lock`: one line per rule, so that no change of it or its queries passes unseen."""

from __future__ import annotations

import errno
import os
from argparse import Namespace
from functools import cache
from pathlib import Path

from molehunt.backends.digests import digests
from molehunt.backends.model import Subject

from ..collecting import without_garbage_collection
from ..data import load_yaml
from ..exits import Exit
from ..joins import load_joins
from ..lock import check_lock, update_lock
from ..problems import Problem, UsageError
from ..rulecache import sources_and_key
from ..taxonomy import taxonomy
from .common import named, show


def run(options: Namespace) -> Exit:
    """Check the lock file, or write it. UsageError where it is not there, or cannot be written."""
    with without_garbage_collection(options.alone):
        return _run(options)


def _run(options: Namespace) -> Exit:
    path = Path(options.file)
    if not path.is_file() and not options.update:
        raise UsageError(f"no such lock file: {path}; --update makes one, --file names another")
    if not path.parent.is_dir():
        raise UsageError(f"--file: {path}: {os.strerror(errno.ENOENT)}")
    ruleset, key = sources_and_key(named(options.rules))
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    joins, broken = load_joins(named(options.rules), ruleset.rules)
    problems: list[Problem] = [*ruleset.problems, *broken]

    @cache
    def made() -> tuple[Subject, ...]:
        from molehunt.backends.subjects import subjects

        return subjects(ruleset, load_yaml("pack.yml"), taxonomy())

    artefacts = digests(key, made)
    if options.update:
        updated = update_lock(lines, ruleset, joins, artefacts)
        try:
            path.write_text("".join(f"{line}\n" for line in updated), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--file: {path}: {error.strerror}") from None
    else:
        problems += check_lock(lines, ruleset, joins, artefacts)
    return show(problems)
