"""`molehunt generate`: the rules that the catalogue of tools makes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..catalogue.entries import read_catalogue
from ..catalogue.making import compare, rule_texts, write
from ..exits import Exit
from ..problems import Problem
from ..rulefiles import builtin_rules_path
from .common import show


def run(options: Namespace) -> Exit:
    """Write the rule files, or say which of them are not what the catalogue makes."""
    rules = options.rules or builtin_rules_path()
    tools, problems = read_catalogue(str(Path(rules, "catalogue")))
    if problems:
        # A broken entry must not make its rules disappear.
        return show(problems)
    texts = rule_texts(tools)
    found: list[Problem] = []
    if options.check:
        found = list(compare(texts, rules))
    else:
        write(texts, rules)
    return show(found)
