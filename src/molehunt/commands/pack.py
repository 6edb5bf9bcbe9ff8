"""`molehunt pack`: the osquery pack that feeds the rules."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from molehunt.backends.osquery.pack import make_pack, render_pack

from ..data import load_yaml
from ..exits import Exit
from ..problems import Problem, UsageError
from ..schema import tables
from .common import load, show


def run(options: Namespace) -> Exit:
    """Print or write the pack, or check that a written one is current."""
    ruleset = load(options.rules)
    pack, problems = make_pack(load_yaml("pack.yml"), ruleset.rules, tables())
    problems = [*ruleset.problems, *problems]
    text = render_pack(pack)
    if options.check:
        if not options.output:
            raise UsageError("--check needs --output, the file to check")
        path = Path(options.output)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            problems.append(
                Problem("is not what the rules make", options.output, hint="run without --check")
            )
    elif options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return show(problems)
