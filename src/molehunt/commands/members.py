"""`molehunt members`: the lists of rules in correlations over many rules."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..exits import Exit
from ..members import check_members, listings, updated
from .common import load, named, show


def run(options: Namespace) -> Exit:
    """Check the lists, or write them into the files."""
    rules = load(options.rules).rules
    found = list(listings(named(options.rules)))
    if options.update:
        for one in found:
            text = updated(one, rules)
            if text != one.text:
                Path(one.path).write_text(text, encoding="utf-8")
        found = list(listings(named(options.rules)))
    return show(check_members(found, rules))
