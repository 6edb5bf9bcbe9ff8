"""`molehunt generate`: the rules that the catalogue of tools makes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..catalogue.entries import read_catalogue
from ..catalogue.kvm import hardware_texts, read_hardware
from ..catalogue.making import compare, rule_texts, write
from ..exits import Exit
from ..problems import Problem
from ..rulefiles import builtin_rules_path
from .common import show


def run(options: Namespace) -> Exit:
    """Write the rule files, or say which of them are not what the catalogue makes."""
    rules = options.rules or builtin_rules_path()
    catalogue = str(Path(rules, "catalogue"))
    tools, problems = read_catalogue(catalogue)
    devices, shells, found_wrong = read_hardware(catalogue)
    problems += found_wrong
    if problems:
        # A broken entry must not make its rules disappear.
        return show(problems)
    texts = {**rule_texts(tools), **hardware_texts(devices, shells)}
    found: list[Problem] = []
    if options.check:
        found = list(compare(texts, rules))
    else:
        write(texts, rules)
    return show(found)
