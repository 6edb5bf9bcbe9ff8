"""`molehunt sweep`: ten questions for every host, and what the answers mean."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from pathlib import Path

from molehunt.backends.osquery.sweep import questions, read_answers
from molehunt.backends.subjects import subjects

from ..data import load_yaml
from ..exits import Exit
from ..problems import Problem, UsageError
from ..taxonomy import taxonomy
from .answers import hunt_in
from .common import load, show


def run(options: Namespace) -> Exit:
    """Print the questions, or hunt through files of answers."""
    if options.read:
        return _read(options)
    ruleset = load(options.rules)
    made = subjects(ruleset, load_yaml("pack.yml"), taxonomy())
    asked = dict(questions(options.system, made))
    if options.questions == "json":
        print(json.dumps(asked, indent=2))
    else:
        for name, sql in asked.items():
            print(f"-- {name}\n{sql}\n")
    return show(ruleset.problems)


def _read(options: Namespace) -> Exit:
    problems: list[Problem] = []
    lines = []
    for name in options.read:
        try:
            data = Path(name).read_bytes()
        except OSError as error:
            raise UsageError(f"--read: {name}: {error.strerror}") from None
        lines += list(read_answers(data, name, time.time(), problems))
    found = hunt_in(lines, options)
    return max(found, show(problems))
